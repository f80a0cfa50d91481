"""The labels of a Datalab, as a model takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from cleanlab import Datalab
from numpy.typing import NDArray
from torch import nn

from unshap_plugin.errors import InvalidTypeError, InvalidValueError

__all__ = ["labels_for"]


def labels_for(model: Any, datalab: Datalab, y_test: Any) -> tuple[NDArray[Any], Any]:
    """Return the labels of a Datalab and those of test rows, ``[rows]`` each.

    They stay as they are, but that a torch module, which knows no names, gets the numbers that Datalab gave to these.
    Labels that are numbers already are those that the module was trained with.

    Parameters
    ----------
    model
        The model.
    datalab
        The Datalab, of a data set with labels.
    y_test
        Labels of test rows ``[rows]``, called as in the data set.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the Datalab has no labels, or names where numbers are to be predicted, if those of the test rows are no list
        of labels, or if the Datalab lacks one of them.

    Examples
    --------
    >>> lab = Datalab({"of": ["b", "a", "b"]}, label_name="of", verbosity=0)
    >>> labels_for(nn.Linear(1, 2), lab, ["b"]), labels_for(None, lab, ["b"])
    ((array([1, 0, 1]), array([1])), (array(['b', 'a', 'b'], dtype='<U1'), ['b']))
    """
    if datalab.label_name is None:
        raise InvalidValueError(
            "the Datalab has no labels, without which no model is tested: make it with label_name=, the column of them."
        )
    given = np.asarray(list(datalab.data[datalab.label_name]))
    if given.dtype.kind in "biuf" or not isinstance(model, nn.Module):
        return given, y_test
    if not datalab.task.is_classification:
        raise InvalidTypeError(f"the labels of the Datalab are names, but its task is {datalab.task}: pass numbers.")
    if np.ndim(y_test) != 1:
        raise InvalidTypeError(f"the labels of test are a {type(y_test).__name__}, but one label per row is needed.")
    numbers = {str(name): number for number, name in enumerate(datalab.class_names)}
    names = [str(one) for one in y_test]
    unknown = sorted({*names} - {*numbers})
    if unknown:
        raise InvalidValueError(
            f"test has the label {unknown[0]!r}, which the Datalab lacks (it has {[*numbers]}): drop those test rows."
        )
    return datalab.labels, np.array([numbers[one] for one in names])
