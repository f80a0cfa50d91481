"""Scores of dattri's attributor: those of the core at every test point, in dattri's own metrics and benchmark tasks."""

from __future__ import annotations

import copy
import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from adapter_checks import AdapterChecks
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset
from unshap_dattri import UnlearningAttributor
from unshap_dattri.tasks import loss_of, target_of

# isort: split
import dattri
from dattri.algorithm.data_shapley import KNNShapleyAttributor
from dattri.benchmark.datasets.mnist import loss_mnist_lr, train_mnist_lr
from dattri.benchmark.utils import SubsetSampler
from dattri.metric import (
    calculate_lds_ground_truth,
    calculate_loo_ground_truth,
    lds,
    loo_corr,
    mislabel_detection_auc,
)
from dattri.model_util.retrain import retrain_lds, retrain_loo
from dattri.task import AttributionTask

from unshap_plugin import Metric, Recipe, UnlearningGame, ValuationProblem, semivalues, shapley_values
from unshap_plugin.errors import AccessError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.losses import LOSSES, cross_entropy

RECIPE = Recipe("lbfgs", lr=1.0, epochs=100, batch_size=None, l2=0.1)


def digits(rows, tests, classes=3):
    x, y = load_digits(n_class=classes, return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[: rows + tests]
    x = torch.as_tensor(StandardScaler().fit_transform(x[order])[:, 10:30])
    y = torch.as_tensor(y[order])
    return TensorDataset(x[:rows], y[:rows]), TensorDataset(x[rows:], y[rows:])


def loader(data, size=8, **others):
    return DataLoader(data, batch_size=size, **others)


def mean_loss(model):
    def loss(params, data):
        return F.cross_entropy(functional_call(model, params, (data[0],)), data[1])

    return loss


TRAIN, TEST = digits(30, 12)
MODEL = RECIPE.train(nn.Linear(20, 3).double(), cross_entropy, *TRAIN.tensors)
TASK = AttributionTask(mean_loss(MODEL), MODEL, MODEL.state_dict())
GROUPS = np.arange(30) % 5
#: The log-likelihood of every test point: the plain twin of what the attributor scores.
EACH = Metric("at_each", lambda out, y: torch.stack([-cross_entropy(one.double(), y) for one in out]))


def attribute(task=TASK, train=TRAIN, test=TEST, **settings):
    attributor = UnlearningAttributor(task, **{"budget": 200, **settings})
    return attributor, attributor.attribute(loader(train), loader(test))


def game(test=TEST, metric=None, **problem):
    return UnlearningGame(
        ValuationProblem(MODEL, TRAIN.tensors, test.tensors, metric=metric or EACH, **problem), "newton"
    )


class TestDattri(AdapterChecks):
    framework = "dattri"
    tolerance = 1e-12  # of the mean over the test points

    def trained(self, x, y):
        start = nn.Linear(6, 2).double()
        for parameter in start.parameters():
            nn.init.zeros_(parameter)
        with torch.enable_grad():
            return RECIPE.train(start, cross_entropy, x, y)

    def parts(self, data):
        rows = [torch.as_tensor(one) for one in (data.x, data.y, data.x_test, data.y_test)]
        return self.trained(*rows[:2]), TensorDataset(*rows[:2]), TensorDataset(*rows[2:])

    def ask(self, data, adapter=None, **settings):
        with torch.random.fork_rng():
            model, train, test = self.parts(data)
        task = AttributionTask(mean_loss(model), model, model.state_dict())
        if adapter is None:
            adapter = UnlearningAttributor(task, groups=data.groups, **settings)
        adapter.task = task
        adapter.cache(loader(train))
        scores = adapter.attribute(loader(train), loader(test))
        assert scores.shape == (40, 60)
        mine = data.groups[:, None] == np.unique(data.groups)
        return adapter, np.array([scores[who].sum(dim=0).mean().item() for who in mine.T])

    def expected(self, data, *, unlearner="newton", budget=None, seed=0):
        with torch.random.fork_rng():
            model, train, test = self.parts(data)
        problem = ValuationProblem(model, train.tensors, test.tensors, metric=EACH, groups=data.groups)
        return shapley_values(UnlearningGame(problem, unlearner, seed=seed), budget=budget, seed=seed).values.mean(1)

    def pipeline(self, data):
        with torch.random.fork_rng():
            model, train, test = self.parts(data)
        rows = torch.stack([torch.randperm(40, generator=torch.Generator().manual_seed(k))[:20] for k in range(30)])
        with torch.no_grad():
            retrained = [self.trained(*(part[kept] for part in train.tensors))(test.tensors[0]) for kept in rows]
            truth = -torch.stack([cross_entropy(outputs, test.tensors[1]) for outputs in retrained]), rows
        task = AttributionTask(mean_loss(model), model, model.state_dict())
        ours = UnlearningAttributor(task, budget=4000, semivalue="banzhaf")
        ours.cache(loader(train))
        theirs = KNNShapleyAttributor(5)
        scores = ours.attribute(loader(train), loader(test)), theirs.attribute(loader(train), loader(test)).T
        mean, neighbours = (float(lds(one, truth)[0].nanmean()) for one in scores)
        assert mean > 0.75
        assert -1 <= neighbours <= 1

    def mistakes(self, data):
        yield lambda: UnlearningAttributor("a task"), InvalidTypeError, "task is a str, but dattri's AttributionTask"
        shuffled = loader(TRAIN, shuffle=True)
        yield lambda: UnlearningAttributor(TASK).cache(shuffled), InvalidValueError, "by RandomSampler"
        wrong = AttributionTask(lambda params, batch: params["weight"].sum(), MODEL, MODEL.state_dict())
        yield lambda: attribute(wrong), InvalidValueError, "none of cross_entropy"


def test_the_scores_are_the_values_of_the_core_at_every_test_point():
    attributor, scores = attribute(groups=GROUPS)
    [result] = attributor.results
    expected = shapley_values(game(groups=GROUPS))
    assert (result.estimator, result.unlearner, scores.dtype) == ("exact", "newton", torch.float64)
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores.numpy(), expected.values[GROUPS] / 6, rtol=0, atol=1e-12)
    whole = shapley_values(game(metric="log_likelihood", groups=GROUPS))
    np.testing.assert_allclose(result.values.mean(axis=1), whole.values, atol=1e-6)


