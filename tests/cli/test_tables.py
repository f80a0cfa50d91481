from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unshap_plugin.cli._examples import EXAMPLES, example
from unshap_plugin.cli._flip import flip_labels
from unshap_plugin.cli._tables import read_tables
from unshap_plugin.errors import InvalidValueError, UnknownNameError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def mixed(tmp_path):
    """Numbers, categories, a class as text and a provider, and a test table of other rows."""
    train = write(
        tmp_path / "train.csv",
        "age,colour,provider,y\n10,red,a,no\n20,blue,a,yes\n30,red,b,no\n40,green,b,yes\n",
    )
    test = write(tmp_path / "test.csv", "y,extra,colour,age\nyes,1,violet,25\nno,2,red,10\n")
    return train, test


def test_numbers_are_standardised_and_categories_one_hot_encoded_on_the_training_rows(mixed):
    table = read_tables(*mixed, label="y", group="provider")
    age = np.array([10.0, 20, 30, 40])
    assert table.x.dtype == np.float64
    np.testing.assert_allclose(table.x[:, 0], (age - 25) / age.std())
    np.testing.assert_array_equal(table.x[:, 1:], [[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0]])  # blue, green, red
    np.testing.assert_allclose(table.x_test[:, 0], (np.array([25.0, 10]) - 25) / age.std())
    np.testing.assert_array_equal(table.x_test[:, 1:], [[0, 0, 0], [0, 0, 1]])  # violet is none of them
    assert table.classes == ("no", "yes")
    np.testing.assert_array_equal(table.y, [0, 1, 0, 1])
    np.testing.assert_array_equal(table.y_test, [1, 0])
    assert table.groups.tolist() == ["a", "a", "b", "b"]
    [note] = table.notes
    assert "has 1 entry in column 'colour' that the training rows lack, first 'violet'" in note


def test_labels_of_a_regression_are_standardised_on_the_training_rows(tmp_path):
    train = write(tmp_path / "train.csv", "x,y\n1,1.5\n2,2.5\n4,6.5\n")
    test = write(tmp_path / "test.csv", "x,y\n1,3.5\n")
    table = read_tables(train, test, label="y")
    assert table.task == "regression"
    assert table.n_outputs == 1
    np.testing.assert_allclose(table.y, (np.array([1.5, 2.5, 6.5]) - 3.5) / np.std([1.5, 2.5, 6.5]))
    np.testing.assert_allclose(table.y_test, [0.0], atol=1e-15)
    assert table.groups.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "wanted", "expected"),
    [
        (["cat", "dog"], None, ("cat", "dog")),
        (["True", "False"], None, ("False", "True")),
        (["1", "0"], None, ("0", "1")),
        (["10", "9", "2.0"], None, ("2", "9", "10")),
        ([str(k) for k in range(20)], None, tuple(str(k) for k in range(20))),
        ([str(k) for k in range(21)], None, ()),
        (["0.5", "1"], None, ()),
        (["1", "0"], "regression", ()),
        (["0.5", "1"], "classification", ("0.5", "1")),
    ],
)
def test_the_task_follows_from_the_labels_unless_it_is_given(tmp_path, labels, wanted, expected):
    text = "x,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels * 3))
    path = write(tmp_path / "t.csv", text)
    assert read_tables(path, path, label="y", task=wanted).classes == expected


