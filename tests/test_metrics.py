"""Metrics on stacked outputs against scikit-learn, one model at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from unshap_plugin import Metric
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.losses import cross_entropy, mse
from unshap_plugin.metrics import resolve_metric

RNG = np.random.default_rng(0)
LOGITS = torch.as_tensor(RNG.normal(size=(4, 30, 3)))
LABELS = torch.as_tensor(RNG.integers(0, 3, 30))
ONE = torch.as_tensor(RNG.normal(size=(4, 30, 1)))
BINARY = torch.as_tensor(RNG.integers(0, 2, 30))
REAL = torch.as_tensor(RNG.normal(size=30))


def score(name, outputs, targets, loss=cross_entropy):
    return resolve_metric(name, loss).score(outputs, targets).numpy()


def each(function, outputs):
    return [function(one) for one in outputs]


def test_accuracy():
    expected = each(lambda z: reference.accuracy_score(LABELS, z.argmax(1)), LOGITS)
    np.testing.assert_allclose(score("accuracy", LOGITS, LABELS), expected)
    one_hot = torch.nn.functional.one_hot(LABELS, 3).double()
    np.testing.assert_allclose(score("accuracy", LOGITS, one_hot), expected)
    expected = each(lambda z: reference.accuracy_score(BINARY, z[:, 0] > 0), ONE)
    np.testing.assert_allclose(score("accuracy", ONE, BINARY), expected)
    np.testing.assert_allclose(score("accuracy", ONE[..., 0], BINARY), expected)


def test_log_likelihood():
    expected = each(lambda z: -reference.log_loss(LABELS, z.softmax(1), labels=[0, 1, 2]), LOGITS)
    np.testing.assert_allclose(score("log_likelihood", LOGITS, LABELS), expected)
    one_hot = torch.nn.functional.one_hot(LABELS, 3).double()
    np.testing.assert_allclose(score("log_likelihood", LOGITS, one_hot), expected)
    expected = each(lambda z: -reference.log_loss(BINARY, z[:, 0].sigmoid()), ONE)
    np.testing.assert_allclose(score("log_likelihood", ONE, BINARY), expected)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99), st.sampled_from([0.1, 1.0, 50.0, 1000.0]), st.booleans())
def test_the_log_likelihood_of_two_classes_is_that_of_any_number(seed, scale, shares):
    draw = torch.Generator().manual_seed(seed)
    outputs = scale * torch.randn(5, 37, 2, generator=draw, dtype=torch.float64)
    log_p = outputs.log_softmax(dim=-1)
    if shares:
        one = torch.rand(37, generator=draw, dtype=torch.float64)
        targets = torch.stack([one, 1 - one], dim=1)
        expected = (log_p * targets).sum(dim=-1).mean(dim=1)
    else:
        targets = torch.randint(0, 2, (37,), generator=draw)
        expected = log_p[:, torch.arange(37), targets].mean(dim=1)
    found = score("log_likelihood", outputs, targets)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    alone = [score("log_likelihood", one[None], targets)[0] for one in outputs]
    np.testing.assert_array_equal(found, alone)


def test_regression():
    expected = each(lambda z: reference.r2_score(REAL.numpy(), z[:, 0].numpy()), ONE)
    np.testing.assert_allclose(score("r2", ONE, REAL), expected)
    expected = each(lambda z: -reference.mean_squared_error(REAL.numpy(), z[:, 0].numpy()), ONE)
    np.testing.assert_allclose(score("neg_mean_squared_error", ONE, REAL), expected)
    np.testing.assert_allclose(score("neg_loss", ONE, REAL, mse), expected)


def test_neg_loss_of_a_classifier_is_its_log_likelihood():
    np.testing.assert_allclose(score("neg_loss", LOGITS, LABELS), score("log_likelihood", LOGITS, LABELS))


def test_a_dict_gives_columns():
    both = resolve_metric({"a": "accuracy", "l": "log_likelihood"}, cross_entropy)
    assert both.parts == ("a", "l")
    values = both.score(LOGITS, LABELS)
    np.testing.assert_allclose(values[:, 0], score("accuracy", LOGITS, LABELS))
    np.testing.assert_allclose(values[:, 1], score("log_likelihood", LOGITS, LABELS))


def test_a_metric_of_our_own_form_is_taken_as_it_is():
    mine = Metric("mine", lambda out, y: out.sum((1, 2)))
    assert resolve_metric(mine, cross_entropy) is mine


def test_r2_needs_targets_that_differ():
    with pytest.raises(InvalidValueError, match="r2' needs test targets that differ"):
        score("r2", ONE, torch.ones(30))


def test_a_vector_inside_a_dict_is_refused():
    nested = resolve_metric({"points": lambda out, y: (out.argmax(1) == y).double()}, cross_entropy)
    with pytest.raises(InvalidValueError, match=r"metric 'points' gave shape \[30\] per model"):
        nested.score(LOGITS, LABELS)