def test_each_column_is_what_its_test_point_alone_would_give(counted):
    attributor, scores = attribute()
    assert sum(counted) <= 200
    evaluated = attributor.results[0].evaluations
    for column in (0, 7):
        alone = TensorDataset(*(part[column : column + 1] for part in TEST.tensors))
        one, [*rows] = attribute(test=alone)
        assert one.results[0].evaluations == evaluated
        np.testing.assert_allclose(torch.stack(rows)[:, 0], scores[:, column], rtol=0, atol=1e-9)
        assert one.std_errors.shape == (30, 1)
    assert attributor.std_errors.shape == (30, 12)
    assert (attributor.std_errors > 0).all()


def test_the_scores_of_a_test_point_sum_to_what_its_loss_falls():
    attributor, scores = attribute()
    result = attributor.results[0]
    np.testing.assert_allclose(scores.sum(dim=0), result.utility_all - result.utility_none, atol=1e-9)
    now = cross_entropy(MODEL(TEST.tensors[0]), TEST.tensors[1])
    np.testing.assert_allclose(result.utility_all, -now.detach(), atol=1e-12)


def test_some_of_the_cached_rows_have_the_scores_that_they_have_among_all():
    attributor, whole = attribute()
    attributor.cache(loader(TRAIN))
    chosen = [7, 2, 29]
    some = attributor.attribute(loader(TRAIN, sampler=SubsetSampler(chosen)), loader(TEST, size=5))
    assert torch.equal(some, whole[chosen])
    twice = TensorDataset(*(torch.cat([part, part[:1]]) for part in TRAIN.tensors))
    attributor.cache(loader(twice))
    everywhere = attributor.attribute(loader(twice), loader(TEST))
    again = attributor.attribute(loader(twice, sampler=SubsetSampler([30, 3])), loader(TEST))
    assert torch.equal(again, everywhere[[0, 3]])  # the rows 0 and 30 are the same: the first comes first


