"""A small table of providers, and its values, that the tests of data in all its forms share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from unshap_plugin import value

_RNG = np.random.default_rng(0)
NAMES = list("abcd")
X = _RNG.normal(size=(30, 4))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)
XT = _RNG.normal(size=(40, 4))
YT = (XT[:, 0] + 0.5 * XT[:, 1] > 0).astype(int)
GROUPS = np.repeat(np.arange(5), 6)


def frame(x, names=NAMES):
    return pd.DataFrame(x, columns=names)


def values(model, x=X, y=Y, xt=XT, yt=YT, groups=GROUPS, **kwargs):
    """Return the exact values of all providers."""
    result = value(model, train=(x, y), test=(xt, yt), groups=groups, estimator="exact", **kwargs)
    return result.values  # noqa: PD011 (no table of pandas)