def test_a_table_is_split_by_the_seed_within_class_and_group(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": np.arange(200), "who": rng.choice(["a", "b", "rare"], 200, p=[0.6, 0.39, 0.01])})
    frame["y"] = rng.integers(0, 3, 200)
    frame.to_csv(tmp_path / "t.csv", index=False)
    tables = [read_tables(tmp_path / "t.csv", label="y", group="who", seed=seed) for seed in (0, 0, 1)]
    first = tables[0]
    assert (len(first.y), len(first.y_test)) == (140, 60)
    assert "split by the seed into 140 training and 60 test rows" in first.notes[-1]
    np.testing.assert_array_equal(first.x, tables[1].x)
    assert not np.array_equal(first.x, tables[2].x)
    assert set(first.groups) == set(frame["who"])
    for k in range(3):
        assert abs((first.y_test == k).mean() - (frame["y"] == k).mean()) < 0.03
    rows = read_tables(tmp_path / "t.csv", label="y", seed=0).groups
    assert len(rows) == 140
    assert rows.max() > 140  # numbered as in the file


def test_columns_without_a_name_are_ignored_and_columns_that_mix_numbers_and_text_are_named(tmp_path):
    path = write(tmp_path / "t.csv", ",a,b,y\n0,1,1,0\n1,2,?,1\n2,3,2,0\n")
    table = read_tables(path, path, label="y")
    assert table.x.shape == (3, 4)
    assert any("columns without a name were ignored" in note for note in table.notes)
    assert any("column 'b' mixes numbers with text ('?'): it was taken as 3 categories" in note for note in table.notes)


def test_arrays_can_be_written_to(tmp_path):
    train = write(tmp_path / "train.csv", "a,y\n" + "1,u\n2,v\n" * 4)
    table = read_tables(train, label="y")
    assert all(array.flags.writeable for array in (table.x, table.y, table.x_test, table.y_test))  # or torch warns


def test_a_constant_feature_and_a_byte_order_mark_are_fine(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n1,5,0\n2,5,1\n", encoding="utf-8-sig")
    table = read_tables(path, path, label="y")
    np.testing.assert_array_equal(table.x, [[-1, 0], [1, 0]])


def test_text_where_the_test_table_has_numbers_is_a_category_that_it_lacks(tmp_path):
    train = write(tmp_path / "train.csv", "a,y\nu,0\nv,1\n")
    test = write(tmp_path / "test.csv", "a,y\n3,0\n4.5,1\n")
    np.testing.assert_array_equal(read_tables(train, test, label="y").x_test, np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("name", "rows", "rows_test", "features", "classes"),
    [
        ("breast_cancer", 200, 369, 30, 2),
        ("diabetes", 200, 242, 10, 0),
        ("digits", 200, 1000, 64, 10),
        ("iris", 105, 45, 4, 3),
        ("wine", 125, 53, 13, 3),
    ],
)
def test_examples_have_real_rows_of_every_class(name, rows, rows_test, features, classes):
    table = example(name, seed=3)
    assert table.x.shape == (rows, features)
    assert table.x_test.shape == (rows_test, features)
    assert len(table.classes) == classes
    if classes:
        whole = np.bincount(np.concatenate([table.y, table.y_test])) / (rows + rows_test)
        np.testing.assert_allclose(np.bincount(table.y) / rows, whole, atol=0.03)
    data = EXAMPLES[name]().data[table.groups]
    spread = data.std(axis=0)
    expected = (data - data.mean(axis=0)) / np.where(spread == 0, 1, spread)
    np.testing.assert_allclose(table.x, expected, atol=1e-9)


def test_an_example_takes_the_task_of_the_model():
    assert example("breast_cancer").classes == ("benign", "malignant")
    assert example("breast_cancer", task="regression").task == "regression"
    with pytest.raises(InvalidValueError, match=r"'target' .* has 214 different labels in 442 rows, too many"):
        example("diabetes", task="classification")
    with pytest.raises(UnknownNameError, match=r"unknown example 'irs' \(did you mean 'iris'\?\)"):
        example("irs")


def test_flipping_changes_the_given_share_of_labels_and_nothing_else():
    table = example("digits")
    flipped, rows = flip_labels(table, 0.2, seed=0)
    assert len(rows) == 40
    np.testing.assert_array_equal(np.flatnonzero(flipped.y != table.y), rows)
    assert set(flipped.y) <= set(range(10))
    assert flipped.x is table.x
    assert "40 of 200 training labels were flipped" in flipped.notes[-1]
    np.testing.assert_array_equal(flip_labels(table, 0.2, seed=0)[1], rows)
    assert not np.array_equal(flip_labels(table, 0.2, seed=1)[1], rows)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, 0.001, 0.999, float("nan")])
