"""Unlearning methods, one a file, named as the literature names them."""

from unshap_plugin.unlearners.anchored import Anchored
from unshap_plugin.unlearners.base import ModelList, Models, StackedModels, Unlearner
from unshap_plugin.unlearners.finetune import FineTune
from unshap_plugin.unlearners.function import FunctionUnlearner
from unshap_plugin.unlearners.graddiff import GradDiff
from unshap_plugin.unlearners.gradient_ascent import GradientAscent
from unshap_plugin.unlearners.influence import Influence
from unshap_plugin.unlearners.linear_exact import LinearExact
from unshap_plugin.unlearners.newton import Newton
from unshap_plugin.unlearners.npo import NPO
from unshap_plugin.unlearners.random_label import RandomLabel
from unshap_plugin.unlearners.reference_teacher import ReferenceTeacher
from unshap_plugin.unlearners.replay import Replay
from unshap_plugin.unlearners.retrain import Retrain
from unshap_plugin.unlearners.ssd import SSD
from unshap_plugin.unlearners.task_vector import TaskVector

__all__ = [
    "NPO",
    "SSD",
    "Anchored",
    "FineTune",
    "FunctionUnlearner",
    "GradDiff",
    "GradientAscent",
    "Influence",
    "LinearExact",
    "ModelList",
    "Models",
    "Newton",
    "RandomLabel",
    "ReferenceTeacher",
    "Replay",
    "Retrain",
    "StackedModels",
    "TaskVector",
    "Unlearner",
]
