"""Artefacts: sums over the full data, computed once while it is at hand, and kept in a file for when it is not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.losses import LOSSES
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.penalties import penalties
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.rows import Rows, n_rows, row_hashes
from unshap_plugin.model.same_module import layers

__all__ = ["STAND_INS", "Artifacts", "fingerprint"]

#: Artefacts that can stand in for the rows that an unlearner would need to see (``Unlearner.stored``).
STAND_INS = ("hessian", "gram", "fisher")
_FORMAT = "unshap-artifacts/3"

#: By how much losses of one row may differ from one machine to another, relative and absolute.
_ROUND_OFF = 1e-3, 1e-5


@dataclass(frozen=True, eq=False)
class Artifacts:
    """Sums over all training rows at the given parameters, for a model with ``p`` trainable parameters.

    Parameters
    ----------
    model
        Fingerprint (sha256) of the layers, parameters, buffers and loss.
    versions
        Versions of the packages that computed them.
    hashes
        A 64-bit hash of every row ``(x, y)``, int64 ``[n]``.
    losses
        The loss of every row, ``[n]``: it tells losses of one name apart.
    gradient
        Sum of the gradients of the losses of the rows, ``[p]``.
    fisher
        Sum of the squares of these gradients: the diagonal of the empirical Fisher matrix, ``[p]``.
    l2, init
        Strengths of the penalty and initial parameters of the recipe, ``[p]``; zero where they are not known.
    hessian
        Sum of the Hessians (for other modules than linear heads, of the Gauss-Newton matrices), ``[p, p]``. This
        and what follows is ``None`` for more than 4096 parameters.
    proximal
        Proximal strengths as ``newton`` estimates them, which stand for what kept training from the optimum, ``[p]``.
    lowest
        The lowest eigenvalue of the Hessian and the penalty, ``[]``.
    gram, moments
        Sums of the normal equations, float64 ``[d, d]`` and ``[d, c]``; ``None`` for what is no linear
        regression.

    Examples
    --------
    >>> from unshap_plugin import ValuationProblem, compute_artifacts
    >>> x, y = torch.randn(6, 2), torch.tensor([0, 1, 0, 1, 0, 1])
    >>> problem = ValuationProblem(torch.nn.Linear(2, 2), train=(x, y), test=(x, y))
    >>> artifacts = compute_artifacts(problem)
    >>> len(artifacts), artifacts.has("hessian"), artifacts.has("gram"), artifacts.tensors()["fisher"].shape
    (6, True, False, torch.Size([6]))
    >>> artifacts.check(problem.engine, problem.recipe, problem.x[:4], problem.y[:4])  # some of its rows
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     artifacts.save(f"{folder}/artifacts.safetensors")
    ...     loaded = Artifacts.load(f"{folder}/artifacts.safetensors")
    >>> torch.equal(loaded.hessian, artifacts.hessian)
    True
    """

    model: str
    versions: Mapping[str, str]
    hashes: Tensor
    losses: Tensor
    gradient: Tensor
    fisher: Tensor
    l2: Tensor
    init: Tensor
    hessian: Tensor | None = None
    proximal: Tensor | None = None
    lowest: Tensor | None = None
    gram: Tensor | None = None
    moments: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of rows, n."""
        return len(self.hashes)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that are there, by name, in the shapes ``[...]`` that are given above."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def has(self, name: str) -> bool:
        """Tell whether the artefact of that ``name`` is there.

        Raises
        ------
        AttributeError
            If there is no artefact of that name.
        """
        return getattr(self, name) is not None

    def check(self, engine: Engine, recipe: Recipe | None, x: Rows, y: Tensor) -> None:
        """Refuse artefacts of another model than this one, or that are not of these rows.

        Parameters
        ----------
        engine, recipe
            The model, and how it was trained as far as that is known.
        x, y
            Some or all of the rows, ``[rows, ...]`` each.

        Raises
        ------
        InvalidValueError
            If they are of another model or loss, or a row was not among theirs, or the recipe says otherwise of how it
            was trained.
        """
        if self.model != fingerprint(engine):
            raise InvalidValueError(
                "the artefacts are those of another model: its parameters, its buffers, which of them are trainable, "
                "or its loss differ; give the model as it was when they were computed, or compute them anew with "
                "compute_artifacts(problem) where all data is at hand."
            )
        left, hashes = Counter(self.hashes.tolist()), row_hashes(x, y).tolist()
        odd = []
        for index, one in enumerate(hashes):
            if left[one] == 0:
                odd.append(index)
            left[one] -= 1
        if odd:
            raise InvalidValueError(
                f"{len(odd)} of {n_rows(x)} training rows were not among the {len(self)} rows that the artefacts were "
                f"computed from, the first being row {odd[0]}: prepare rows and labels (scaling, padding) as they were "
                f"then, or leave these out."
            )
        self._check_losses(engine, x, y, hashes)
        self._check_recipe(engine, recipe)

    def _check_losses(self, engine: Engine, x: Rows, y: Tensor, hashes: list[int]) -> None:
        stored = dict(zip(self.hashes.tolist(), self.losses.tolist(), strict=True))
        with torch.no_grad():
            losses = engine.loss(engine.call(engine.theta0, x), y)
        theirs = losses.new_tensor([stored[one] for one in hashes])
        if not torch.allclose(losses, theirs, *_ROUND_OFF):
            row = int((losses - theirs).abs().argmax())
            raise InvalidValueError(
                f"the artefacts were computed with another loss: that of row {row} was {float(theirs[row]):g} and is "
                f"{float(losses[row]):g}; give the loss that they were computed with, or compute them anew."
            )

    def _check_recipe(self, engine: Engine, recipe: Recipe | None) -> None:
        if recipe is None:
            return
        given = dict(zip(("l2", "init"), penalties(engine, recipe), strict=True))
        if recipe.init is None:
            del given["init"]
        for name, value in given.items():
            stored: Tensor = getattr(self, name).to(value)
            if not torch.allclose(stored, value):
                at = int((stored - value).abs().argmax())
                raise InvalidValueError(
                    f"fit has another {name} than the artefacts were computed with ({float(value[at]):g} instead of "
                    f"{float(stored[at]):g} for parameter number {at}): give the fit of the problem that they are of "
                    f"(or none), or compute them anew."
                )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write them to a file, ``path``, in the safetensors format; one that is there is replaced when all is written.

        Raises
        ------
        InvalidValueError
            If the file cannot be written.
        """
        target = Path(path)
        tensors = {name: value.cpu().contiguous().clone() for name, value in self.tensors().items()}
        metadata = {
            "format": _FORMAT,
            "model": self.model,
            "content": _digest(tensors),
            "versions": json.dumps(dict(self.versions)),
        }
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
                beside = Path(folder) / target.name
                save_file(tensors, beside, metadata=metadata)
                beside.replace(target)
        except (OSError, SafetensorError) as error:
            raise InvalidValueError(
                f"the artefacts cannot be written to {str(target)!r} ({error}): give another path."
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Artifacts:
        """Return what ``save`` wrote to ``path``.

        Raises
        ------
        InvalidTypeError, InvalidValueError
            If this is no path, or the file cannot be read, is damaged, or is another kind of file.
        """
        if not isinstance(path, str | os.PathLike):
            raise InvalidTypeError(f"artifacts is a {type(path).__name__}, but a path or Artifacts are needed.")
        where = f"the artefacts file {str(path)!r}"
        remedy = "give a file that compute_artifacts(problem).save(path) wrote"
        try:
            with safe_open(path, framework="pt") as file:
                metadata: dict[str, str] = file.metadata() or {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (OSError, SafetensorError, ValueError) as error:
            raise InvalidValueError(f"{where} cannot be read ({error}): {remedy}.") from error
        if metadata.get("format") != _FORMAT:
            raise InvalidValueError(f"{where} is not in the format {_FORMAT!r}: {remedy}.")
        if metadata.get("content") != _digest(tensors):
            raise InvalidValueError(f"{where} is damaged, its content is not what was written: {remedy}.")
        try:
            return cls(metadata["model"], json.loads(metadata["versions"]), **tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError(f"{where} is of another version ({error}): {remedy}.") from error


def fingerprint(engine: Engine) -> str:
    """Return the sha256 of the layers, parameters and buffers of a model, what of it is trainable, and its loss."""
    name = next((name for name, loss in LOSSES.items() if loss is engine.loss), None)
    called = name or str(getattr(engine.loss, "__name__", type(engine.loss).__name__))
    return _digest(engine.state, called, *engine.theta0, *layers(engine.module))


def _digest(tensors: Mapping[str, Tensor], *words: str) -> str:
    """Return the sha256 of words, and of the names, dtypes, shapes and bytes of tensors."""
    digest = hashlib.sha256(repr(words).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu()
        digest.update(repr((name, str(value.dtype), list(value.shape))).encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
