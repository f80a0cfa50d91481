"""``UnlearningShapley`` as an evaluator of OpenDataVal's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression as SkLogistic
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

from opendataval.dataloader import DataFetcher, mix_labels
from opendataval.dataval import DataEvaluator, DataOob, DataShapley, KNNShapley
from opendataval.dataval.margcontrib import TMCSampler
from opendataval.experiment import ExperimentMediator
from opendataval.experiment import exper_methods as experiments
from opendataval.metrics import Metrics
from opendataval.model import ClassifierMLP, LeNet, LogisticRegression, RegressionMLP
from opendataval.model.api import ClassifierSkLearnWrapper, RegressionSkLearnWrapper
from torch.nn import functional as F
from unshap_opendataval import UnlearningShapley
from unshap_opendataval.base import UnlearningEvaluator
from unshap_opendataval.conventions import training_loss

from unshap_plugin import ValuationResult, shapley_values
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.unlearners import Newton

# OpenDataVal pins memory whether or not there is a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
RECIPE = {"epochs": 10, "batch_size": 32, "lr": 0.01}


def fetcher(load, rows, *, noise=0.2, seed=0):
    """Standardised data with flipped training labels and clean validation and test sets."""
    x, y = load(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x = StandardScaler().fit_transform(x[order]).astype(np.float32)
    y = np.eye(y.max() + 1, dtype=np.float32)[y[order]]
    parts = slice(rows), slice(rows, rows + 100), slice(rows + 100, rows + 250)
    made = DataFetcher.from_data_splits(
        *(part for cut in parts for part in (x[cut], y[cut])), one_hot=True, random_state=seed
    )
    valid = made.y_valid.copy()
    made = made.noisify(mix_labels, noise_rate=noise)
    made.y_valid = valid  # mix_labels flips those too
    return made


def small(rows=30, **kwargs):
    data = fetcher(load_breast_cancer, rows, **kwargs)
    torch.manual_seed(0)
    return data, LogisticRegression(30, 2)


def train(evaluator, data=None, model=None, metric=Metrics.ACCURACY, **kwargs):
    if data is None:
        data, model = small()
    return evaluator.train(data, model, metric, **{**RECIPE, **kwargs})


@pytest.mark.parametrize(
    ("load", "rows", "model"),
    [
        (load_breast_cancer, 60, lambda: LogisticRegression(30, 2)),
        (load_breast_cancer, 60, lambda: ClassifierMLP(30, 2)),
        (load_digits, 80, lambda: LogisticRegression(64, 10)),
        (load_digits, 80, lambda: ClassifierMLP(64, 10, layers=3)),
    ],
    ids=["breast_cancer-logistic", "breast_cancer-mlp", "digits-logistic", "digits-mlp"],
)
@pytest.mark.slow
def test_beside_opendatavals_own_in_a_mediator(load, rows, model, tmp_path):
    torch.manual_seed(0)
    mediator = ExperimentMediator(
        fetcher(load, rows), model(), dict(RECIPE, epochs=3), output_dir=tmp_path, raises_error=True
    )
    ours = UnlearningShapley(budget=500, random_state=0)
    others = [KNNShapley(10), DataOob(10), DataShapley(TMCSampler(mc_epochs=1, random_state=0))]
    mediator.compute_data_values([ours, *others])
    assert len(mediator.data_evaluators) == 4
    for experiment in (
        experiments.noisy_detection,
        experiments.discover_corrupted_sample,
        experiments.remove_high_low,
        experiments.increasing_bin_removal,
        experiments.save_dataval,
    ):
        table = mediator.evaluate(experiment, save_output=True)
        mine = table.loc[repr(ours)]
        assert len(mine) > 0
        assert (tmp_path / f"{experiment.__name__}.csv").exists()
    assert 0 <= float(mediator.evaluate(experiments.noisy_detection).loc[repr(ours)].iloc[0]) <= 1
    saved = mediator.evaluate(experiments.save_dataval).loc[repr(ours)]
    np.testing.assert_array_equal(saved["data_values"].to_numpy(dtype=float), ours.data_values)
    table, figure = mediator.plot(experiments.discover_corrupted_sample)
    assert repr(ours) in table.index
    assert len(figure.axes) == 4


def test_flipped_labels_have_low_values():
    data, model = small(120)
    evaluator = train(UnlearningShapley(budget=4000, random_state=0), data, model)
    flipped = np.isin(np.arange(120), data.noisy_train_indices)
    assert roc_auc_score(flipped, -evaluator.data_values) > 0.9


def test_the_values_are_those_of_the_result_and_sum_to_the_difference():
    evaluator = train(UnlearningShapley(budget=200, random_state=0))
    result = evaluator.result
    assert isinstance(result, ValuationResult)
    assert evaluator.data_values.shape == (30,)
    np.testing.assert_array_equal(evaluator.data_values, result.values)
    np.testing.assert_allclose(result.values.sum(), result.utility_all - result.utility_none, atol=1e-9)
    assert (result.std_errors > 0).all()
    assert (result.unlearner, result.estimator) == ("newton", "stratified")


def test_training_again_gives_fresh_values():
    evaluator = UnlearningShapley(budget=200, random_state=0)
    first_data, model = small()
    first = train(evaluator, first_data, model).data_values.copy()
    second = train(evaluator, small(seed=1)[0], model).data_values.copy()
    assert not np.array_equal(first, second)
    again = train(evaluator, first_data, model).data_values
    np.testing.assert_array_equal(first, again)


def test_the_random_state_decides_and_nothing_global_moves():
    torch.manual_seed(7)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    data, model = small()
    torch.set_rng_state(states[0])
    values = [train(UnlearningShapley(budget=200, random_state=seed), data, model).data_values for seed in (0, 0, 1)]
    train(UnlearningShapley(budget=200), data, model)
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])


def test_inputs_and_model_are_not_changed():
    data, model = small()
    x, y = data.x_train.copy(), data.y_train.copy()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(UnlearningShapley(budget=200), data, model)
    np.testing.assert_array_equal(x, data.x_train)
    np.testing.assert_array_equal(y, data.y_train)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_reprs_are_those_of_the_arguments_and_distinct():
    a, b = np.arange(3000) % 7, np.arange(3000) % 7
    b[1500] = 6  # numpy would print both alike
    evaluators = [
        UnlearningShapley(),
        UnlearningShapley("newton"),
        UnlearningShapley("newton", settings={"steps": 1}),
        UnlearningShapley(Newton(steps=1)),
        UnlearningShapley(budget=100),
        UnlearningShapley(groups=a),
        UnlearningShapley(groups=b),
        UnlearningShapley(utility="metric"),
    ]
    assert len({repr(one) for one in evaluators}) == len(evaluators)
    assert repr(evaluators[1]) == "UnlearningShapley(newton)"
    assert repr(UnlearningShapley(groups=a)) == repr(evaluators[5])


def test_it_is_registered_and_shadows_nothing():
    assert DataEvaluator.Evaluators["unlearningshapley"] is UnlearningShapley
    names = [cls.__name__.lower() for cls in _subclasses(DataEvaluator)]
    assert names.count("unlearningshapley") == 1


def test_the_base_is_not_listed_and_cannot_be_made():
    assert UnlearningEvaluator not in DataEvaluator.Evaluators.values()
    assert issubclass(UnlearningShapley, UnlearningEvaluator)
    with pytest.raises(TypeError, match="abstract class UnlearningEvaluator"):
        UnlearningEvaluator()


def test_a_sibling_only_says_how_values_come_out_of_the_game(monkeypatch):
    monkeypatch.setattr(DataEvaluator, "Evaluators", {})

    class ByLeavingOut(UnlearningEvaluator):
        def _values(self, game):
            result = shapley_values(game)
            return replace(result, values=result.utility_all - game(~np.eye(game.n_players, dtype=bool)))

    assert DataEvaluator.Evaluators == {"byleavingout": ByLeavingOut}
    data, model = small()
    groups = np.repeat(list("abc"), [15, 10, 5])
    evaluator = train(ByLeavingOut("newton", groups=groups, random_state=0), data, model)
    result = train(UnlearningShapley("newton", groups=groups, random_state=0), data, model).result
    assert repr(evaluator).startswith("ByLeavingOut(newton, groups=<30 labels ")
    assert result.utility_all == evaluator.result.utility_all
    totals = [evaluator.data_values[groups == player].sum() for player in "abc"]
    np.testing.assert_allclose(totals, evaluator.result.values)
    assert not np.allclose(totals, result.values)


def test_a_training_that_fails_leaves_no_values():
    evaluator = train(UnlearningShapley(budget=200))
    with pytest.raises(InvalidTypeError, match="got 1 positional training arguments"):
        evaluator.train_data_values(3)
    with pytest.raises(InvalidValueError, match="there are no values yet"):
        evaluator.evaluate_data_values()


def _subclasses(cls):
    return {one for direct in cls.__subclasses__() for one in {direct, *_subclasses(direct)}}


def test_groups_share_their_value_among_their_points():
    data, model = small()
    groups = np.repeat(list("abc"), [15, 10, 5])
    evaluator = train(UnlearningShapley(groups=groups), data, model)
    result = evaluator.result
    assert result.estimator == "exact"  # "auto", as everywhere
    assert set(result.reasons) == {"estimator", "unlearner"}
    assert result.players == ("a", "b", "c")
    values = evaluator.data_values
    for player, value, size in zip("abc", result.values, [15, 10, 5], strict=True):
        np.testing.assert_allclose(values[groups == player], value / size)
    np.testing.assert_allclose(values.sum(), result.utility_all - result.utility_none, atol=1e-9)


def test_a_pretrained_model_is_taken_as_it_is():
    data, model = small()
    x, y, xv, yv, *_ = data.datapoints
    model.fit(x, y, **RECIPE)
    evaluator = train(UnlearningShapley(pretrained=True, budget=200, utility="metric"), data, model)
    assert evaluator.result.utility_all == Metrics.ACCURACY(yv, model.predict(xv))


def test_the_utility_may_be_the_mediators_metric_or_ones_own():
    data, model = small()
    accuracy = train(UnlearningShapley(budget=200, utility="metric", random_state=0), data, model).result
    assert accuracy.metric == "accuracy"
    own = train(
        UnlearningShapley(budget=200, utility=lambda y, y_hat: Metrics.ACCURACY(y, y_hat), random_state=0), data, model
    ).result
    np.testing.assert_array_equal(accuracy.values, own.values)
    smooth = train(UnlearningShapley(budget=200, random_state=0), data, model).result
    assert smooth.metric == "log_likelihood"
    assert not np.array_equal(accuracy.values, smooth.values)


@pytest.mark.parametrize(
    ("model", "reference"),
    [
        (LogisticRegression(4, 2), lambda out, y: F.binary_cross_entropy(out, y, reduction="none").mean(1)),
        (ClassifierMLP(4, 2), lambda out, y: F.binary_cross_entropy(out, y, reduction="none").mean(1)),
        (ClassifierMLP(4, 3), lambda out, y: F.cross_entropy(out, y, reduction="none")),
        (RegressionMLP(4, 2), lambda out, y: F.mse_loss(out, y, reduction="none").mean(1)),
    ],
)
def test_the_loss_is_the_one_that_opendataval_trains_with(model, reference):
    torch.manual_seed(0)
    k = getattr(model, "num_classes", 2)
    y = torch.eye(k)[torch.randint(0, k, (20,))]
    out = model(torch.randn(20, 4)).detach()
    torch.testing.assert_close(training_loss(model, y)(out, y), reference(out, y), atol=1e-6, rtol=1e-6)


def test_retraining_follows_opendatavals_recipe():
    """Kept whole, a coalition is retrained to what ``fit`` gives up to the order of the batches."""
    data, model = small()
    x, y, xv, _, *_ = data.datapoints
    evaluator = UnlearningShapley("retrain", budget=122, random_state=0)
    evaluator.setup(data, model, Metrics.ACCURACY)
    problem = evaluator._problem(dict(RECIPE, batch_size=30))  # one batch: no order
    from unshap_plugin.unlearners import Retrain

    again = Retrain()._unlearn(problem, np.ones((1, 30), dtype=bool), 0)
    fitted = model.clone()
    fitted.fit(x, y, **dict(RECIPE, batch_size=30))
    torch.testing.assert_close(again.outputs(problem.x_test)[0], fitted.predict(xv), atol=1e-5, rtol=1e-5)


def regression(rows=40):
    x, y = load_diabetes(return_X_y=True)
    x, y = (StandardScaler().fit_transform(a).astype(np.float32) for a in (x, y[:, None]))
    return DataFetcher.from_data_splits(
        x[:rows], y[:rows], x[rows:100], y[rows:100], x[100:150], y[100:150], one_hot=False, random_state=0
    )


@pytest.mark.parametrize(
    ("model", "kwargs", "unlearner"),
    [
        (lambda: RegressionMLP(10, 1), RECIPE, "retrain"),
        (lambda: RegressionMLP(10, 1), {**RECIPE, "epochs": 50}, "replay"),
        (lambda: RegressionSkLearnWrapper(Ridge), {}, "retrain"),
    ],
    ids=["RegressionMLP", "RegressionMLP, longer", "Ridge"],
)
def test_regression(model, kwargs, unlearner):
    torch.manual_seed(0)
    data = regression()
    evaluator = UnlearningShapley(budget=170, random_state=0).train(data, model(), Metrics.NEG_MSE, **kwargs)
    result = evaluator.result
    assert result.unlearner == unlearner
    assert np.isfinite(evaluator.data_values).all()
    plain = UnlearningShapley(budget=170, utility="metric", random_state=0)
    plain.train(data, model(), Metrics.NEG_MSE, **kwargs)
    if not kwargs:  # the same model, since it draws no initial parameters
        np.testing.assert_allclose(plain.result.values, result.values, rtol=1e-4, atol=1e-6)


def test_scikit_learn_classifiers_are_retrained_by_opendatavals_wrapper():
    data, _ = small(24)
    wrapper = ClassifierSkLearnWrapper(SkLogistic, 2)
    evaluator = UnlearningShapley(budget=100, utility="metric", random_state=0).train(data, wrapper, Metrics.ACCURACY)
    x, y, xv, yv, *_ = data.datapoints
    assert evaluator.result.unlearner == "retrain"
    fitted = ClassifierSkLearnWrapper(SkLogistic, 2).fit(x, y)
    assert evaluator.result.utility_all == Metrics.ACCURACY(yv, fitted.predict(xv))


@pytest.mark.slow
def test_lenet():
    """Lazy layers and batch norm: materialised, trained as OpenDataVal does, unlearned in evaluation mode."""
    x, y = load_digits(return_X_y=True)
    x = np.kron(x.reshape(-1, 1, 8, 8).astype(np.float32) / 16, np.ones((4, 4), dtype=np.float32))
    y = np.eye(10, dtype=np.float32)[y]
    data = DataFetcher.from_data_splits(
        x[:20], y[:20], x[20:40], y[20:40], x[40:60], y[40:60], one_hot=True, random_state=0
    )
    torch.manual_seed(0)
    evaluator = UnlearningShapley(budget=80, random_state=0)
    with pytest.warns(UserWarning, match="Lazy modules are a new feature"):
        model = LeNet(10)
    evaluator.train(data, model, Metrics.ACCURACY, epochs=2, batch_size=10)
    assert evaluator.result.unlearner == "retrain"  # two passes, fewer than any unlearning takes
    assert np.isfinite(evaluator.data_values).all()
    assert len(np.unique(evaluator.data_values)) > 10


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        (
            {"utility": "log_liklihood"},
            UnknownNameError,
            r"unknown utility 'log_liklihood' \(did you mean 'log_likelihood'",
        ),
        ({"unlearner": "newtn"}, UnknownNameError, r"unknown unlearner 'newtn' \(did you mean 'newton'\?\)"),
        ({"groups": ["a"] * 29}, InvalidValueError, r"groups has shape \[29\], but one label for each of the 30"),
        ({"settings": {"step": 1}, "unlearner": "newton"}, InvalidValueError, r"has no setting 'step'"),
        ({"budget": 5}, ValueError, r"budget=5 is too small"),
    ],
)
def test_bad_input(kwargs, error, message):
    with pytest.raises(error, match=message):
        train(UnlearningShapley(**kwargs))


def test_values_before_training_and_text_are_refused():
    with pytest.raises(InvalidValueError, match="there are no values yet: call train"):
        UnlearningShapley().evaluate_data_values()
    data, model = small()
    with pytest.raises(InvalidTypeError, match="got 1 positional training arguments"):
        UnlearningShapley().train(data, model, Metrics.ACCURACY, 3)
    _, y, xv, yv, *_ = data.datapoints
    evaluator = UnlearningShapley().input_model_metric(model, Metrics.ACCURACY)
    evaluator.input_data(torch.utils.data.Subset(["a", "b"], [0, 1]), y[:2], xv, yv)
    with pytest.raises(InvalidTypeError, match=r"x_train is a Subset of str, but numbers of one shape are needed"):
        evaluator.train_data_values(**RECIPE)


def test_jobs_give_the_same_values():
    data, model = small()
    one, two = (train(UnlearningShapley(budget=200, random_state=0, n_jobs=jobs), data, model) for jobs in (1, 2))
    assert np.array_equal(one.data_values, two.data_values)
    with pytest.raises(InvalidValueError, match="n_jobs is 0"):
        UnlearningShapley(n_jobs=0)
