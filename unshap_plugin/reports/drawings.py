"""Pictures as SVG, to stand within a page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from unshap_plugin.support.printing import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["svg_of"]


def svg_of(ax: Axes, label: str) -> Markup:
    """Return a picture as an ``<svg>`` element, the same bits for the same picture, which readers aloud call ``label``.

    Text is drawn as paths, so that it looks alike everywhere and no name in it is markup.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> svg_of(Figure().add_subplot(), "nothing <yet>")[:62]
    Markup('<svg role="img" aria-label="nothing &lt;yet&gt;" xmlns:xlink="')
    """
    import matplotlib as mpl

    figure: Any = ax.figure
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "unshap", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") + len("<svg") :]
    return Markup('<svg role="img" aria-label="{}"').format(one_line(label)) + Markup(drawn)
