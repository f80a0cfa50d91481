"""A game for workers on clusters: slow enough that one of them can be killed halfway."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from unshap_plugin import UnlearningGame, ValuationProblem

RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(40, 4)), RNG.normal(size=(30, 4))
Y, Y_TEST = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int), (X_TEST[:, 0] + 0.5 * X_TEST[:, 1] > 0).astype(int)
COALITIONS = np.unique(RNG.random((120, 8)) < 0.5, axis=0)


def noting(folder, seconds=0.0):
    """A metric that takes its time, and notes in a file of each process how often it was asked there."""

    def noted(outputs, targets):
        with (Path(folder) / str(os.getpid())).open("a", encoding="utf-8") as file:
            file.write(".")
        time.sleep(seconds)
        right = outputs.softmax(dim=1) if outputs.shape[1] > 1 else outputs
        return float(right[range(len(targets)), targets.long() % right.shape[1]].log().mean())

    return noted


def unpacked(folder):
    """A metric that notes in a file of each process how often it came there."""

    class Metric:
        __name__ = "unpacked"

        def __call__(self, outputs, targets):
            return float(outputs.mean())

        def __setstate__(self, state):
            with (Path(folder) / str(os.getpid())).open("a", encoding="utf-8") as file:
                file.write(".")

        def __getstate__(self):
            return {"something": 1}

    return Metric()


def game(metric="log_likelihood", **kwargs):
    problem = ValuationProblem(
        LogisticRegression().fit(X, Y), (X, Y), (X_TEST, Y_TEST), groups=np.repeat(np.arange(8), 5), metric=metric
    )
    return UnlearningGame(problem, "newton", **kwargs)


def at_work(folder):
    """How often each process was asked, but for this one."""
    files = [one for one in Path(folder).iterdir() if one.name != str(os.getpid())]
    return {int(one.name): len(one.read_text(encoding="utf-8")) for one in files}


def killing_one(folder, after):
    """Start a thread that kills the process that first was asked so often; it puts its number into a list."""
    killed = []

    def kill():
        while not killed:
            time.sleep(0.005)
            killed.extend([process for process, times in at_work(folder).items() if times >= after][:1])
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    return killed
