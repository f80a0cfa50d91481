"""Six sources of a small language model's fine-tune: values by unlearning against those of retraining.

    OMP_NUM_THREADS=1 python benchmarks/language_models.py

The model of ``unshap text --example stdlib`` (bytes of the standard library's source, an adapter of rank 4 for six
sources of unequal size, one scrambled, two of the same files) in two families, GPT-2 and Llama, and all 64 coalitions
retrained with two seeds. Printed are, against the mean of both, the correlation (Pearson) of the Shapley values, of
those of the five sources that are not scrambled, and of the leave-one-out values, the rank correlation (Spearman) of
the utilities, and the processor time per coalition as a share of that of retraining; of what scores sources without
coalitions, its whole time as a share of 64 retrainings. Means over seeds and families, with the smallest in brackets.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from torch.nn.attention import SDPBackend, sdpa_kernel
from unshap_transformers.example import Example, stdlib
from unshap_transformers.problems import source_problem

from unshap_plugin import UnlearningGame, shapley_values
from unshap_plugin.model.rows import Rows, take
from unshap_plugin.problem.module_problem import ModuleProblem

ALL = (np.arange(64)[:, None] >> np.arange(6) & 1).astype(bool)
LAST = ~np.eye(6, dtype=bool)
SCRAMBLED = 3  # of the sources in the order of their names
RATE = 1e-2  # that of the training

#: What is compared: the access, the unlearner, and its settings.
METHODS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "`finetune`": ("full", "finetune", {"steps": 8, "lr": RATE, "batch_size": 16}),
    "`graddiff`": ("full", "graddiff", {"steps": 8, "lr": RATE, "batch_size": 16}),
    "`merge`": ("full", "merge", {}),
    "`influence`": ("full", "influence", {}),
    "`gradient_ascent`": ("partial", "gradient_ascent", {"steps": 4, "lr": RATE, "batch_size": 16}),
    "`npo`": ("partial", "npo", {"steps": 4, "lr": RATE / 10, "batch_size": 16}),
    "`simnpo`": ("partial", "simnpo", {"steps": 4, "lr": RATE / 10, "batch_size": 16}),
    "`reference_teacher`": ("partial", "reference_teacher", {"steps": 8, "lr": RATE, "batch_size": 16}),
}
#: What else was tried when the settings above were chosen, with ``--choose``.
TRIED: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{
        f"finetune {steps} x {size} {rate:g} {shrink:g}": (
            "full",
            "finetune",
            {"steps": steps, "lr": rate, "batch_size": size, "shrink": shrink},
        )
        for steps, size, rate, shrink in (
            (4, 16, RATE, 0.8),
            (8, 16, RATE / 2, 0.8),
            (8, 16, RATE, 0.8),
            (8, 16, RATE, 1.0),
            (8, 16, RATE, 0.5),
            (8, 16, 2 * RATE, 0.8),
            (8, 32, RATE, 0.8),
            (16, 16, RATE, 0.8),
        )
    },
    **{
        f"{name} {steps} x 16 {rate:g}": ("partial", name, {"steps": steps, "lr": rate, "batch_size": 16})
        for name in ("gradient_ascent", "npo", "simnpo")
        for steps, rate in ((4, RATE / 10), (4, RATE / 3), (4, RATE), (10, RATE / 3))
    },
    **{
        f"reference_teacher {steps} x 16 {rate:g}": (
            "partial",
            "reference_teacher",
            {"steps": steps, "lr": rate, "batch_size": 16},
        )
        for steps, rate in ((4, RATE), (8, RATE), (8, 2 * RATE))
    },
    **{name: one for name, one in METHODS.items() if one[1] in ("graddiff", "merge", "influence")},
}


@dataclass(frozen=True, eq=False)
class Truth:
    """Utilities of all coalitions by retraining, ``[2, 64]``, and the seconds of one of them."""

    utilities: NDArray[np.float64]
    seconds: float

    @property
    def mean(self) -> NDArray[np.float64]:
        """The utilities, ``[64]``."""
        return self.utilities.mean(axis=0)


class Known:
    """The game of utilities that are known, in the order of ``ALL``."""

    n_players = 6

    def __init__(self, utilities: NDArray[np.float64]) -> None:
        self._utilities = utilities

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities ``[m]``."""
        return self._utilities[np.asarray(coalitions) @ (1 << np.arange(6))]


