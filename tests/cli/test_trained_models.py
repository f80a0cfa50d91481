import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from unshap_plugin.cli._examples import example
from unshap_plugin.cli._models import task_of, train_model
from unshap_plugin.errors import UnknownNameError


def with_ones(x):
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris", "wine"])
def test_logistic_is_that_of_scikit_learn_with_a_penalised_intercept(name):
    table = example(name)
    ours = train_model("logistic", table, seed=0)
    theirs = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(with_ones(table.x), table.y)
    probabilities = ours.model(torch.as_tensor(table.x_test)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(probabilities, theirs.predict_proba(with_ones(table.x_test)), atol=1e-4)


def test_ridge_is_that_of_scikit_learn():
    table = example("diabetes")
    ours = train_model("ridge", table, seed=0)
    theirs = Ridge(alpha=1.0).fit(table.x, table.y)
    predictions = ours.model(torch.as_tensor(table.x_test))[:, 0].detach().numpy()
    np.testing.assert_allclose(predictions, theirs.predict(table.x_test), atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", None])
def test_training_is_seeded_and_leaves_the_global_generators_alone(name):
    table = example("iris")
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    first, second, other = (train_model(name, table, seed) for seed in (0, 0, 1))
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
    if name == "mlp":
        assert not torch.equal(next(first.model.parameters()), next(other.model.parameters()))
        x, y = torch.as_tensor(table.x_test, dtype=torch.float32), torch.as_tensor(table.y_test)
        assert (first.model(x).argmax(dim=1) == y).float().mean() > 0.85


def test_the_name_of_a_model_says_what_it_learns():
    assert [task_of(name) for name in ("logistic", "ridge", "mlp", None, "a.b:c")] == [
        "classification",
        "regression",
        None,
        None,
        None,
    ]
    with pytest.raises(UnknownNameError, match="unknown model 'rigde'"):
        task_of("rigde")
