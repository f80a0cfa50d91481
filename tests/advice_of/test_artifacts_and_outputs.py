"""What errors about stored artefacts, and about what the outputs of a module are, advise, followed to the letter."""

from __future__ import annotations

import copy
import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from advice import Case, check, without_a_case
from advised import XT, YT, X, Y, same
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, compute_artifacts, shapley_values
from unshap_plugin.losses import cross_entropy, nll_loss
from unshap_plugin.problem.artifacts import Artifacts

FOLDERS = ["unshap_plugin/problem/artifacts.py", "unshap_plugin/problem/evidence.py"]

ROWS = 18  # of the training rows, those that are at hand later on
GROUPS = np.repeat(list("abcde"), 6)
RNG = np.random.default_rng(1)


def start():
    torch.manual_seed(0)
    return nn.Linear(3, 2).double()


FIT = Recipe("lbfgs", lr=1.0, epochs=50, batch_size=None, l2=1.0, init=start())
MODEL = FIT.train(start(), cross_entropy, torch.as_tensor(X), torch.as_tensor(Y))
OTHER = copy.deepcopy(MODEL)
with torch.no_grad():
    OTHER.weight.mul_(1.5)


def whole(model=MODEL, **kwargs):
    """Return the problem where all data is at hand."""
    kwargs = {"fit": FIT, "groups": GROUPS, **kwargs}
    return ValuationProblem(model, (X, Y), (XT, YT), **kwargs)


def later(stored, model=MODEL, x=X[:ROWS], y=Y[:ROWS], **kwargs):
    """Return the values of the rows that are at hand, from artefacts."""
    kwargs = {"fit": FIT, "groups": np.resize(GROUPS, len(x)), "reference": "test", **kwargs}  # so that it is not split
    problem = ValuationProblem(model, (x, y), (XT, YT), access="partial", artifacts=stored, **kwargs)
    result = shapley_values(UnlearningGame(problem, "newton"), "exact")
    return result.values.copy()


def at_hand(**kwargs):
    """Return the values of the same providers where all data is at hand, by the step that artefacts take."""
    game = UnlearningGame(whole(valued=list("abc"), **kwargs), "newton", steps=1)
    return shapley_values(game, "exact").values.copy()


STORED = compute_artifacts(whole())


def doubled(outputs, targets):
    return 2 * cross_entropy(outputs, targets)


def made(factor):
    """Return a loss whose name tells nothing of the factor."""

    def loss(outputs, targets):
        return factor * cross_entropy(outputs, targets)

    return loss


OWN = compute_artifacts(whole(loss=made(2.0), metric="neg_loss"))
STRONG = Recipe("lbfgs", lr=1.0, epochs=50, batch_size=None, l2=9.0, init=start())
ZERO = start()
nn.init.zeros_(ZERO.weight)
FROM_ZERO = Recipe("lbfgs", lr=1.0, epochs=50, batch_size=None, l2=1.0, init=ZERO)

FOLDER = tempfile.TemporaryDirectory()
PATH = Path(FOLDER.name)
GOOD = PATH / "good"
STORED.save(GOOD)
(PATH / "text").write_text("no tensors", encoding="utf-8")
with safe_open(GOOD, framework="pt") as opened:
    METADATA = opened.metadata()
TENSORS = STORED.tensors()
save_file(TENSORS, PATH / "format", metadata={**METADATA, "format": "another"})
save_file({**TENSORS, "l2": TENSORS["l2"] + 1}, PATH / "damaged", metadata=METADATA)
save_file(TENSORS, PATH / "version", metadata={**METADATA, "versions": "{"})


def file(name):
    """An error about a file whose way out is another one."""
    return Case(
        f"a file that is {name}",
        lambda: later(PATH / name),
        "give a file that compute_artifacts(problem).save(path) wrote",
        (lambda: same(later(GOOD), at_hand(), atol=1e-6),),
    )


def written():
    STORED.save(PATH / "other")
    assert json.loads(METADATA["versions"]) == Artifacts.load(PATH / "other").versions
    same(later(PATH / "other"), at_hand(), atol=1e-6)


SEEN = later(STORED)

