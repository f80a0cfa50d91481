"""Unlearning evaluators for OpenDataVal: drop them into an ``ExperimentMediator`` beside OpenDataVal's own."""

from unshap_opendataval.evaluator import UnlearningShapley

__all__ = ["UnlearningShapley"]
