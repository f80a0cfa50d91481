"""Unlearning evaluators for OpenDataVal: they stand in an ``ExperimentMediator`` beside OpenDataVal's own."""

from unshap_plugin.frameworks import check_framework

check_framework("opendataval")

from unshap_opendataval.evaluator import UnlearningShapley
from unshap_opendataval.siblings import UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO

__all__ = ["UnlearningBanzhaf", "UnlearningBetaShapley", "UnlearningLOO", "UnlearningShapley"]