ARTEFACTS = [
    Case(
        "artefacts of another model",
        lambda: later(STORED, OTHER),
        "give the model as it was when they were computed, or compute them anew with compute_artifacts(problem) where "
        "all data is at hand",
        (
            lambda: same(later(STORED, MODEL), at_hand(), atol=1e-6),
            lambda: same(later(compute_artifacts(whole(OTHER)), OTHER), _of_other(), atol=1e-6),
        ),
    ),
    Case(
        "rows that were prepared otherwise",
        lambda: later(STORED, x=X[:ROWS].round(1)),
        "prepare rows and labels (scaling, padding) as they were then, or leave these out",
        (lambda: same(later(STORED), SEEN),),
    ),
    Case(
        "rows that were not there",
        lambda: later(STORED, x=np.r_[X[:ROWS], XT[:1]], y=np.r_[Y[:ROWS], YT[:1]]),
        "or leave these out",
        (lambda: same(later(STORED), SEEN),),
    ),
    Case(
        "another loss of the same name",
        lambda: later(OWN, loss=made(3.0), metric="neg_loss"),
        "give the loss that they were computed with, or compute them anew",
        (
            lambda: same(
                later(OWN, loss=made(2.0), metric="neg_loss"), at_hand(loss=made(2.0), metric="neg_loss"), atol=1e-6
            ),
            lambda: same(
                later(compute_artifacts(whole(loss=made(3.0), metric="neg_loss")), loss=made(3.0), metric="neg_loss"),
                at_hand(loss=made(3.0), metric="neg_loss"),
                atol=1e-6,
            ),
        ),
    ),
    *(
        Case(
            f"another {name} of the recipe",
            lambda fit=fit: later(STORED, fit=fit),
            "give the fit of the problem that they are of (or none), or compute them anew",
            (
                lambda: same(later(STORED, fit=FIT), SEEN),
                lambda: same(later(STORED, fit=None), SEEN),
                lambda fit=fit: same(later(compute_artifacts(whole(fit=fit)), fit=fit), at_hand(fit=fit), atol=1e-6),
            ),
        )
        for name, fit in (("l2", STRONG), ("init", FROM_ZERO))
    ),
    Case(
        "a path that is a folder's",
        lambda: STORED.save(PATH),
        "give another path",
        (written,),
    ),
    Case(
        "artefacts that are a number",
        lambda: later(3),
        "a path or Artifacts are needed",
        (lambda: same(later(GOOD), SEEN), lambda: same(later(STORED), SEEN)),
    ),
    *map(file, ("nowhere", "text", "format", "damaged", "version")),
]


def _of_other():
    game = UnlearningGame(
        ValuationProblem(OTHER, (X, Y), (XT, YT), fit=FIT, groups=GROUPS, valued=list("abc")), "newton", steps=1
    )
    return shapley_values(game, "exact").values.copy()


def module(k=2, *ends):
    torch.manual_seed(0)
    layer = nn.Linear(3, k).double()
    return nn.Sequential(layer, *ends) if ends else layer


class ByHand(nn.Module):
    """A softmax that autograd does not tell from other divisions."""

    def forward(self, z):
        return z.exp() / z.exp().sum(dim=-1, keepdim=True)


SOFTMAX, SIGMOID, LOG_SIGMOID = nn.Softmax(dim=-1), nn.Sigmoid(), nn.LogSigmoid()
SHIFTED = module()  # no output of this is above zero, and it is no logarithm
with torch.no_grad():
    SHIFTED.bias.sub_(20)


def own(outputs, targets):
    """A loss of one's own: of any outputs."""
    return (outputs.reshape(len(outputs), -1)[:, 0] - targets).abs()


def of_logarithms(outputs, targets):
    return nll_loss(outputs.log(), targets)


def of_exponentials(outputs, targets):
    return F.binary_cross_entropy(outputs[:, 0].exp(), targets.to(outputs.dtype), reduction="none")


def ll(model, *, p=None):
    """Return the log-likelihood of the labels where these are the probabilities of the classes."""
    with torch.no_grad():
        answers = model(torch.as_tensor(XT))
        p = answers.softmax(dim=-1) if p is None else p(answers)
        p = torch.cat([1 - p, p], dim=-1) if p.shape[-1] == 1 else p
    return float(p[range(20), YT].log().mean())


def as_given(p):
    return p


def likely(expected, model, loss=own, **kwargs):
    problem = ValuationProblem(model, (X, Y), (XT, YT), loss=loss, metric="log_likelihood", **kwargs)
    np.testing.assert_allclose(problem.given_utility, expected, rtol=1e-6)


