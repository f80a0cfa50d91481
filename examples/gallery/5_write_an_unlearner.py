"""
Write an unlearner
==================

A method from a paper becomes an unlearner by being a function. Its arguments are matched by name, and what it needs to
see follows from them.
"""

import copy

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale
from unshap_conformance import check_unlearner, table

from unshap_plugin import UnlearningGame, ValuationProblem, audit, shapley_values
from unshap_plugin.plugin import UnlearnerSpec


def climb(model, forget, *, loss, lr=0.005):
    """Climb the loss of the forget rows by one gradient step."""
    model, (x, y) = copy.deepcopy(model), forget
    loss(model(x), y).sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += lr * parameter.grad
    return model


unlearner = UnlearnerSpec.from_function(climb, source="Your paper, 2026").make()
print(unlearner)

# %%
# It works wherever a name of a built-in method does.

x, y = load_wine(return_X_y=True)
x = scale(x)
model = LogisticRegression().fit(x[::2], y[::2])
groups = [f"cellar {i % 6}" for i in range(len(x[::2]))]
problem = ValuationProblem(model, (x[::2], y[::2]), (x[1::2], y[1::2]), groups=groups)
game = UnlearningGame(problem, unlearner)
shapley_values(game)

# %%
# Is it any good? That it runs says nothing about whether it forgets: the audit compares it with retraining, beside
# doing nothing at all.

report = audit(game, coalitions=30)
print(report.verdict)

# %%
fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
report.plot(ax)

# %%
# For comparison, a built-in method of second order on the same question:

print(audit(UnlearningGame(problem, "newton"), coalitions=30).verdict)

# %%
# And does it keep the contracts: is the given model left alone, does keeping everybody change nothing, is the same seed
# the same bits? The conformance suite asks.

print(table(check_unlearner(unlearner, checks=["identity", "untouched", "determinism", "batch"], on_fail="collect")))

# %%
# Two more lines and an entry point make it a plugin, whose name others can use: :doc:`/plugins`.
