"""Unlearning methods, one a file, named as the literature names them.

To add one: its file, and a line here.
"""

from unshap_plugin.unlearners.anchored import Anchored as Anchored
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.finetune import FineTune as FineTune
from unshap_plugin.unlearners.graddiff import GradDiff as GradDiff
from unshap_plugin.unlearners.gradient_ascent import GradientAscent as GradientAscent
from unshap_plugin.unlearners.influence import Influence as Influence
from unshap_plugin.unlearners.linear_exact import LinearExact as LinearExact
from unshap_plugin.unlearners.merge import Merge as Merge
from unshap_plugin.unlearners.newton import Newton as Newton
from unshap_plugin.unlearners.npo import NPO as NPO
from unshap_plugin.unlearners.pseudo_background import PseudoBackground as PseudoBackground
from unshap_plugin.unlearners.random_label import RandomLabel as RandomLabel
from unshap_plugin.unlearners.reference_teacher import ReferenceTeacher as ReferenceTeacher
from unshap_plugin.unlearners.replay import Replay as Replay
from unshap_plugin.unlearners.retrain import Retrain as Retrain
from unshap_plugin.unlearners.simnpo import SimNPO as SimNPO
from unshap_plugin.unlearners.ssd import SSD as SSD
from unshap_plugin.unlearners.task_vector import TaskVector as TaskVector

#: The classes that are imported above, in that order.
METHODS: tuple[type[Unlearner], ...] = tuple(
    one for one in vars().values() if isinstance(one, type) and issubclass(one, Unlearner) and one is not Unlearner
)

__all__ = ["METHODS", *(method.__name__ for method in METHODS)]
