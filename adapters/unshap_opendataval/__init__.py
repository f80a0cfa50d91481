"""Unlearning evaluators for OpenDataVal: they stand in an ``ExperimentMediator`` beside OpenDataVal's own."""

from unshap_opendataval.evaluator import UnlearningShapley

__all__ = ["UnlearningShapley"]