def test_a_share_that_cannot_be_flipped_is_refused(share):
    with pytest.raises(InvalidValueError, match="between 0 and 1"):
        flip_labels(example("iris"), share, seed=0)


def test_flipping_needs_classes():
    with pytest.raises(InvalidValueError, match="this is a regression"):
        flip_labels(example("diabetes"), 0.2, seed=0)


GOOD = "a,b,who,y\n1,2,p,0\n2,1,q,1\n3,3,p,0\n"


@pytest.mark.parametrize(
    ("train", "test", "keywords", "message"),
    [
        (
            GOOD,
            None,
            {"label": "yy"},
            "has no label column 'yy' (did you mean 'y'?); its columns are: 'a', 'b', 'who', 'y'",
        ),
        (GOOD, None, {"group": "whom"}, "has no group column 'whom' (did you mean 'who'?)"),
        (GOOD, None, {"group": "y"}, "given both as the label and as the group"),
        ("who,y\np,1\nq,0\n", None, {"group": "who"}, "has no column besides 'who', 'y'"),
        (GOOD, "a,y\n1,0\n", {"group": "who"}, "has no column 'b', which the training table has"),
        (GOOD, "a,b\n1,0\n", {"group": "who"}, "has no column 'y', which the training table has"),
        (
            GOOD,
            "a,b,y\n1,0,0\n1,1,2\n",
            {"group": "who"},
            "has class '2', first in row 1 (counted from 0), which the training",
        ),
        (GOOD, "a,b,y\nx,0,0\n", {"group": "who"}, "column 'a' of table"),
        ("a,y\n1,0\n,1\n,0\n", None, {}, "has 2 entries in column 'a' missing, first in row 1 (counted from 0)"),
        ("a,y\n1,0\nNaN,1\n3,0\n", None, {}, "has 1 entry in column 'a' missing, first in row 1"),
        ("a,y\n1,0\n2,1\n-inf,1\n", None, {}, "column 'a' of table"),
        ("a,y\n1,0\n2,1\nInfinity,1\n", None, {}, "1 entry with infinity, first in row 2"),
        ("a,y\n1,0.5\n2,inf\n3,1.5\n", None, {}, "column 'y' of table"),
        ("a,y\n1,0\n2,\n3,1\n", None, {}, "has 1 entry in column 'y' missing, first in row 1"),
        (
            "a,who,y\n1,p,0\n2,,1\n3,q,0\n",
            None,
            {"group": "who"},
            "has 1 entry in column 'who' missing, first in row 1",
        ),
        ("a,y\n1,0\n2\n3,1\n", None, {}, "has 1 entry in column 'y' missing, first in row 1"),
        ("", None, {}, "is empty: expected a header line and rows"),
        ("a,y\n", None, {}, "has no rows below its header"),
        (GOOD, "a,b,y\n", {"group": "who"}, "has no rows below its header"),
        ("a,y\n1,0\n", None, {}, "has one row"),
        ("a,y\n1,0\n2,1\n", None, {}, "too few to set some aside"),
        ("a,y\n1,0\n2,0\n3,0\n", None, {}, "has the single class '0'"),
        ("a,y\n1,0.5\n2,0.5\n3,0.5\n4,0.5\n", None, {}, "has the single value 0.5 in training"),
        ("a,y\n1,cat\n2,dog\n3,cat\n", None, {"task": "regression"}, "has 3 entries of text, first in row 0"),
        ("a,a,y\n1,2,0\n2,3,1\n3,4,0\n", None, {}, "has two columns 'a'"),
        ("a,y\n1,0\n2,1,7,8\n", None, {}, "is not a CSV file"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(tmp_path, train, test, keywords, message):
    path = write(tmp_path / "train.csv", train)
    other = None if test is None else write(tmp_path / "test.csv", test)
    with pytest.raises(InvalidValueError) as caught:
        read_tables(path, other, **{"label": "y", **keywords})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    for name, message in (
        ("absent.csv", "No such file"),
        (".", "Is a directory"),
        ("binary.csv", "is not a CSV file in UTF-8 .*: convert it"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            read_tables(tmp_path / name, label="y")
