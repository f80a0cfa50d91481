"""
Pay providers
=============

Eight hospitals gave data for one model, and 10,000 are to be divided among them by what their data was worth. Two of
them scrambled their labels, which nobody knows yet.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression

from unshap_plugin import UnlearningGame, ValuationProblem, audit, shapley_values
from unshap_plugin.plots import draw_marginals

train, test = pd.read_csv("../providers.csv"), pd.read_csv("../test.csv")
columns = [name for name in test if name != "diagnosis"]
mean, std = train[columns].mean(), train[columns].std()
x, x_test = (train[columns] - mean) / std, (test[columns] - mean) / std
model = LogisticRegression().fit(x, train["diagnosis"])

# %%
# The rows of a provider belong together: each of the eight gets one value. All 256 coalitions of them are evaluated, so
# that the values have no sampling error.

problem = ValuationProblem(model, (x, train["diagnosis"]), (x_test, test["diagnosis"]), groups=train["provider"])
game = UnlearningGame(problem)
result = shapley_values(game)
result

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
result.plot(ax)

# %%
# What a provider adds falls with the number of the others, who know much of the same. Two add less than nothing
# on average to whoever has anything else.

fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
draw_marginals(game, ax, ["bolt", "haven", "grove", "cairn"])

# %%
# Money waits for the audit, which retrains on some of the coalitions: are the values those of retraining?

report = audit(game, coalitions=30)
print(report.verdict)

# %%
# They are. Payments go by the positive values, and add up to the cent.

paid = result.payouts(10_000)
paid.to_frame()[["player", "value", "payment"]]

# %%
# What can be sent to the eight is one file that opens without a network:
# ``result.to_html("report.html", audit=report, paid=paid)``. More: :doc:`/markets`, and how to read the audit:
# :doc:`/audit`.
