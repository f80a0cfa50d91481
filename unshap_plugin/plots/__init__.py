"""Pictures, each drawn into given ``Axes``: of results and audits (their ``plot``), and of what lies behind them."""

from unshap_plugin.plots.convergence import draw_convergence
from unshap_plugin.plots.curves import draw_addition, draw_removal
from unshap_plugin.plots.interactions import draw_interactions
from unshap_plugin.plots.marginals import draw_marginals

__all__ = ["draw_addition", "draw_convergence", "draw_interactions", "draw_marginals", "draw_removal"]
