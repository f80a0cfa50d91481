"""Which value of a game is meant: a semivalue, by how often each number of others is there before a player."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError, check_number, in_short

__all__ = ["LEAVE_ONE_OUT", "NAMED", "SHAPLEY", "Kind", "Semivalue", "semivalue_of"]

#: ``"banzhaf"``, ``"loo"``, ``("beta", alpha, beta)``, or weights ``[n_players]``.
Kind: TypeAlias = "str | tuple[str, float, float] | ArrayLike"

SHAPLEY = "Shapley value"
LEAVE_ONE_OUT = "leave-one-out value"
#: Those that a name says, and all.
NAMED = ("banzhaf", "loo")
NAMES = (*NAMED, "beta")
#: How far from one the sum of weights may be.
ROUND_OFF = 1e-9
#: Up to so many weights are written out.
_FEW = 6


@dataclass(frozen=True)
class Semivalue:
    """A mean of marginal contributions (Dubey, Neyman & Weber 1981).

    ``phi_i = sum over s of weight_s * mean over |S| = s, i not in S, of v(S + i) - v(S)``

    Attributes
    ----------
    name
        What results call it.
    weights
        For the sizes 0 to ``n_players - 1``, ``[n_players]``: not negative, and one in all.

    Examples
    --------
    >>> Semivalue("Shapley value", np.full(4, 0.25)).weights.sum().item()
    1.0
    """

    name: str
    weights: NDArray[np.float64]


def semivalue_of(kind: Kind, n_players: int) -> Semivalue:
    """Return the semivalue that is meant, for a game of so many players.

    Parameters
    ----------
    kind
        ``"banzhaf"``: each of the others is there with probability one half (Wang & Jia 2023). ``("beta", alpha,
        beta)``: with a probability of its own distribution Beta(beta, alpha), so that (1, 1) is Shapley, and a larger
        alpha counts small coalitions for more (Kwon & Zou 2022). ``"loo"``: all others are there. Or weights
        ``[n_players]``, see ``Semivalue``.
    n_players
        Number of players.

    Raises
    ------
    UnknownNameError
        If there is no semivalue of that name.
    InvalidValueError, InvalidTypeError
        If its parameters are no numbers above 0, or the weights are not as many, negative, or do not sum to one.

    Examples
    --------
    >>> semivalue_of("banzhaf", 3).weights, semivalue_of(("beta", 1, 1), 4).weights.round(12)
    (array([0.25, 0.5 , 0.25]), array([0.25, 0.25, 0.25, 0.25]))
    >>> semivalue_of(("beta", 16, 1), 3).weights.round(3)
    array([0.889, 0.105, 0.007])
    >>> semivalue_of("loo", 3)
    Semivalue(name='leave-one-out value', weights=array([0., 0., 1.]))
    """
    others = np.arange(n_players)
    if isinstance(kind, tuple) and kind and isinstance(kind[0], str):
        if kind[0] not in NAMES:
            raise UnknownNameError("semivalue", kind[0], NAMES)
        if kind[0] != "beta" or len(kind) != 3:
            raise InvalidValueError(
                f"the semivalue is {in_short(kind)}, but a tuple is for ('beta', alpha, beta) alone: give two numbers "
                f"above 0 there, or one of 'banzhaf' and 'loo' as it is."
            )
        _, alpha, beta = kind
        check_number("alpha", alpha, zero=False)
        check_number("beta", beta, zero=False)
        return Semivalue(
            f"Beta({alpha:g}, {beta:g}) Shapley value", _beta_weights(float(alpha), float(beta), n_players)
        )
    if isinstance(kind, str):
        if kind == "banzhaf":
            return Semivalue("Banzhaf value", np.asarray(stats.binom.pmf(others, n_players - 1, 0.5)))
        if kind == "loo":
            return Semivalue(LEAVE_ONE_OUT, (others == n_players - 1).astype(np.float64))
        if kind == "beta":
            raise InvalidValueError("semivalue 'beta' has two parameters: give them, such as ('beta', 4, 1).")
        remark = "; Shapley values are those of shapley_values" if kind == "shapley" else ""
        raise UnknownNameError("semivalue", kind, NAMES, remark)
    try:
        weights = np.asarray(kind, dtype=np.float64)
    except (TypeError, ValueError):
        weights = np.zeros(())
    if weights.ndim == 0:
        raise InvalidTypeError(
            f"the semivalue is {in_short(kind)}, but 'banzhaf', 'loo', ('beta', alpha, beta), or a list of weights is "
            f"needed."
        )
    if weights.shape != (n_players,):
        raise InvalidValueError(
            f"the weights of the semivalue have the shape {list(weights.shape)}, but there are {n_players} players: "
            f"give one weight for each number of others, 0 to {n_players - 1}."
        )
    if not (weights >= 0).all() or not abs(weights.sum() - 1) <= ROUND_OFF:
        raise InvalidValueError(
            f"the weights of the semivalue are {in_short(weights)}, but they are to be not negative and one in all: "
            f"divide them by their sum."
        )
    return Semivalue(f"semivalue {_shown(weights)}", weights)


def _beta_weights(alpha: float, beta: float, n_players: int) -> NDArray[np.float64]:
    """Return the probabilities of a beta-binomial number of others, by the ratio of each to the one before."""
    others = np.arange(n_players - 1)
    steps = np.log((n_players - 1 - others) / (others + 1))
    steps += np.log(beta + others) - np.log(alpha + n_players - 2 - others)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    made: NDArray[np.float64] = np.exp(logs - logs.max())
    return made / made.sum()


def _shown(weights: NDArray[np.float64]) -> str:
    """Return weights as they are where they are few, and else what tells them from others."""
    if len(weights) <= _FEW:
        return f"of weights {', '.join(f'{weight:g}' for weight in weights)}"
    return f"of {len(weights)} weights with checksum {zlib.crc32(weights.tobytes()):08x}"
