"""Surrogates of a dear game that take multiples of what cheap ones give: averages, each by how likely it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.sizes import Along
from unshap_plugin.estimators.surrogates.base import Surrogate
from unshap_plugin.estimators.surrogates.gaussian_process import (
    LENGTHS,
    MOST_PAIRS,
    MOST_PLAYERS,
    NOISES,
    GaussianProcess,
    covariance,
)
from unshap_plugin.estimators.surrogates.linear import Linear, features_of

__all__ = ["Assisted"]

#: Prior variance of the multiple of a feature whose mean square is one, beside one of the surrogate's own.
STRENGTH = 10.0
#: How many times less likely than none features are beforehand, so that evidence for them has to be strong, and those
#: that say most of sizes once more, so that it has to be decisive (Jeffreys 1961): what differs by size counts nothing.
STRONG, DECISIVE = 10.0, 100.0
#: Noises of a linear one, which leaves more to it.
NOISES_OF_LINEAR = (1e2, 1e1, 1.0, 1e-1, 1e-2, 1e-3, 1e-5, 1e-7)
#: Up to so many pairs to a player the likelihood says how much each surrogate counts, and beyond more and more the
#: errors of pairs that are left out: few of these are too noisy, and the likelihood takes all pairs for alike.
FEW, FASTER = 1.8, 6
ROUND_OFF, TINY = 1e-12, 1e-300


@dataclass
class _Average:
    """Weights of pairs and multiples of features, in the mean over surrogates by how likely each is.

    Attributes
    ----------
    top
        The largest log likelihood so far, ``[t]``; sums are divided by its exponential.
    total, multiples, weights
        Sums of likelihoods ``[t]``, of multiples ``[t, q]``, and of weights ``[m, t]``, by kernel.
    """

    top: NDArray[np.float64]
    total: NDArray[np.float64]
    multiples: NDArray[np.float64]
    weights: dict[float | None, NDArray[np.float64]] = field(default_factory=dict)

    def add(
        self,
        kernel: float | None,
        likely: NDArray[np.float64],
        multiples: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> None:
        """Take in surrogates of a kernel, by their log likelihoods ``[z, t]``: ``[z, t, q]`` and ``[z, m, t]``."""
        top = np.maximum(self.top, likely.max(axis=0))
        before, now = np.exp(self.top - top), np.exp(likely - top)
        self.top, self.total = top, self.total * before + now.sum(axis=0)
        self.multiples = self.multiples * before[:, None] + np.einsum("zt,ztq->tq", now, multiples)
        for each in self.weights.values():
            each *= before
        self.weights.setdefault(kernel, np.zeros(weights.shape[1:]))
        self.weights[kernel] += np.einsum("zt,zmt->mt", now, weights)


class Assisted:
    """``f + b u``: a mean of Gaussian processes and ridge regressions, with multiples of features ``u``.

    Each has the kernel ``k + tau sum_q u_q u_q'``, with ``k`` that of ``GaussianProcess`` of one length, or that of
    ``Linear``, one noise, and none, each or all of the features. Some features mean what is fitted, and are also taken
    as they are: their multiples are then one beforehand, and not zero. Each counts as much as it is likely (Hoeting et
    al. 1999): where pairs are few by the marginal likelihood, and else by the errors of pairs that are left out, both
    as they are and as they count in the variance of the values. Beforehand none is most likely, and least likely are
    features that mean what is fitted: they differ most from size to size, which counts nothing in the values.

    Parameters
    ----------
    pairs, half, even
        See ``Surrogate``.
    features
        ``u`` of the pairs, ``[m, t, q]``.
    counts
        How much the squared residual of each pair counts in the variance of the values, ``[m]``.
    like
        How many features, the first ones, mean what is fitted.

    Attributes
    ----------
    multiples
        ``b``, ``[t, q]``.

    Examples
    --------
    >>> pairs = np.eye(6, dtype=bool)
    >>> u = np.array([3.0, -1.0, 2.0, 5.0, -2.0, 0.5])[:, None]
    >>> found = Assisted(pairs, 2 * u, u[..., None], np.ones(6))
    >>> found.multiples.round(1)
    array([[2.]])
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> shapley = sizes_of(np.full(6, 1 / 6))
    >>> left = found.predict(pairs), found.shares(shapley.odd, shapley.mass)
    >>> [bool((np.abs(one) < 0.5).all()) for one in left]
    [True, True]
    """

    def __init__(
        self,
        pairs: NDArray[np.bool_],
        half: NDArray[np.float64],
        features: NDArray[np.float64],
        counts: NDArray[np.float64],
        even: bool = False,
        like: int = 0,
    ) -> None:
        pairs, half, u, counts = pairs[:MOST_PAIRS], half[:MOST_PAIRS], features[:MOST_PAIRS], counts[:MOST_PAIRS]
        t, q = u.shape[1:]
        scale = np.sqrt(np.mean(u**2, axis=0)) if len(u) else np.zeros((t, q))
        scale[scale == 0] = 1.0
        average = _Average(np.full(t, -np.inf), np.zeros(t), np.zeros((t, q)))
        flat = features_of(pairs, even)
        kernels: list[tuple[float | None, tuple[float, ...]]] = [(None, NOISES_OF_LINEAR)]
        if pairs.shape[1] <= MOST_PLAYERS:
            kernels += [(length, NOISES) for length in LENGTHS]
        counts = counts / counts.sum() if counts.any() else np.full(len(pairs), 1 / max(len(pairs), 1))
        trust = min(1.0, (FEW * pairs.shape[1] / max(len(pairs), 1)) ** FASTER)
        for length, noises in kernels if len(pairs) else []:
            prior = flat @ flat.T if length is None else covariance(pairs, pairs, length, even)
            _add(average, length, prior, noises, half, u / scale, scale[:, :like], counts, trust)
        self.multiples = average.multiples / np.where(average.total > 0, average.total, 1)[:, None] / scale
        self._shape = pairs.shape[1], t
        self._parts: list[Surrogate] = []
        found = {length: weights / average.total for length, weights in average.weights.items()}
        if found:
            self._parts.append(Linear.of(flat.T @ found.pop(None), even))
            parts = [(length, weights) for length, weights in found.items() if length is not None]
            self._parts += [GaussianProcess.of(pairs, parts, even)] if parts else []

    def predict(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return ``f``, without the features, of coalitions ``[m, n_players]``, as ``[m, t]``."""
        return np.sum([np.zeros((len(pairs), self._shape[1])), *(one.predict(pairs) for one in self._parts)], axis=0)

    def shares(self, along: Along, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted shares of ``f``, ``[n_players, t]``; see ``Surrogate.shares``."""
        return np.sum([np.zeros(self._shape), *(one.shares(along, weight) for one in self._parts)], axis=0)


def _add(
    average: _Average,
    length: float | None,
    prior: NDArray[np.float64],
    noises: tuple[float, ...],
    half: NDArray[np.float64],
    u: NDArray[np.float64],
    units: NDArray[np.float64],
    counts: NDArray[np.float64],
    trust: float,
) -> None:
    """Add the surrogates of one kernel to the average; ``trust`` is the part that the marginal likelihood has.

    Features change a covariance by little, so that its inverse follows by the formula of Sherman & Morrison (1950).
    The first of them are also taken as they are, which leaves to be fitted what ``half`` differs from them by; they
    were divided by ``units``, ``[t, like]``.
    """
    (m, t), q, like = half.shape, u.shape[2], units.shape[1]
    values, vectors = np.linalg.eigh(prior)
    spread = np.maximum(values, 0) + np.array(noises)[:, None]  # [z, m]
    solved = vectors @ (vectors.T @ np.concatenate([half, u.reshape(m, -1)], axis=1) / spread[..., None])
    own, of_features = solved[..., :t], solved[..., t:].reshape(-1, m, t, q)
    diagonal = 1 / spread @ (vectors**2).T
    volume = np.log(spread).sum(axis=1)[:, None]
    groups = [(k,) for k in range(q)] + ([tuple(range(q))] if q > 1 else [])
    for group in [(), *groups]:
        taken, pulled = u[..., group], of_features[..., group]
        gram = np.einsum("mts,zmtr->ztsr", taken, pulled) + np.eye(len(group)) / STRENGTH
        inverse = np.linalg.inv(gram)
        turned = np.einsum("zmts,ztsr->zmtr", pulled, inverse)
        left = diagonal[..., None] - np.einsum("zmts,zmts->zmt", turned, pulled)
        left = np.maximum(left, ROUND_OFF * diagonal[..., None])
        volumes = volume + np.linalg.slogdet(gram)[1] + len(group) * np.log(STRENGTH)
        for whole in range(-1, like):
            rest, mine, multiples = half, own, np.zeros((len(noises), t, q))
            if whole >= 0:
                rest = half - units[:, whole] * u[..., whole]
                mine = own - units[:, whole] * of_features[..., whole]
                multiples[..., whole] = units[:, whole]
            along = np.einsum("mts,zmt->zts", taken, mine)
            found = np.einsum("ztsr,ztr->zts", inverse, along)
            weights = mine - np.einsum("zmts,zts->zmt", pulled, found)
            squares = (weights / left) ** 2
            missed = (np.log(squares.mean(axis=1) + TINY) + np.log(counts @ squares + TINY)) / 2
            square = np.einsum("mt,zmt->zt", rest, mine) - np.einsum("zts,zts->zt", along, found)
            explained = np.log(np.maximum(square, 0) / m + TINY)
            multiples[..., group] += found
            likely = -m / 2 * (trust * explained + (1 - trust) * missed) - trust * volumes / 2
            alike = STRONG * (len(groups) * (1 + like) if group else like) if group or whole >= 0 else 1.0
            if whole >= 0 or any(k < like for k in group):
                alike *= DECISIVE
            average.add(length, likely - np.log(alike), multiples, weights)
