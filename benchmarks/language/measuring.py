"""One model, all that is compared: what each says of its sources, and what that took."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from harness.memory import watched
from harness.report import Row
from torch.nn.attention import SDPBackend, sdpa_kernel
from unshap_transformers.example import Example
from unshap_transformers.problems import source_problem

from language.agreement import additive, agreement, all_of, values_of
from language.peers import Peer
from language.rivals import RIVALS
from language.settings import Method
from unshap_plugin import UnlearningGame
from unshap_plugin.problem.module_problem import ModuleProblem

__all__ = ["absent", "measured"]

#: Coalitions of a pass, of retraining too.
CHUNK = 8


def absent(peers: Mapping[str, Peer]) -> list[str]:
    """Return the names of those whose package is not installed."""
    return [name for name, peer in peers.items() if find_spec(peer.package) is None]


def measured(example: Example, methods: Mapping[str, Method], peers: Mapping[str, Peer]) -> Iterator[Row]:
    """Yield a row for each that is compared: agreement with retraining, processor time, and memory.

    Time and memory of the utilities of all coalitions are given, where a method scores sources without coalitions those
    of the scores; models and data that are there before are not counted. ``retrainings`` is the time over that of one
    retraining.
    """
    problems = {access: _problem(example, access) for access in ("full", "partial")}
    full = problems["full"]
    everybody = all_of(full.n_players)
    truths, took = [], []
    for seed in (1, 2):
        done = watched(lambda seed=seed: UnlearningGame(full, "retrain", seed=seed, chunk=CHUNK)(everybody))  # type: ignore[misc]
        truths.append(done.pop("result"))
        took.append(done)
    truth = np.mean(truths, axis=0)
    each = sum(done["seconds"] for done in took) / len(took) / len(everybody)

    def row(name: str, access: str, done: Mapping[str, Any], utilities: Any, other: Any = truth) -> Row:
        cost = {"seconds": done["seconds"], "retrainings": done["seconds"] / each, "bytes": done["bytes"]}
        return {"method": name, "access": access, **cost, **agreement(other, utilities, full.players)}

    first = row("retraining, the other seed", "full", took[1], truths[1], truths[0])
    yield {**first, "worth": values_of(truth).tolist(), "players": list(full.players)}
    for name, method in methods.items():
        done = watched(_game(problems[method.access], method))
        yield {**row(name, method.access, done, done["result"]), "coalitions": len(everybody)}
    for name, rival in RIVALS.items():
        done = watched(lambda rival=rival: rival(full))  # type: ignore[misc]
        yield row(name, "full", done, additive(done["result"]))
    for name, peer in peers.items():
        if name not in absent(peers):
            done = watched(_attribution(example, full, peer))
            yield row(name, "full", done, additive(done["result"]))


def _problem(example: Example, access: Any) -> ModuleProblem:
    return source_problem(example.model, **example.data(), access=access)


def _game(problem: ModuleProblem, method: Method) -> Callable[[], Any]:
    def run() -> Any:
        game = UnlearningGame(problem, method.unlearner, chunk=CHUNK, **method.settings)
        # The other kernels have no second derivatives.
        with sdpa_kernel(SDPBackend.MATH) if method.unlearner == "influence" else nullcontext():
            return game(all_of(problem.n_players))

    return run


def _attribution(example: Example, problem: ModuleProblem, peer: Peer) -> Callable[[], Any]:
    import_module(peer.module)  # which is not counted
    logging.disable(logging.WARNING)  # of what it does to its own files

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = peer.scores(
                copy.deepcopy(example.model),
                problem.x["input_ids"],
                problem.x_test["input_ids"],  # type: ignore[call-overload,index]
            )
        return np.bincount(problem.player_of_row, weights=scores)

    return run
