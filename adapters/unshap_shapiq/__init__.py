"""Games of unlearning for shapiq: its approximators, indices of interaction and plots work on them."""

from unshap_plugin.frameworks import check_framework

check_framework("shapiq")

from unshap_shapiq.game import UnlearningShapiqGame
from unshap_shapiq.pairs import pairs

__all__ = ["UnlearningShapiqGame", "pairs"]
