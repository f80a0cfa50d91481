"""
Beside OpenDataVal's evaluators
===============================

OpenDataVal compares methods on one question: which of them finds the corrupted points? Ours stands in its mediator as
one of them. (Needs the extra ``opendataval``. Its torch is another one than that of this site: where the site is built
without it, this story is shown, and the tests run it and compare what it prints with what stands below.)
"""

import numpy as np
import torch
from opendataval.dataloader import DataFetcher
from opendataval.dataval import KNNShapley
from opendataval.experiment import ExperimentMediator, discover_corrupted_sample
from opendataval.model import LogisticRegression
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from unshap_opendataval import UnlearningShapley

x, y = load_breast_cancer(return_X_y=True)
order = np.random.default_rng(0).permutation(len(y))
x, y = scale(x)[order].astype("float32"), y[order]
right = np.eye(2, dtype="float32")[y]
given = right.copy()
wrong = np.random.default_rng(1).choice(200, 40, replace=False)
given[wrong] = given[wrong][:, ::-1]

fetcher = DataFetcher.from_data_splits(
    x[:200], given[:200], x[200:300], right[200:300], x[300:], right[300:], one_hot=True, random_state=0
)
fetcher.noisy_train_indices = wrong
torch.manual_seed(0)  # of the model's initial weights
mediator = ExperimentMediator(
    fetcher, LogisticRegression(30, 2), {"epochs": 10}, metric_name="accuracy", raises_error=True
)
ours = UnlearningShapley(random_state=0)
mediator.compute_data_values([ours, KNNShapley(10)])

# %%
# OpenDataVal's own experiment: whoever looks at the rows of the lowest values first, what share of the wrong labels has
# been seen after a quarter of the rows?

found = mediator.evaluate(discover_corrupted_sample)
for evaluator, curve in found.groupby(level=0, sort=False):
    seen = curve.loc[curve["axis"] <= 0.25, "corrupt_found"].iloc[-1]
    print(f"{evaluator}: {float(seen):.0%}")

# %%
# .. code-block:: none
#
#     UnlearningShapley(random_state=0): 98%
#     KNNShapley(10): 92%
#
# Beside the share our result has what the table has not: ``ours.result`` holds standard errors, what was evaluated, and
# how. More evaluators: :doc:`/index`; which axioms OpenDataVal's own keep: :doc:`/axioms_of_opendataval`.
