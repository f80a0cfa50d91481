"""Unlearning methods, one a file, named as the literature names them."""

from unshap_plugin.unlearners.base import ModelList, Models, StackedModels, Unlearner
from unshap_plugin.unlearners.finetune import FineTune
from unshap_plugin.unlearners.function import FunctionUnlearner
from unshap_plugin.unlearners.gradient_ascent import GradientAscent
from unshap_plugin.unlearners.influence import Influence
from unshap_plugin.unlearners.linear_exact import LinearExact
from unshap_plugin.unlearners.newton import Newton
from unshap_plugin.unlearners.replay import Replay
from unshap_plugin.unlearners.retrain import Retrain
from unshap_plugin.unlearners.ssd import SSD

__all__ = [
    "SSD",
    "FineTune",
    "FunctionUnlearner",
    "GradientAscent",
    "Influence",
    "LinearExact",
    "ModelList",
    "Models",
    "Newton",
    "Replay",
    "Retrain",
    "StackedModels",
    "Unlearner",
]
