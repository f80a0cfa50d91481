"""
A market in which nobody shows rows
===================================

An owner trained a model on the rows of eight hospitals, and a buyer wants to pay them for what their rows are worth to
it. Three of them value their own rows, without seeing those of the others; the buyer, who sees no rows at all, checks
what they claim.
"""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, compute_artifacts, shapley_values
from unshap_plugin.losses import cross_entropy

market = Path(mkdtemp())  # where files are left for others
public_test = pd.read_csv("../test.csv")  # on which utility is measured
columns = [name for name in public_test if name != "diagnosis"]


def tensors(table):
    """Return features and labels as the owner announced them: as they are, and 1 for malignant."""
    scaled = (table[columns] - MEAN) / STD
    return torch.tensor(scaled.to_numpy().copy()), torch.tensor((table["diagnosis"] == "malignant").to_numpy() * 1)


# %%
# The owner
# ---------
#
# The owner trains, and publishes the model with its artefacts: sums over all rows, such as the Hessian, that take the
# place of rows that are not at hand. It also announces how features are scaled.

everything = pd.read_csv("../providers.csv")
MEAN, STD = everything[columns].mean(), everything[columns].std()
start = torch.nn.Linear(len(columns), 2, dtype=torch.float64)
torch.nn.init.zeros_(start.weight)
torch.nn.init.zeros_(start.bias)
recipe = Recipe("lbfgs", lr=1.0, epochs=500, batch_size=None, l2=0.01, init=start)
trained = recipe.train(start, cross_entropy, *tensors(everything))
owner = ValuationProblem(trained, tensors(everything), tensors(public_test), fit=recipe)
save_file(trained.state_dict(), market / "model.safetensors")
compute_artifacts(owner).save(market / "artifacts.safetensors")


# %%
# A provider
# ----------
#
# A provider has these two files, its own rows, and the test rows. Every row of it is a player; the rows of all others
# are kept. It sends one number for all of its rows together, and the model that has forgotten them.


def published():
    """Return the model of the market."""
    model = torch.nn.Linear(len(columns), 2, dtype=torch.float64)
    model.load_state_dict(load_file(market / "model.safetensors"))
    return model


def sell(name, own):
    """Value own rows, and leave the claim in the market."""
    problem = ValuationProblem(
        published(),
        tensors(own),
        tensors(public_test),
        reference="test",
        access="partial",
        artifacts=market / "artifacts.safetensors",
    )
    game = UnlearningGame(problem, "newton")
    result = shapley_values(game, seed=0)
    nobody = np.zeros((1, len(own)), dtype=bool)
    forgot = game.unlearner.unlearn(problem, nobody, seed=0).state
    save_file({key: one[0].clone() for key, one in forgot.items()}, market / f"without_{name}.safetensors")
    (market / f"claim_{name}.txt").write_text(f"{result.to_frame()['value'].sum():.6f}")
    return result  # kept at home: it says which rows are harmful


kept = {name: sell(name, rows) for name, rows in everything.groupby("provider") if name in ("acme", "bolt", "cairn")}
for name, result in kept.items():
    harmful = (result.to_frame()["ci_high"] < 0).sum()
    print(f"{name}: {len(result)} rows, {harmful} of them harmful")

# %%
# The buyer
# ---------
#
# The buyer has the files of the market and the test rows. Values of single rows add up to what the model loses without
# them, and that can be looked at: the utility is the log-likelihood of the test rows, of the model as it is and of the
# one that was sent.


def utility(state):
    """Return the mean log-likelihood of the test rows."""
    model = published()
    model.load_state_dict(state)
    x, y = tensors(public_test)
    with torch.no_grad():
        return -float(cross_entropy(model(x), y).mean())


def holds(name):
    """Tell whether a claim is what the model gains from these rows, to the last digit that was sent."""
    given, without = (load_file(market / f"{file}.safetensors") for file in ("model", f"without_{name}"))
    gained = utility(given) - utility(without)
    claimed = float((market / f"claim_{name}.txt").read_text())
    print(f"{name} claims {claimed:.6f}, and the models differ by {gained:.6f}")
    return abs(claimed - gained) < 1e-6


assert {name: holds(name) for name in kept} == dict.fromkeys(kept, True)

# %%
# Somebody who claims twice as much is found out:

claim = market / "claim_cairn.txt"
claim.write_text(f"{abs(2 * float(claim.read_text())):.6f}")
assert not holds("cairn")

# %%
# What each party sends
# ---------------------

gives_away = {
    "model": "which rows it may have memorised",
    "artifacts": "sums of all rows, and whether a row is there",
    "without": "of few rows, much of what they look like",
    "claim": "one number",
}
pd.DataFrame(
    [
        {"file": path.name, "bytes": path.stat().st_size, "gives away": gives_away[path.stem.split("_")[0]]}
        for path in sorted(market.iterdir())
    ]
)

# %%
# The check ties a claim to the model that was sent, not to the truth: a provider who sends a model that forgot too much
# is believed. Only the owner, who has all rows, can retrain without some of them, as the audit does (:doc:`/audit`).
# And the three sums do not add up to anything: each is what a provider adds to all others, not a Shapley value among
# the eight, which needs the rows of all eight in one place. More: :doc:`/partial`, :doc:`/markets`.
