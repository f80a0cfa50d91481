"""Every unlearner against retraining, by the size of the coalition: the tables of ``docs/unlearners.md``.

    python benchmarks/unlearners.py docs/unlearners.md

Four problems: a network and eight providers (as in ``benchmarks/providers.py``, heavy noise), a network and single
rows, logistic regression at its optimum and ridge regression. Coalitions of all sizes are retrained with two seeds;
methods that see no retained rows get partial access with a reference set. Means over five seeds, about a quarter of an
hour.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import providers
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.audit.retraining import retrained
from unshap_plugin.audit.sizes import draw
from unshap_plugin.cli._examples import example
from unshap_plugin.cli._models import train_model
from unshap_plugin.errors import AccessError
from unshap_plugin.plugin import Access
from unshap_plugin.plugins.registry import registered_unlearners

QUARTERS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
#: Newton's matrix of the larger network takes seconds for every coalition.
SLOW = {("network, providers", "newton")}
HEAD = """# The unlearners, measured

Written by `python benchmarks/unlearners.py docs/unlearners.md` (one thread, {seeds} seeds).

Each method against retraining on the same coalitions: Spearman's rank correlation of the utilities over coalitions of
all sizes (with its standard deviation over the seeds) and within each quarter of the sizes, from few rows kept to
nearly all; the mean absolute error of the utility; microseconds for a coalition, what is done once included. *another
seed* is retraining with other seeds, which no method can be expected to beat; *nothing* leaves the model as it is.
Methods whose access is `forget` (with `reference`) ran in partial access. Settings are the defaults.

The methods that take steps of Adam (`finetune`, `graddiff`, `gradient_ascent`, `anchored`, `reference_teacher`, `npo`,
`simnpo`, `random_label`, `task_vector`, `pseudo_background`) take them with all rows, unless `batch_size` is set
(`--setting batch_size=32` in a shell). A coalition then takes so many rows a step: the next of those that the method
gives a weight there (retained rows, forget rows; for `graddiff` any), in an order that the seed draws and all
coalitions share. The other rows are not computed. Rows of a reference set come in batches too. [What that
gains](measurements.md#minibatches) is measured apart.

A rank correlation within a quarter is lower than over all sizes, since there size explains less. A network trained with
all rows at once from known initial parameters has no noise of the seed. Times are those of a busy machine: compare them
within a table. What all this does to the values of providers is [measured too](measurements.md#providers).
"""


def network_of_providers(seed: int) -> Callable[[str], ValuationProblem]:
    """Return what makes the problem for a level of access."""
    return lambda access: providers.problem("heavy", seed, access)


def of_example(name: str, model: str, metric: str, seed: int) -> Callable[[str], ValuationProblem]:
    """Return what makes a problem of 200 rows, half of whose test rows are the reference set."""
    table = example(name, seed=seed)
    trained = train_model(model, table, seed)
    half = len(table.y_test) // 2

    def make(access: str) -> ValuationProblem:
        return ValuationProblem(
            trained.model,
            (table.x, table.y),
            (table.x_test[:half], table.y_test[:half]),
            loss=trained.loss,
            metric=metric,
            reference=table.x_test[half:],
            access=access,  # type: ignore[arg-type]
            fit=trained.recipe,
        )

    return make


PROBLEMS: dict[str, tuple[str, Callable[[int], Callable[[str], ValuationProblem]]]] = {
    "network, providers": (
        "A 64-32-10 network on digits, 150 full-batch steps of Adam, eight providers, log-likelihood",
        network_of_providers,
    ),
    "network, rows": (
        "A network with 32 hidden units on breast_cancer, 200 rows, 30 epochs of Adam in batches of 32, log-likelihood",
        lambda seed: of_example("breast_cancer", "mlp", "log_likelihood", seed),
    ),
    "logistic regression, rows": (
        "L2-regularised logistic regression at its optimum on breast_cancer, 200 rows, log-likelihood",
        lambda seed: of_example("breast_cancer", "logistic", "log_likelihood", seed),
    ),
    "ridge regression, rows": (
        "Ridge regression on diabetes, 200 rows, share of variance explained",
        lambda seed: of_example("diabetes", "ridge", "r2", seed),
    ),
}


def last_column(utilities: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
    """Return the utilities of the last metric where there are several."""
    return utilities[..., -1] if utilities.ndim > ndim else utilities


def figures(ours: NDArray[np.float64], truth: NDArray[np.float64], share: NDArray[np.float64]) -> list[float]:
    """Return rank correlations, of all and by quarter, and the mean absolute error, against ``truth [s, m]``."""
    parts = [
        np.ones(len(share), dtype=bool),
        *((share > a) & (share < b if b == 1 else share <= b) for a, b in QUARTERS),
    ]
    ranks = [float(np.mean([spearmanr(ours[part], one[part])[0] for one in truth])) for part in parts]
    return [*ranks, float(np.mean([np.abs(ours - one).mean() for one in truth]))]


def measured(title: str, make: Callable[[str], ValuationProblem], seed: int) -> Iterator[tuple[str, str, list[float]]]:
    """Yield method, access and figures with microseconds."""
    full = make("full")
    coalitions = draw(full.n_players, 256 if full.n_players <= 8 else 160, seed)
    share = coalitions.mean(axis=1)
    begin = time.perf_counter()
    truth = last_column(retrained(full, coalitions, (1, 2))[0], 2)
    cost = (time.perf_counter() - begin) / 2 / len(coalitions) * 1e6
    yield "*another seed*", "", [*figures(truth[0], truth[1:], share), cost]
    given = np.broadcast_to(last_column(full.given_utility, 0), truth[0].shape)
    yield "*nothing*", "", [*[np.nan] * 5, float(np.abs(given - truth).mean()), 0.0]
    for name, registered in registered_unlearners().items():
        if name == "retrain" or (title, name) in SLOW:
            continue
        needs = registered.offer.access
        begin = time.perf_counter()
        try:
            game = UnlearningGame(make("full" if Access.RETAIN in needs else "partial"), name)
        except AccessError:
            continue
        ours = last_column(game(coalitions), 1)
        cost = (time.perf_counter() - begin) / len(coalitions) * 1e6
        yield f"`{name}`", needs.names().lower(), [*figures(ours, truth, share), cost]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*cannot be retrained for many coalitions at once")
    warnings.filterwarnings("ignore", message="An input array is constant")
    lines = [HEAD.format(seeds=options.seeds)]
    for title, (what, make) in PROBLEMS.items():
        rows: dict[tuple[str, str], list[list[float]]] = {}
        for seed in range(options.seeds):
            for name, access, values in measured(title, make(seed), seed):
                rows.setdefault((name, access), []).append(values)
        lines += [f"## {title[0].upper()}{title[1:]}", "", f"{what}.", ""]
        lines.append("| method | access | Spearman | quarters of the sizes, few to many | error | microseconds |")
        lines.append("|---|---|---|---|---|---|")
        for (name, access), runs in rows.items():
            mean, spread = np.mean(runs, axis=0), np.std([run[0] for run in runs])
            ranks = ", ".join(f"{one:.2f}" for one in mean[1:5])
            ranks, overall = ("", "") if np.isnan(mean[0]) else (ranks, f"{mean[0]:.3f} ± {spread:.3f}")
            lines.append(f"| {name} | {access} | {overall} | {ranks} | {mean[5]:.4f} | {mean[6]:,.0f} |")
        lines.append("")
        print("\n".join(lines[-len(rows) - 7 :]), flush=True)
    options.page.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
