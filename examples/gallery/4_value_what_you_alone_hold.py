"""
Value what you alone hold
=========================

A model was trained on the data of eight hospitals. Two of them, bolt and cairn, have the model and their own rows, and
would like to know what these were worth. The rows of the other six are not at hand, so nothing can be retrained.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression

from unshap_plugin import UnlearningGame, ValuationProblem, compute_artifacts, shapley_values
from unshap_plugin.errors import AccessError

train, test = pd.read_csv("../providers.csv"), pd.read_csv("../test.csv")
columns = [name for name in test if name != "diagnosis"]
mean, std = train[columns].mean(), train[columns].std()
train[columns], test[columns] = (train[columns] - mean) / std, (test[columns] - mean) / std
model = LogisticRegression().fit(train[columns], train["diagnosis"])

own = train[train["provider"].isin(["bolt", "cairn"])]
at_hand = {
    "train": (own[columns], own["diagnosis"]),
    "test": (test[columns], test["diagnosis"]),
    "groups": own["provider"],
    "access": "partial",
}

# %%
# An unlearner states what it needs to see. What lacks it is refused before any work, and the message says what would
# do:

try:
    UnlearningGame(ValuationProblem(model, **at_hand), "newton")
except AccessError as error:
    print(error)

# %%
# The default makes do with these rows, and with half of the test set as a reference of what the model should still
# know. Its values find who harmed the model; how large they are is less sure.

problem = ValuationProblem(model, **at_hand, trained_rows=len(train))
result = shapley_values(UnlearningGame(problem))
print(result.unlearner)
result.to_frame()[["player", "value"]]

# %%
# Whoever trained the model could have helped: **artefacts**, such as the Hessian of all rows, are computed once while
# the data is there, and are one small file without the rows. With them the values are close to those that all rows
# would give: ``newton`` takes one step only, from which much that is forgotten looks smaller than it is. No reference
# set is needed, so that ``reference="test"`` leaves the test set whole, half of which was set aside for one above.

everything = ValuationProblem(model, (train[columns], train["diagnosis"]), at_hand["test"])
artifacts = compute_artifacts(everything)
with_artifacts = ValuationProblem(model, **at_hand | {"reference": "test"}, artifacts=artifacts)
result = shapley_values(UnlearningGame(with_artifacts, "newton"))
result.to_frame()[["player", "value"]]

# %%
fig, ax = plt.subplots(figsize=(7.5, 2), layout="constrained")
result.plot(ax)

# %%
# Either way these are values of the game over bolt and cairn, with everything else always kept: they are not the values
# over all eight, restricted to these two. Why, and what the file tells about the data: :doc:`/partial`.
