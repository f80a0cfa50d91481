"""Numbers, however they are stored."""

# ruff: noqa: E501, RUF043
from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from brute import refitted
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from tables import GROUPS, NAMES, XT, YT, X, Y, frame, values

from unshap_plugin import ValuationProblem
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.model import numeric
from unshap_plugin.model.numeric import as_numbers

OLD = pytest.mark.skipif(
    Version(sklearn.__version__) < Version("1.9"),
    reason="scikit-learn itself took no frame with numbers as objects then",
)
#: Whole numbers of some thousandths, which every form below holds exactly.
ROUND, ROUND_TEST = (np.round(x * 4) / 4 for x in (X, XT))


def masked(x):
    return np.ma.MaskedArray(x, mask=False)


FORMS = {
    "frame": frame,
    "Float64": lambda x: frame(x).astype("Float64"),
    "Float32": lambda x: frame(x).astype("Float32"),
    "several dtypes": lambda x: frame(x).astype({"a": "float32", "b": "Float64", "c": object}),
    "objects": lambda x: x.astype(object),
    "decimals": lambda x: np.array([[decimal.Decimal(one) for one in row] for row in x.tolist()], dtype=object),
    "frame of objects": lambda x: frame(x).astype(object),
    "categories of numbers": lambda x: frame(x).astype({"a": "category", "d": "category"}),
    "sparse columns": lambda x: frame(x).astype(pd.SparseDtype(float, 0.0)),
    "matrix": np.asmatrix,
    "masked": masked,
    "lists": lambda x: x.tolist(),
    "fortran": np.asfortranarray,
    "read only": lambda x: np.broadcast_to(x, x.shape),
    "reversed": lambda x: x[:, ::-1].copy()[:, ::-1],
    "big endian": lambda x: x.astype(">f8"),
    "tensor": torch.as_tensor,
    "torch sparse": lambda x: torch.as_tensor(x).to_sparse(),
    "torch csr": lambda x: torch.as_tensor(x).to_sparse_csr(),
    "torch csc": lambda x: torch.as_tensor(x).to_sparse_csc(),
    **{f"scipy {kind}": lambda x, kind=kind: sparse.csr_matrix(x).asformat(kind) for kind in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")},
    **{f"scipy {kind} array": lambda x, kind=kind: sparse.csr_array(x).asformat(kind) for kind in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the matrix subclass")
# A sparse tensor of the compressed kinds warns that it is in beta.
@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta state")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_values_do_not_depend_on_how_numbers_are_stored(form):
    model = LogisticRegression().fit(ROUND, Y)
    found = values(model, form(ROUND), Y, form(ROUND_TEST), YT)
    np.testing.assert_array_equal(found, values(model, ROUND, Y, ROUND_TEST, YT))


def beginning_at(x, offset):
    """Return a copy of an array whose address is ``offset`` beyond a multiple of 64."""
    memory = np.zeros(x.nbytes + 128, dtype=np.uint8)
    begin = -memory.ctypes.data % 64 + offset
    copy = memory[begin : begin + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


# Of a processor by AMD these have other products in their last bits.
@pytest.mark.parametrize("form", [np.asarray, torch.as_tensor], ids=["array", "tensor"])
@pytest.mark.parametrize("offset", [16, 32, 48])
def test_no_bit_depends_on_where_in_memory_numbers_are(form, offset):
    model = LogisticRegression().fit(X, Y)
    assert beginning_at(X, offset).ctypes.data % 64 == offset
    assert as_numbers(form(beginning_at(X, offset)), "x").data_ptr() % 64 == 0
    found = values(model, form(beginning_at(X, offset)), Y, form(beginning_at(XT, offset)), YT)
    np.testing.assert_array_equal(found, values(model, X, Y, XT, YT))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
# pandas 1.5 makes the rows of sparse columns dense, and warns.
@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta state")
@pytest.mark.filterwarnings("ignore:pandas.DataFrame with sparse columns")
@pytest.mark.parametrize("name", ["frame", pytest.param("several dtypes", marks=OLD), "objects", "sparse columns", "lists", "torch csr", "scipy dok", "scipy dia array", "scipy csc array"])  # fmt: skip
def test_nor_do_those_of_an_object_which_is_given_them_as_they_are(name):
    form = FORMS[name]
    model = make_pipeline(LogisticRegression(tol=1e-8)).fit(ROUND, Y)
    found = values(model, form(ROUND), Y, form(ROUND_TEST), YT)
    np.testing.assert_allclose(found, values(model, ROUND, Y, ROUND_TEST, YT), atol=1e-6)


def test_numbers_and_booleans_are_one_table():
    """What ``get_dummies`` returns beside numbers; the values are those of brute force."""
    x, xt = (frame(x).assign(smoker=x[:, 2] > 0, visits=(x[:, 3] * 3).astype("i4")) for x in (X, XT))
    as_floats = x.to_numpy(dtype=float), xt.to_numpy(dtype=float)

    def make():
        return LogisticRegression(tol=1e-10, max_iter=1000)

    truth = refitted(make, (as_floats[0], Y), (as_floats[1], YT), GROUPS)
    model = make().fit(x, Y)
    np.testing.assert_allclose(values(model, x, Y, xt, YT), truth, atol=2e-3)  # five Newton steps
    for train, test in ((x, xt), (x.to_numpy(), xt.to_numpy()), (x.convert_dtypes(), xt)):
        np.testing.assert_allclose(values(model, train, Y, test, YT, unlearner="retrain"), truth, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    dtypes=st.lists(st.sampled_from(["f4", "f8", "i8", "u1", "bool", "Int64", "Float64", "boolean", "object"]), min_size=4, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_table_of_any_dtypes_is_its_numbers(dtypes, seed):
    x = np.random.default_rng(seed).integers(0, 2, (7, 4))
    table = pd.DataFrame({name: pd.Series(x[:, k]).astype(dtypes[k]) for k, name in enumerate(NAMES)})
    tensor = as_numbers(table, "x")
    np.testing.assert_array_equal(tensor.double().numpy(), x)
    floats = any(one in ("f4", "f8", "Float64") for one in dtypes)
    assert tensor.is_floating_point() == floats, "whole numbers stay whole: an embedding takes them"
    gone = {name: [None if row == 3 else one for row, one in enumerate(table[name])] for name in NAMES}
    nullable = {name: pd.Series(gone[name], dtype=dtypes[k] if dtypes[k][0].isupper() or dtypes[k] == "boolean" else object) for k, name in enumerate(NAMES)}  # fmt: skip
    found = as_numbers(pd.DataFrame(nullable), "x").numpy()
    assert np.isnan(found[3]).all()
    np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(x, 3, axis=0))


MISSING = {
    "Float64": frame(X).astype("Float64").mask(X > 2.0),
    "Int64": frame(np.round(X)).astype("Int64").mask(X > 2.0),
    "boolean": frame(X > 0).astype("boolean").mask(X > 2.0),
    "objects": np.where(X > 2.0, None, X),
    "masked": np.ma.masked_where(X > 2.0, X),
    "nan": np.where(X > 2.0, np.nan, X),
}


@pytest.mark.parametrize("x", MISSING.values(), ids=MISSING)
def test_missing_entries_are_refused_by_row(x):
    model, row = LogisticRegression().fit(X, Y), int((X > 2.0).any(axis=1).argmax())
    with pytest.raises(
        InvalidValueError, match=rf"train x has NaN or infinity in \d+ of 30 rows, first in row {row}; .*drop or impute"
    ):
        values(model, x, Y)  # fmt: skip


def test_what_the_refusal_of_missing_entries_advises_helps():
    table = MISSING["Float64"]
    keep = ~table.isna().any(axis=1).to_numpy()
    model = LogisticRegression().fit(X[keep], Y[keep])
    dropped = values(model, table[keep], Y[keep], groups=GROUPS[keep])
    np.testing.assert_array_equal(dropped, values(model, X[keep], Y[keep], groups=GROUPS[keep]))
    imputed = table.fillna(0.0)
    model = LogisticRegression().fit(np.where(X > 2.0, 0.0, X), Y)
    np.testing.assert_array_equal(values(model, imputed, Y), values(model, np.where(X > 2.0, 0.0, X), Y))


OTHERS = {
    "text column": (lambda: frame(X).assign(d=np.where(Y, "u", "v")), "in column 'd', but this model takes numbers"),
    "two of them": (lambda: frame(X).assign(c="u", d="v"), "in columns 'c', 'd', but this model takes numbers"),
    "categories": (lambda: frame(X).assign(d=pd.Categorical(np.where(Y, "u", "v"))), "dtype category in column 'd'"),
    "dates": (lambda: frame(X).assign(d=pd.Timestamp("2020-01-01")), r"dtype datetime64\[.*\] in column 'd'"),
    "digits as text": (lambda: X.astype(str), "train x has dtype <U.*, but numbers are needed"),
    "text objects": (lambda: X.astype(str).astype(object), "train x has dtype object, but numbers are needed"),
    "complex": (lambda: X.astype(complex), "train x has dtype complex128, but numbers are needed"),
    "texts": (lambda: ["a text"] * 30, "train x has dtype <U6, but numbers are needed"),
}  # fmt: skip


@pytest.mark.parametrize(("x", "message"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_number_is_refused_by_its_name(x, message):
    with pytest.raises(InvalidTypeError, match=message):
        values(LogisticRegression().fit(X, Y), x(), Y)


def test_sparse_rows_that_are_too_large_for_a_linear_model_go_into_a_pipeline(monkeypatch):
    monkeypatch.setattr(numeric, "DENSE_BYTES", 100)
    x, xt = sparse.csr_matrix(X), sparse.csr_matrix(XT)
    with pytest.raises(
        InvalidValueError, match=r"train x is sparse, \[30, 4\], and would take .*make_pipeline\(model\)"
    ):
        values(LogisticRegression().fit(x, Y), x, Y, xt)
    model = make_pipeline(LogisticRegression(tol=1e-10, max_iter=1000)).fit(x, Y)
    truth = refitted(lambda: LogisticRegression(tol=1e-10, max_iter=1000), (X, Y), (XT, YT), GROUPS)
    np.testing.assert_allclose(values(model, x, Y, xt), truth, atol=1e-6)
    with pytest.raises(InvalidValueError, match="train x is sparse"):
        values(LogisticRegression().fit(X, Y), torch.as_tensor(X).to_sparse(), Y)


def test_a_sparse_matrix_that_an_object_cannot_take_is_its_own_word():
    model = GaussianNB().fit(X, Y)
    with pytest.raises(InvalidValueError, match="cannot be applied to the train rows .*[Ss]parse"):
        values(model, sparse.csr_matrix(X), Y, XT)
    assert len(values(model, sparse.csr_matrix(X).toarray(), Y)) == 5


TARGETS = {
    "nullable": lambda y: pd.Series(y).astype("Float64"),
    "objects": lambda y: y.astype(object),
    "column": lambda y: y[:, None],
    "frame": lambda y: pd.DataFrame({"y": y}),
    "tensor": torch.as_tensor,
}


@pytest.mark.parametrize("form", TARGETS.values(), ids=TARGETS)
def test_targets_of_a_regression_may_be_stored_anyhow(form):
    y, yt = X[:, 0] + X[:, 1] ** 2, XT[:, 0] + XT[:, 1] ** 2
    for model in (Ridge().fit(X, y), make_pipeline(Ridge()).fit(X, y), Ridge().fit(X, y[:, None])):
        found = values(model, X, form(y), XT, form(yt))
        np.testing.assert_allclose(found, values(model, X, y, XT, yt), atol=1e-12)


def test_missing_targets_are_refused_by_row():
    y = pd.Series(X[:, 0]).astype("Float64")
    y[4] = pd.NA
    with pytest.raises(InvalidValueError, match="train y has NaN or infinity in 1 of 30 rows, first in row 4"):
        ValuationProblem(Ridge().fit(X, X[:, 0]), (X, y), (XT, XT[:, 0]))


def test_large_unsigned_numbers_keep_their_sign():
    assert as_numbers(np.array([2**64 - 1, 1], dtype="u8"), "x").tolist() == [float(2**64 - 1), 1.0]


def test_a_generator_is_named_and_a_list_of_it_helps():
    with pytest.raises(InvalidTypeError, match="train x is a generator, which can be read once only.*pass a list"):
        values(Ridge().fit(X, X[:, 0]), (row for row in X), X[:, 0], XT, XT[:, 0])
    model = Ridge().fit(X, X[:, 0])
    found = values(model, list(row for row in X), X[:, 0], XT, XT[:, 0])  # noqa: C400
    np.testing.assert_allclose(found, values(model, X, X[:, 0], XT, XT[:, 0]), atol=1e-12)