def values_of(utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Shapley values ``[6]`` of utilities ``[64]``."""
    return shapley_values(Known(utilities), "exact").values


def good_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of the sources that are not scrambled, ``[5]``: that one decides every correlation with it."""
    return np.delete(values, SCRAMBLED)


def left_out(utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the leave-one-out values ``[6]`` of utilities ``[64]``."""
    return utilities[-1] - Known(utilities)(LAST)


def retrained(problem: ModuleProblem) -> Truth:
    """Return what retraining says, by two seeds."""
    games = [UnlearningGame(problem, "retrain", seed=seed) for seed in (1, 2)]
    begin = time.process_time()
    found = [game(ALL) for game in games]
    return Truth(np.stack(found), (time.process_time() - begin) / 2 / len(ALL))


def agreement(truth: Truth, utilities: NDArray[np.float64], seconds: float) -> tuple[float, ...]:
    """Return how utilities ``[64]`` agree with retraining, in the order of the columns of the table."""
    return (
        pearsonr(values_of(truth.mean), values_of(utilities))[0],
        pearsonr(good_of(values_of(truth.mean)), good_of(values_of(utilities)))[0],
        pearsonr(left_out(truth.mean), left_out(utilities))[0],
        spearmanr(truth.mean, utilities)[0],
        seconds / len(ALL) / truth.seconds,
    )


def untrac(problem: ModuleProblem, lr: float = 1e-3, size: int = 16) -> NDArray[np.float64]:
    """Return for each source how far the evaluation falls when its loss is ascended (arXiv 2401.15241), ``[6]``."""
    scores = []
    for player in range(problem.n_players):
        mine = torch.from_numpy(np.flatnonzero(problem.player_of_row == player))
        theta = _ascended(problem, take(problem.x, mine), problem.y[mine], lr, size)
        scores.append(_loss(problem, theta, problem.x_test) - _loss(problem, None, problem.x_test))
    return np.array(scores)


def untrac_inv(problem: ModuleProblem, lr: float = 1e-3, size: int = 16) -> NDArray[np.float64]:
    """Return for each source how far its loss rises when that of the evaluation set is ascended, ``[6]``."""
    theta = _ascended(problem, problem.x_test, problem.y_test, lr, size)
    scores = []
    for player in range(problem.n_players):
        mine = take(problem.x, torch.from_numpy(np.flatnonzero(problem.player_of_row == player)))
        scores.append(_loss(problem, theta, mine) - _loss(problem, None, mine))
    return np.array(scores)


def cosine(problem: ModuleProblem) -> NDArray[np.float64]:
    """Return the cosine of the gradients of each source and of the evaluation set, ``[6]``."""
    gradients = [_gradient(problem, problem.engine.stack(1), problem.x_test)]
    for player in range(problem.n_players):
        mine = torch.from_numpy(np.flatnonzero(problem.player_of_row == player))
        gradients.append(_gradient(problem, problem.engine.stack(1), take(problem.x, mine)))
    test, *each = (problem.engine.flatten(one) for one in gradients)
    return np.array([float(torch.cosine_similarity(test, one)) for one in each])


BASELINES: dict[str, Callable[[ModuleProblem], NDArray[np.float64]]] = {
    "UnTrac": untrac,
    "UnTrac-Inv": untrac_inv,
    "cosine of gradients": cosine,
}


def _gradient(problem: ModuleProblem, theta: dict[str, torch.Tensor], x: Rows) -> dict[str, torch.Tensor]:
    rows = len(x["input_ids"])  # type: ignore[call-overload,index]
    weights = torch.full((1, rows), 1 / rows)
    return problem.engine.gradients(theta, weights, x, torch.zeros(rows, 3, dtype=torch.long))


def _ascended(problem: ModuleProblem, x: Rows, y: torch.Tensor, lr: float, size: int) -> dict[str, torch.Tensor]:
    """Return where one epoch of ascent by Adam leads, as UnTrac has it."""
    theta = {name: p.requires_grad_() for name, p in problem.engine.stack(1).items()}
    optimizer = torch.optim.Adam(theta.values(), lr=lr, maximize=True)
    for batch in torch.from_numpy(np.random.default_rng(0).permutation(len(y))).split(size):
        gradient = _gradient(problem, {name: p.detach() for name, p in theta.items()}, take(x, batch))
        for name, p in theta.items():
            p.grad = gradient[name]
        optimizer.step()
    return {name: p.detach() for name, p in theta.items()}


def _loss(problem: ModuleProblem, theta: dict[str, torch.Tensor] | None, x: Rows) -> float:
    outputs = problem.engine.outputs(theta or problem.engine.stack(1), x)
    return float(-outputs[0, :, 0].sum() / outputs[0, :, 1].sum())


def _problems(example: Example) -> dict[str, ModuleProblem]:
    return {access: source_problem(example.model, **example.data(), access=access) for access in ("full", "partial")}  # type: ignore[arg-type]


def table(
    kinds: Sequence[str],
    seeds: Sequence[int],
    methods: dict[str, tuple[str, str, dict[str, Any]]],
    sizes: dict[str, int],
) -> Iterator[str]:
    """Yield the lines of the table, and before it those of the noise of retraining."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for kind in kinds:
        for seed in seeds:
            problems = _problems(stdlib(kind, seed=seed, **sizes))
            truth = retrained(problems["full"])
            one, other = truth.utilities
            noise = pearsonr(values_of(one), values_of(other))[0]
            shown = ", ".join(
                f"{name} {value:.4f}"
                for name, value in zip(problems["full"].players, values_of(truth.mean), strict=True)
            )
            yield f"{kind}, seed {seed}: retraining {truth.seconds:.2f} s, its seeds agree to {noise:.4f}; {shown}"
            found.setdefault("retraining, the other seed", []).append(
                agreement(Truth(one[None], truth.seconds), other, 64 * truth.seconds)
            )
            for name, (access, unlearner, settings) in methods.items():
                game = UnlearningGame(problems[access], unlearner, **settings)
                begin = time.process_time()
                with sdpa_kernel(SDPBackend.MATH) if unlearner == "influence" else nullcontext():
                    utilities = game(ALL)  # the other kernels have no second derivatives
                found.setdefault(f"{name} | {access}", []).append(
                    agreement(truth, utilities, time.process_time() - begin)
                )
            for name, score in BASELINES.items():
                begin = time.process_time()
                scores = score(problems["full"])
                share = (time.process_time() - begin) / len(ALL) / truth.seconds
                agreed = [pearsonr(of(truth.mean), scores)[0] for of in (values_of, left_out)]
                agreed.insert(1, pearsonr(good_of(values_of(truth.mean)), good_of(scores))[0])
                found.setdefault(f"{name} | full", []).append((*agreed, np.nan, share))
    yield ""
    yield "| method | access | values: Pearson | of the five | leave-one-out: Pearson | utilities: Spearman | cost |"
    yield "|---|---|---|---|---|---|---|"
    for name, rows in found.items():
        mean, low = np.mean(rows, axis=0), np.min(rows, axis=0)
        cells = [f"{mean[k]:.3f} ({low[k]:.3f})" if mean[k] == mean[k] else "-" for k in range(4)]
        label = name if " | " in name else f"{name} | full"
        yield f"| {label} | {' | '.join(cells)} | {mean[4]:.3f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1, 2], help="0 is the one that settings were chosen by"
    )
    parser.add_argument("--kinds", nargs="+", choices=["gpt2", "llama"], default=["gpt2", "llama"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, to see that it runs")
    parser.add_argument("--choose", action="store_true", help="try other settings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = {"rows": 10, "base_rows": 64} if options.quick else {}
    for line in table(options.kinds, options.seeds, TRIED if options.choose else METHODS, sizes):
        print(line, flush=True)


if __name__ == "__main__":
    main()
