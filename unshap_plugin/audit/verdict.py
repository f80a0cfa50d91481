"""The verdict of an audit, in words."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence

from unshap_plugin.audit.agreement import Agreement, Bounds

__all__ = ["Verdict", "judge", "sentence"]

#: An error up to this many times that of two retrainings counts as theirs.
AS_RETRAINING = 1.1
#: An error below this share of that of doing nothing is none worth mentioning.
NEGLIGIBLE = 0.02
#: An error above this share of that of doing nothing is no better than that.
AS_NOTHING = 0.9
#: The share of the agreement between two retrainings from which on a ranking is a good one, and below which it is none.
RANKS, RANKS_NOT = 0.9, 0.5
#: Two retrainings that agree less than this on coalitions of one size cannot say who ranks them well.
JUDGEABLE = 0.3
_NAMED = 4
#: What is left to be done where values are off.
_CORRECT = ", or let retrainings='auto' correct them"


class Verdict(enum.Enum):
    """Verdict on what unlearned utilities are good for."""

    FAITHFUL = "as good as retraining"
    RANKING = "good for the ranking"
    ROUGH = "rough"
    USELESS = "no better than doing nothing"
    UNDECIDED = "undecided"


def judge(agreement: Agreement, bounds: Bounds) -> Verdict:
    """Return the verdict on one metric, from the figures over all audited coalitions.

    In this order:

    * ``UNDECIDED``: doing nothing is at most 1.1 times as wrong as another retraining is, so that whatever removing
      data does drowns in the noise of the training seed;
    * ``FAITHFUL``: the error is at most 1.1 times that between two retrainings, or 2% of that of doing nothing;
    * ``RANKING``: among coalitions of one size (on which alone differences of values depend) the rank correlation is
      at least 0.9 times that of two retrainings;
    * ``USELESS``: the error is at least 0.9 times that of doing nothing, or that rank correlation is below half of the
      one of two retrainings;
    * ``ROUGH``: anything else.

    The rank correlations count only where two retrainings have one of at least 0.3.
    """
    if agreement.nothing_error <= AS_RETRAINING * agreement.noise_error:
        return Verdict.UNDECIDED
    if agreement.error <= max(AS_RETRAINING * agreement.noise_error, NEGLIGIBLE * agreement.nothing_error):
        return Verdict.FAITHFUL
    share = _share(bounds)
    if share is not None and share >= RANKS:
        return Verdict.RANKING
    if agreement.error >= AS_NOTHING * agreement.nothing_error or (share is not None and share < RANKS_NOT):
        return Verdict.USELESS
    return Verdict.ROUGH


def sentence(
    unlearner: str,
    figures: Mapping[str, tuple[Agreement, Bounds]],
    others: Sequence[str] = (),
    settings: bool = False,
) -> str:
    """Return the verdict in one line; of several metrics one clause each, of many how many there are of each kind.

    ``others`` are the unlearners that may do better, and ``settings`` tells whether this one has any.
    """
    ways = [f"another unlearner ({', '.join(others)})"] if others else []
    ways += ["other settings"] if settings else []
    if len(figures) > _NAMED:
        counts = Counter(judge(*one) for one in figures.values())
        each = ", ".join(f"{kind.value} for {counts[kind]}" for kind in Verdict if counts[kind])
        return f"of {len(figures)} metrics {unlearner} is {each}"
    clauses = [(name, _clause(unlearner, *one, ways)) for name, one in figures.items()]
    return clauses[0][1] if len(clauses) == 1 else "; ".join(f"{name}: {clause}" for name, clause in clauses)


def _share(bounds: Bounds) -> float | None:
    """Return the share of the possible rank correlation that there is; ``None`` where that cannot be judged."""
    ceiling = bounds.noise_spearman_within
    if not ceiling >= JUDGEABLE:  # or not defined
        return None
    rank = bounds.spearman_within
    return rank / ceiling if rank == rank else 0.0  # all equal: it ranks nothing


def _clause(unlearner: str, agreement: Agreement, bounds: Bounds, ways: Sequence[str]) -> str:
    error, noise, nothing = (f"{one:.2g}" for one in (agreement.error, agreement.noise_error, agreement.nothing_error))
    rank = f"Spearman {bounds.spearman_within:.2f}, ceiling {bounds.noise_spearman_within:.2f}"
    verdict = judge(agreement, bounds)
    if verdict is Verdict.UNDECIDED:
        return (
            f"two retrainings differ by as much ({noise}) as removing data changes ({nothing}), so that nothing can be "
            f"said about {unlearner}: use a smoother metric or larger groups"
        )
    if verdict is Verdict.FAITHFUL:
        if agreement.error <= AS_RETRAINING * agreement.noise_error:
            return (
                f"{unlearner} is as close to retraining (off by {error}) as two retrainings are to each other "
                f"({noise}): its values can be trusted like retrained ones"
            )
        return (
            f"{unlearner} is next to equal to retraining (off by {error}, doing nothing by {nothing}): its values can "
            f"be trusted like retrained ones"
        )
    if unlearner == "retrain":
        return (
            f"retrain is retraining itself: it is off by {error} (two retrainings: {noise}) by the seed of the "
            f"training alone"
        )
    if verdict is Verdict.RANKING:
        return (
            f"{unlearner} ranks coalitions of one size well ({rank}) but is off by {error} on average (two "
            f"retrainings: {noise}): use the ranking, not the amounts{_CORRECT}"
        )
    if verdict is Verdict.ROUGH:
        return (
            f"{unlearner} is off by {error} on average (two retrainings: {noise}, doing nothing: {nothing}) and ranks "
            f"coalitions of one size only roughly ({rank}): trust large differences of values, not small "
            f"ones{_CORRECT}"
        )
    use = f": use {' or '.join(ways)}" if ways else ""
    if agreement.error >= AS_NOTHING * agreement.nothing_error:
        return f"{unlearner} is no better (off by {error}) than leaving the model as it is ({nothing}){use}"
    return f"{unlearner} sees how much data is removed but hardly which ({rank} among coalitions of one size){use}"