OUTPUTS = [
    Case(
        "logits said to be probabilities",
        lambda: likely(0, module(), outputs="probabilities"),
        "say outputs='logits' where a softmax or a sigmoid is still to be taken",
        (lambda: likely(ll(module()), module(), outputs="logits"),),
    ),
    Case(
        "logits said to be log-probabilities",
        lambda: likely(0, SHIFTED, outputs="log_probabilities"),
        "say outputs='logits' where a softmax or a sigmoid is still to be taken",
        (lambda: likely(ll(SHIFTED), SHIFTED, outputs="logits"),),
    ),
    Case(
        "a softmax said to be logits",
        lambda: likely(0, module(2, SOFTMAX), outputs="logits"),
        "say outputs='probabilities'.",
        (lambda: likely(ll(module(2, SOFTMAX), p=as_given), module(2, SOFTMAX), outputs="probabilities"),),
    ),
    Case(
        "the logarithm of a sigmoid said to be logits",
        lambda: likely(0, module(1, LOG_SIGMOID), outputs="logits"),
        "say outputs='log_probabilities'.",
        (lambda: likely(ll(module(1, LOG_SIGMOID), p=torch.exp), module(1, LOG_SIGMOID), outputs="log_probabilities"),),
    ),
    Case(
        "a softmax and the cross entropy",
        lambda: likely(0, module(2, SOFTMAX), "cross_entropy"),
        "give the loss that it was trained with, such as a callable that takes 'nll_loss' of their logarithms; or, if "
        "it was trained with this one, say outputs='probabilities'",
        (
            lambda: likely(ll(module(2, SOFTMAX), p=as_given), module(2, SOFTMAX), of_logarithms),
            lambda: likely(
                ll(module(2, SOFTMAX), p=as_given), module(2, SOFTMAX), "cross_entropy", outputs="probabilities"
            ),
        ),
    ),
    Case(
        "shares of one and the cross entropy",
        lambda: likely(0, module(2, ByHand()), "cross_entropy"),
        "such as a callable that takes 'nll_loss' of their logarithms; or, if it was trained with this one, say "
        "outputs='probabilities'",
        (
            lambda: likely(ll(module(2, ByHand()), p=as_given), module(2, ByHand()), of_logarithms),
            lambda: likely(
                ll(module(2, ByHand()), p=as_given), module(2, ByHand()), "cross_entropy", outputs="probabilities"
            ),
        ),
    ),
    Case(
        "a sigmoid and a loss of logits",
        lambda: likely(0, module(1, SIGMOID), "binary_cross_entropy_with_logits"),
        "such as loss='binary_cross_entropy'; or, if it was trained with this one, say outputs='probabilities'",
        (
            lambda: likely(ll(module(1, SIGMOID), p=as_given), module(1, SIGMOID), "binary_cross_entropy"),
            lambda: likely(
                ll(module(1, SIGMOID), p=as_given),
                module(1, SIGMOID),
                "binary_cross_entropy_with_logits",
                outputs="probabilities",
            ),
        ),
    ),
    Case(
        "the logarithm of a sigmoid and a loss of logits",
        lambda: likely(0, module(1, LOG_SIGMOID), "binary_cross_entropy_with_logits"),
        "such as a callable that takes 'binary_cross_entropy' of their exponentials; or, if it was trained with this "
        "one, say outputs='log_probabilities'",
        (
            lambda: likely(ll(module(1, LOG_SIGMOID), p=torch.exp), module(1, LOG_SIGMOID), of_exponentials),
            lambda: likely(
                ll(module(1, LOG_SIGMOID), p=torch.exp),
                module(1, LOG_SIGMOID),
                "binary_cross_entropy_with_logits",
                outputs="log_probabilities",
            ),
        ),
    ),
    Case(
        "a softmax and the loss of logarithms",
        lambda: likely(0, module(2, SOFTMAX), "nll_loss"),
        "give the loss that it was trained with.",
        (lambda: likely(ll(module(2, SOFTMAX), p=as_given), module(2, SOFTMAX), of_logarithms),),
    ),
    Case(
        "a softmax and torch's loss of logarithms",
        lambda: likely(0, module(2, SOFTMAX), functools.partial(F.nll_loss, reduction="none")),
        "give the loss that it was trained with; or, if it was trained with this one, say outputs='probabilities'.",
        (
            lambda: likely(ll(module(2, SOFTMAX), p=as_given), module(2, SOFTMAX), of_logarithms),
            lambda: likely(
                ll(module(2, SOFTMAX), p=as_given),
                module(2, SOFTMAX),
                functools.partial(F.nll_loss, reduction="none"),
                outputs="probabilities",
            ),
        ),
    ),
    Case(
        "outputs that are misspelt",
        lambda: likely(0, module(), outputs="logit"),
        "(did you mean 'logits'?)",
        (lambda: likely(ll(module()), module(), outputs="logits"),),
    ),
]

CASES = [*ARTEFACTS, *OUTPUTS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