def test_another_cache_or_test_set_gives_fresh_scores():
    attributor, first = attribute()
    attributor.cache(loader(TensorDataset(TRAIN.tensors[0][:20], TRAIN.tensors[1][:20])))
    assert attributor.results == ()
    assert attributor.std_errors is None
    train = loader(TRAIN, sampler=SubsetSampler(range(20)))
    second = attributor.attribute(train, loader(TensorDataset(*(part[:4] for part in TEST.tensors))))
    assert second.shape == (20, 4)
    assert not torch.allclose(second, first[:20, :4])


def test_the_scores_of_several_checkpoints_are_averaged_with_their_errors():
    other = copy.deepcopy(MODEL.state_dict())
    other["weight"] *= 0.7
    task = AttributionTask(mean_loss(MODEL), MODEL, [MODEL.state_dict(), other])
    both, scores = attribute(task)
    _, first = attribute()
    alone, second = attribute(AttributionTask(mean_loss(MODEL), MODEL, other))
    np.testing.assert_allclose(scores, (first + second) / 2, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(both.results[1].values, alone.results[0].values)
    np.testing.assert_allclose(both.std_errors, sum(one.std_errors for one in both.results) / 2, rtol=1e-12)


def test_checkpoints_may_be_files_and_load_in_a_way_of_their_own(tmp_path):
    torch.save(MODEL.state_dict(), tmp_path / "model.pt")
    _, scores = attribute(AttributionTask(mean_loss(MODEL), nn.Linear(20, 3).double(), str(tmp_path / "model.pt")))
    own = AttributionTask(mean_loss(MODEL), MODEL, "name", checkpoints_load_func=lambda model, name: MODEL)
    assert torch.equal(scores, attribute()[1])
    assert torch.equal(attribute(own)[1], scores)


def test_leave_one_out_is_that_of_the_core():
    attributor, scores = attribute(semivalue="loo")
    np.testing.assert_allclose(scores, semivalues(game(), "loo").values, rtol=0, atol=1e-12)
    assert attributor.results[0].semivalue == "leave-one-out value"


def test_the_task_s_model_is_left_as_it_is():
    dropping = nn.Sequential(nn.BatchNorm1d(20, dtype=torch.float64), nn.Dropout(0.5), MODEL)
    trained = copy.deepcopy(dropping.state_dict())
    trained["0.running_mean"] += 0.1
    task = AttributionTask(mean_loss(dropping), dropping.train(), trained)
    before, generator = copy.deepcopy(dropping.state_dict()), torch.get_rng_state()
    attributor = UnlearningAttributor(task, "influence", budget=200)
    attributor.attribute(loader(TRAIN), loader(TEST))
    assert dropping.training
    assert all(layer.training for layer in dropping.modules())
    assert torch.equal(generator, torch.get_rng_state())
    for name, tensor in dropping.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    batches = torch.stack(
        [
            F.cross_entropy(functional_call(dropping.eval(), trained, (x[None],)), y[None])
            for x, y in zip(*TEST.tensors, strict=True)
        ]
    )
    np.testing.assert_allclose(attributor.results[0].utility_all, -batches.detach(), atol=1e-12)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_recognised_by_its_numbers(name, batched):
    model = nn.Sequential(nn.Linear(20, 3).double(), {"nll_loss": nn.LogSoftmax(1)}.get(name, nn.Identity()))
    if name == "binary_cross_entropy":
        model = nn.Sequential(model, nn.Sigmoid())
    x, y = TRAIN.tensors
    theirs = {"mse": F.mse_loss, "binary_cross_entropy": F.binary_cross_entropy}.get(name, getattr(F, name, None))
    y = F.one_hot(y, 3).double() if name in ("mse", *(one for one in LOSSES if "binary" in one)) else y

    def loss(params, data):
        row, label = data if batched else (data[0][None], data[1][None])
        return theirs(functional_call(model, params, (row,)), label)

    task = AttributionTask(loss, model, model.state_dict())
    assert loss_of(task, model, x, y) is LOSSES[name]


def test_a_target_of_its_own_is_taken_if_it_is_the_task_s():
    def margin(params, data):
        p = functional_call(MODEL, params, (data[0][None],))[0].softmax(dim=0)[data[1]]
        return torch.log1p(-p) - p.log()

    def said(outputs, targets):
        own = -cross_entropy(outputs, targets)
        return torch.log1p(-own.exp()) - own

    task = AttributionTask(mean_loss(MODEL), MODEL, MODEL.state_dict(), target_func=margin)
    attributor, scores = attribute(task, target=said)
    result = attributor.results[0]
    assert result.metric == "neg_said"
    p = MODEL(TEST.tensors[0]).softmax(dim=1).gather(1, TEST.tensors[1][:, None])[:, 0]
    np.testing.assert_allclose(result.utility_all, torch.logit(p).detach(), atol=1e-9)
    for wrong in (None, "mse", lambda outputs, targets: -said(outputs, targets)):
        with pytest.raises(InvalidValueError, match="pass target="):
            attribute(task, target=wrong)
    with pytest.raises(UnknownNameError, match="did you mean 'mse'"):
        attribute(task, target="msee")
    assert (scores.abs().sum(dim=0) > 0).all()


def test_a_loss_that_is_another_one_for_some_classes_is_refused():
    x, y = TRAIN.tensors
    order, weight = torch.argsort(y), torch.tensor([1.0, 5.0, 20.0]).double()
    ordered = TensorDataset(x[order], y[order])

    def weighted(reduction):
        def loss(params, data):
            outputs = functional_call(MODEL, params, (data[0],))
            return F.cross_entropy(outputs, data[1], weight=weight, reduction=reduction)

        return AttributionTask(loss, MODEL, MODEL.state_dict())

    # Of one row alone, the weights of a weighted mean cancel; those of a sum are 1 in the first rows.
    for reduction in ("mean", "sum"):
        with pytest.raises(InvalidValueError, match="loss_func of the task is none of"):
            loss_of(weighted(reduction), MODEL, *ordered.tensors)
    with pytest.raises(InvalidValueError, match="target_func of the task is none of"):
        target_of(weighted("sum"), MODEL, *ordered.tensors, None)
    with pytest.raises(InvalidValueError, match="not what target= says"):
        target_of(weighted("sum"), MODEL, *ordered.tensors, lambda outputs, targets: F.cross_entropy(
            outputs, targets, reduction="none"))  # fmt: skip


def test_a_loss_is_told_from_others_by_a_model_that_is_sure():
    sure = nn.Linear(2, 2).double()
    with torch.no_grad():
        sure.weight.copy_(torch.tensor([[-2.0, 0], [2, 0]]))
        sure.bias.zero_()
    x = torch.linspace(-12, 12, 10).double()[:, None] * torch.ones(2).double()
    y = (x[:, 0] > 0).long()

    def hinge(params, data):
        return F.multi_margin_loss(functional_call(sure, params, (data[0],)), data[1])

    with pytest.raises(InvalidValueError, match="loss_func of the task is none of"):
        loss_of(AttributionTask(hinge, sure, sure.state_dict()), sure, x, y)


def test_checkpoints_may_be_loaded_into_one_module_that_stays_as_it_is():
    theirs, other = copy.deepcopy(MODEL).train(), copy.deepcopy(MODEL.state_dict())
    other["weight"] *= 0.3

    def loading(model, checkpoint):
        theirs.load_state_dict(checkpoint)
        return theirs

    checkpoints = [MODEL.state_dict(), other]
    _, scores = attribute(AttributionTask(mean_loss(MODEL), MODEL, checkpoints, checkpoints_load_func=loading))
    assert torch.equal(scores, attribute(AttributionTask(mean_loss(MODEL), MODEL, checkpoints))[1])
    assert theirs.training


def test_checkpoints_that_are_none_are_refused():
    for checkpoints, words in (([], "no checkpoint"), ([{"of": torch.ones(1)}], "checkpoint 0 .* cannot be loaded")):
        with pytest.raises(InvalidValueError, match=words):
            attribute(AttributionTask(mean_loss(MODEL), MODEL, checkpoints))
    nothing = AttributionTask(mean_loss(MODEL), MODEL, "name", checkpoints_load_func=lambda model, name: None)
    with pytest.raises(InvalidValueError, match="returns a NoneType for checkpoint 0"):
        attribute(nothing)


def test_a_row_that_was_cached_in_several_groups_is_not_asked_for_alone():
    x, y = TRAIN.tensors
    twice = TensorDataset(torch.cat([x, x[:1]]), torch.cat([y, y[:1]]))
    groups = np.append(np.arange(len(x)) % 3, 7)
    attributor = UnlearningAttributor(TASK, groups=groups)
    attributor.cache(loader(twice))
    scores = attributor.attribute(loader(twice), loader(TEST))
    assert not torch.equal(scores[0], scores[-1])
    with pytest.raises(InvalidValueError, match="several times, in several groups"):
        attributor.attribute(loader(TensorDataset(x[:1], y[:1])), loader(TEST))


def test_models_may_return_logits_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = copy.deepcopy(MODEL)

        def forward(self, x):
            return {"logits": self.inner(x)}

    named = Named()

    def loss(params, data):
        return F.cross_entropy(functional_call(named, params, (data[0],))["logits"], data[1])

    scores = attribute(AttributionTask(loss, named, named.state_dict()))[1]
    np.testing.assert_allclose(scores, attribute()[1], rtol=0, atol=1e-9)


def test_bad_rows_are_named():
    x, y = TRAIN.tensors
    broken = x.clone()
    broken[3, 1] = torch.nan
    short = TensorDataset(x[:, :7], y)
    for train, words in (
        ((broken, y), r"train_dataloader x has NaN or infinity in 1 of \d+ rows, first in row 3"),
        ((x, y[:4]), "train_dataloader has .* rows of x but 4 labels"),
        (x, "train_dataloader is a Tensor"),
        (None, "train_dataloader is a NoneType"),
        (loader(short), "the model fails on the rows x"),
        (loader(TRAIN, sampler=SubsetSampler([99999])), "names row 99999"),
    ):
        with pytest.raises((InvalidValueError, InvalidTypeError), match=words):
            UnlearningAttributor(TASK).attribute(train, loader(TEST))
    with pytest.raises(InvalidTypeError, match="full_train_dataloader is a NoneType"):
        UnlearningAttributor(TASK).cache(None)

    def broken_loss(params, data):
        raise ZeroDivisionError("of theirs")

    with pytest.raises(InvalidValueError, match="of a batch of one row it raises ZeroDivisionError: of theirs"):
        attribute(AttributionTask(broken_loss, MODEL, MODEL.state_dict()))
    for wrong, kind in ((3, InvalidTypeError), ("log_likelihood", UnknownNameError)):
        with pytest.raises(kind, match="target"):
            attribute(target=wrong)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(InvalidTypeError, match="task is a Linear"):
        UnlearningAttributor(MODEL)
    with pytest.raises(InvalidValueError, match=r"train_dataloader is a .* by RandomSampler"):
        UnlearningAttributor(TASK).attribute(loader(TRAIN, shuffle=True), loader(TEST))
    with pytest.raises(InvalidValueError, match="full_train_dataloader is a DataLoader that leaves out"):
        UnlearningAttributor(TASK).cache(loader(TRAIN, drop_last=True, sampler=SubsetSampler(range(5))))
    attributor = UnlearningAttributor(TASK)
    attributor.cache(loader(TRAIN, sampler=SubsetSampler(range(5))))
    with pytest.raises(InvalidValueError, match="row 5 of train_dataloader is not among the 5 rows"):
        attributor.attribute(loader(TRAIN), loader(TEST))
    decayed = AttributionTask(lambda p, data: mean_loss(MODEL)(p, data) + p["weight"].square().sum(), MODEL, [{}])
    decayed.checkpoints = [MODEL.state_dict()]
    with pytest.raises(InvalidValueError, match="the target_func of the task is none of cross_entropy"):
        attribute(decayed)
    with pytest.raises(AccessError, match="unlearner 'replay' needs to know the initial parameters"):
        attribute(unlearner="replay")


@pytest.fixture(scope="module")
def images():
    """Digits as images of MNIST's size, with the benchmark's own model, training and losses."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[:90]
    pixels = F.pad(torch.as_tensor(x[order] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), (10, 10, 10, 10))
    labels = torch.as_tensor(y[order])
    train, test = TensorDataset(pixels[:60], labels[:60]), TensorDataset(pixels[60:], labels[60:])
    with torch.random.fork_rng():
        model = train_mnist_lr(loader(train), seed=0)
    return AttributionTask(mean_loss(model), model, model.state_dict()), loader(train), loader(test)


@pytest.fixture
def generators():
    """What trains here draws from the global generators of python, numpy and torch."""
    python, numpy = random.getstate(), np.random.get_state()
    deterministic = torch.backends.cudnn.deterministic
    with torch.random.fork_rng():
        yield
    random.setstate(python)
    np.random.set_state(numpy)
    torch.backends.cudnn.deterministic = deterministic


def test_it_predicts_the_retrained_models_of_their_benchmark(images, tmp_path, generators):
    task, train, test = images
    retrain_lds(train_mnist_lr, train, str(tmp_path), num_subsets=20, seed=0)
    truth = calculate_lds_ground_truth(loss_mnist_lr, str(tmp_path), test)
    attributor = UnlearningAttributor(task, "influence", budget=500)
    attributor.cache(train)
    assert lds(attributor.attribute(train, test), truth)[0].mean() > 0.7


def test_leave_one_out_correlates_with_retraining_without_each_row(images, tmp_path, generators, monkeypatch):
    task, train, test = images
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # they save whole models, and load them by the default
    without = list(range(0, 60, 4))
    retrain_loo(train_mnist_lr, train, str(tmp_path), indices=without, seed=0)

    def losses(model, batches):
        with torch.no_grad():
            return torch.cat([F.cross_entropy(model(x), y, reduction="none") for x, y in batches])

    with pytest.warns(UserWarning, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        truth = calculate_loo_ground_truth(losses, str(tmp_path), test)
    attributor = UnlearningAttributor(task, "finetune", semivalue="loo")
    scores = attributor.attribute(train, test)[without]
    assert loo_corr(scores, truth)[0].mean() > 0.8


def test_wrong_labels_are_detected_by_their_metric():
    x, y = TRAIN.tensors
    wrong = torch.arange(30) % 6 == 0
    flipped = TensorDataset(x, torch.where(wrong, (y + 1) % 3, y))
    model = RECIPE.train(nn.Linear(20, 3).double(), cross_entropy, *flipped.tensors)
    _, scores = attribute(AttributionTask(mean_loss(model), model, model.state_dict()), flipped)
    auc, _ = mislabel_detection_auc(-scores.mean(dim=1), wrong)  # theirs takes high scores for wrong labels
    assert auc > 0.9


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """How to load a module of the tests that dattri packs; their labels are such that no class is tested alone."""
    monkeypatch.chdir(tmp_path)
    drawn = torch.randint

    def labels(low, high, size, **others):
        return drawn(low, high, size, **others) if others else torch.arange(*size) % high

    monkeypatch.setattr(torch, "randint", labels)

    def load(name):
        path = Path(dattri.__file__).parents[1] / "test" / "dattri" / "algorithm" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"their_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def ours(task, **_):
    return UnlearningAttributor(task, "influence", budget=100)


def test_their_test_of_ensembles_passes_with_ours(theirs, generators, monkeypatch):
    module = theirs("test_influence_function")
    monkeypatch.setattr(module, "IFAttributorExplicit", ours)
    module.TestInfluenceFunction().test_influence_function_ensemble()


def test_their_test_of_checkpoints_in_files_passes_with_ours(theirs, generators, monkeypatch):
    module = theirs("test_tracin")
    monkeypatch.setattr(module, "TracInAttributor", ours)
    module.TestTracInAttributor().test_tracin()
