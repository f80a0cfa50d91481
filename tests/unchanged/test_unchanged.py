"""Values of a fixed list of small problems are those of the release before the modules were moved."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from unshap_conformance.problems import PROBLEMS

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.errors import AccessError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugins.registry import registered_unlearners

BEFORE = Path(__file__).parent / f"torch-{torch.__version__.split('+')[0]}.json"


def values():
    out = {}
    for case in PROBLEMS:
        problem = case.make()
        for name in [*registered_unlearners(), "auto"]:
            try:
                game = UnlearningGame(problem, name, seed=3)
            except AccessError:
                continue
            result = shapley_values(game, "exact")
            out[f"{case.name}/{name}"] = [result.values.tolist(), float(result.utility_all), float(result.utility_none)]
    from sklearn.datasets import load_diabetes, load_iris
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    x, y = load_iris(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    order = np.random.default_rng(1).permutation(150)
    x, y = x[order], y[order]
    groups = np.arange(60) % 5
    models = {
        "logistic": LogisticRegression(),
        "sgd": SGDClassifier(loss="log_loss", random_state=0),
        "hinge": SGDClassifier(random_state=0),
        "forest": RandomForestClassifier(5, random_state=0),
        "svc": LinearSVC(random_state=0),
    }
    for name, model in models.items():
        model.fit(x[:60], y[:60])
        for metric in ("accuracy", "log_likelihood"):
            p = ValuationProblem(model, (x[:60], y[:60]), (x[60:], y[60:]), metric=metric, groups=groups)
            out[f"iris/{name}/{metric}"] = shapley_values(UnlearningGame(p, "auto"), "exact").values.tolist()
    p = ValuationProblem(models["logistic"], (x[:60], y[:60]), (x[60:], y[60:]), metric="log_likelihood")
    out["iris/rows"] = shapley_values(UnlearningGame(p, "newton", steps=2), "permutation", 600, seed=5).values.tolist()
    d, t = load_diabetes(return_X_y=True)
    t = (t - t.mean()) / t.std()
    for name, model in {"ridge": Ridge(), "linear": LinearRegression()}.items():
        model.fit(d[:80], t[:80])
        p = ValuationProblem(model, (d[:80], t[:80]), (d[80:], t[80:]), metric="r2", groups=np.arange(80) % 6)
        out[f"diabetes/{name}"] = shapley_values(UnlearningGame(p), "exact").values.tolist()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.BatchNorm1d(6), nn.Dropout(0.1), nn.Linear(6, 3))
    recipe = Recipe("adam", lr=0.02, epochs=5, batch_size=16, init=start)
    xt, yt = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    net = recipe.train(start, cross_entropy, xt[:60], yt[:60])
    for parameters in (None, "head"):
        for name in ("retrain", "finetune", "newton", "auto"):
            p = ValuationProblem(
                net,
                (xt[:60], yt[:60]),
                (xt[60:], yt[60:]),
                metric="neg_loss",
                fit=recipe,
                parameters=parameters,
                groups=groups,
                valued=[0, 2, 3],
            )
            out[f"net/{parameters}/{name}"] = shapley_values(UnlearningGame(p, name, seed=1), "exact").values.tolist()
    p = ValuationProblem(
        net, (xt[:60], yt[:60]), (xt[60:], yt[60:]), metric="accuracy", access="partial", groups=groups
    )
    for name in ("auto", "anchored", "npo"):
        out[f"partial/{name}"] = shapley_values(UnlearningGame(p, name), "exact").values.tolist()
    try:
        import opendataval  # noqa: F401
    except ImportError:
        return out
    from opendataval.experiment import ExperimentMediator
    from unshap_opendataval import UnlearningShapley

    for model_name in ("logisticregression", "classifiermlp", "sklogreg"):
        for unlearner in ("auto", "retrain"):
            kwargs = {} if model_name == "sklogreg" else {"epochs": 3}
            torch.manual_seed(0)
            m = ExperimentMediator.model_factory_setup(
                dataset_name="iris",
                train_count=20,
                valid_count=20,
                test_count=20,
                add_noise="mix_labels",
                noise_kwargs={"noise_rate": 0.2},
                model_name=model_name,
                random_state=0,
                train_kwargs=kwargs,
                metric_name="accuracy",
                raises_error=True,
            )
            e = UnlearningShapley(unlearner=unlearner, estimator="permutation", budget=400, random_state=0)
            m.compute_data_values([e])
            out[f"opendataval/{model_name}/{unlearner}"] = e.data_values.tolist()
    return out


@pytest.mark.skipif(not BEFORE.exists(), reason="no values of this version of torch were kept")
def test_values_are_unchanged():
    before = json.loads(BEFORE.read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        now = values()
    if any(name.startswith("opendataval") for name in now):
        assert set(now) == set(before)
    for name, value in now.items():
        for one, other in zip(leaves(value), leaves(before[name]), strict=True):
            assert abs(one - other) <= 1e-9, name


def leaves(value):
    return [x for one in value for x in leaves(one)] if isinstance(value, list) else [value]
