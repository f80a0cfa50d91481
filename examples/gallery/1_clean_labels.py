"""
Clean labels
============

Somebody labelled 200 patients by hand, and a fifth of the labels is wrong. Which of them should be looked at first?
The rows that are worth least.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.plots import draw_removal

x, y = load_breast_cancer(return_X_y=True)
order = np.random.default_rng(0).permutation(len(y))
x, y = scale(x)[order], y[order]
x, y, x_test, y_test = x[:200], y[:200].copy(), x[200:], y[200:]
x_test, y_test, x_later, y_later = x_test[::2], y_test[::2], x_test[1::2], y_test[1::2]
wrong = np.random.default_rng(1).choice(200, 40, replace=False)
y[wrong] = 1 - y[wrong]

model = LogisticRegression().fit(x, y)
print(f"{model.score(x_later, y_later):.1%} of later rows are right")

# %%
# Every row is valued: how much worse the model gets when it has to forget it, averaged over all orders in which
# the rows could have come in. The unit is that of the metric, the mean log-likelihood of a test row.

game = UnlearningGame(ValuationProblem(model, (x, y), (x_test, y_test)))
result = shapley_values(game, budget=4000)
result

# %%
# Most of what is at the low end has a wrong label.

fig, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
result.plot(ax, highlight=wrong.tolist(), label="wrong label")

# %%
# So whoever looks at the forty lowest values finds most of the forty wrong labels, and looks at few right ones:

lowest = np.argsort(result.values)[:40]
print(f"{np.isin(lowest, wrong).sum()} of the 40 lowest values are wrong labels")

# %%
# While the rows of the lowest values go, the model gets better; without those of the highest, worse at once:

fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
draw_removal(game, result, ax)

# %%
# Without the forty rows the model, trained anew, is better, also on rows that have chosen none of them. (What *is*
# harmful beyond the error of its value, ``result.to_frame()`` says, with intervals.)

keep = np.setdiff1d(np.arange(200), lowest)
cleaned = LogisticRegression().fit(x[keep], y[keep])
print(f"{cleaned.score(x_later, y_later):.1%} of later rows are right")
