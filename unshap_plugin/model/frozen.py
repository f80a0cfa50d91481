"""Models of which only some parameters are unlearned: what the rest makes of the rows is computed once."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

import torch
from torch import Tensor, nn

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, in_short, nearest
from unshap_plugin.model.given import copied
from unshap_plugin.model.probes import calls_of, versions_of
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.rows import Rows, leaves, n_rows, take

__all__ = ["Part", "cut", "freeze"]

T = TypeVar("T")

#: Rows that are tried before all of them are.
_FEW = 8


def freeze(module: nn.Module, parameters: str | Sequence[str]) -> str | None:
    """Leave only the named parameters trainable, and say so in a sentence if others were.

    Parameters
    ----------
    module
        It is changed: its other parameters no longer require a gradient.
    parameters
        Patterns of names, names of submodules, or ``"head"``.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If these name no trainable parameter.
    """
    patterns = [parameters] if isinstance(parameters, str) else parameters
    if not isinstance(patterns, Sequence) or not all(isinstance(one, str) for one in patterns):
        raise InvalidTypeError(
            f"parameters is {in_short(parameters)}, but a pattern of parameter names or a list is needed."
        )
    named = list(module.named_parameters(remove_duplicate=False))  # tied weights have several names
    if not named:
        raise InvalidValueError(
            f"parameters is {in_short(parameters)}, but {type(module).__name__} has no parameters: leave it out."
        )
    chosen = {name for pattern in patterns for name in _matching(module, pattern, [name for name, _ in named])}
    ours = {id(p) for name, p in named if name in chosen and p.requires_grad}
    if not ours:
        raise InvalidValueError(
            f"parameters is {in_short(parameters)}, but none that it names is trainable: name others, or set "
            f"requires_grad of those that training changed."
        )
    trainable = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    kept = [name for name, p in trainable if id(p) in ours]
    for _, p in named:
        p.requires_grad_(id(p) in ours)
    if len(kept) == len(trainable):
        return None
    total, some = (sum(p.numel() for _, p in trainable if every or id(p) in ours) for every in (True, False))
    return (
        f"only {_shown(kept)} are unlearned and retrained ({some:,} of {total:,} parameters); the others stay as they "
        f"are given, whatever they learned from which rows."
    )


def _matching(module: nn.Module, pattern: str, names: list[str]) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")]
    if not found and pattern == "head":
        last = [name for name, layer in module.named_modules() if layer._parameters][-1]
        found = [
            f"{last}.{name}".lstrip(".") for name, p in module.get_submodule(last)._parameters.items() if p is not None
        ]
    if not found:
        known = [*names, *(name for name, layer in module.named_modules() if name and list(layer.parameters()))]
        raise InvalidValueError(
            f"parameters names {pattern!r}{nearest(pattern, known)}, but no parameter or submodule of "
            f"{type(module).__name__} is called so; its parameters are {_shown(names)}."
        )
    return found


def _shown(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


@dataclass(frozen=True)
class Part:
    """The end of a module: all that its trainable parameters enter.

    Parameters
    ----------
    module
        A submodule, or the last children of an ``nn.Sequential``; its outputs are those of the whole.
    prefix
        What the names of its parameters begin with in the whole.
    rows
        Its inputs: what the rest makes of the sets of rows.
    """

    module: nn.Module
    prefix: str
    rows: list[Rows]

    def recipe(self, whole: Recipe | None) -> Recipe | None:
        """Return the recipe of the whole with the names of the part."""
        if whole is None:
            return None
        assert not isinstance(whole.init, nn.Module)  # of which a recipe takes the state
        l2 = self._own(whole.l2) if isinstance(whole.l2, Mapping) else whole.l2
        init = None if whole.init is None else self._own(whole.init)
        return dataclasses.replace(whole, l2=l2, init=init)

    def _own(self, values: Mapping[str, T]) -> dict[str, T]:
        start = len(self.prefix)
        return {name[start:]: value for name, value in values.items() if name.startswith(self.prefix)}


def cut(module: nn.Module, sets: Sequence[Rows]) -> Part | None:
    """Return the smallest part that has all trainable parameters, or ``None`` if it cannot be told from the rest.

    It can where one call of it gives the very tensor that the module returns, from inputs with a row for every row that
    no trainable parameter enters: by another way than through the part, or by tied weights.

    Parameters
    ----------
    module
        The module, in evaluation mode; some of its parameters are frozen.
    sets
        Sets of rows.
    """
    largest = max(sets, key=n_rows)
    index = torch.arange(min(_FEW, n_rows(largest) // 2), device=leaves(largest)[0].device).flip(0)
    if len(index) == 0:
        return None
    few = take(largest, index)
    for candidate in _candidates(module):
        try:
            tried = _inputs(module, candidate, few)
            inputs = [] if tried is None else [_inputs(module, candidate, x) for x in sets]
        except Exception:  # where the module cannot be applied to the rows, the problem says so
            return None
        rows = [x for x in inputs if x is not None]
        if tried is None or len(rows) < len(sets):
            continue
        again = take(next(x for x, given in zip(rows, sets, strict=True) if given is largest), index)
        if all(_near(a, b) for a, b in zip(leaves(tried), leaves(again), strict=True)):
            return Part(copied(candidate.module), candidate.prefix, rows)
    return None


@dataclass(frozen=True)
class _Candidate:
    """``module`` and the submodules of the whole whose inputs and whose output are its own."""

    module: nn.Module
    prefix: str
    first: str
    last: str


def _candidates(module: nn.Module) -> Iterator[_Candidate]:
    """Yield the submodules that hold all trainable parameters, the smallest first."""
    named = module.named_parameters(remove_duplicate=False)
    owners = [name.split(".")[:-1] for name, p in named if p.requires_grad]
    if not owners:
        return
    shared = [step for step, *others in zip(*owners, strict=False) if all(step == other for other in others)]
    for depth in range(len(shared), -1, -1):
        path = ".".join(shared[:depth])
        prefix = f"{path}." if path else ""
        layer = module.get_submodule(path)
        if type(layer).forward is nn.Sequential.forward and not (layer._forward_hooks or layer._forward_pre_hooks):
            children = list(layer._modules.items())  # named_children() leaves out the second of two that are the same
            begin = next(k for k, (_, one) in enumerate(children) if _trains(one))
            end = nn.Sequential(OrderedDict(children[begin:])).eval()  # type: ignore[arg-type]
            if path or begin > 0:
                yield _Candidate(end, prefix, prefix + children[begin][0], path)
        elif path:
            yield _Candidate(layer, prefix, path, path)


def _trains(module: nn.Module | None) -> bool:
    return module is not None and any(p.requires_grad for p in module.parameters())


def _inputs(module: nn.Module, candidate: _Candidate, x: Rows) -> Rows | None:
    """Return what the candidate is applied to for these rows, or ``None`` if it cannot stand alone."""
    with torch.enable_grad():  # so that inputs tell whether a trainable parameter enters them
        calls, outputs = calls_of(module, x, lambda name, _layer: name in (candidate.first, candidate.last))
    firsts, lasts = ([call for call in calls if call.name == name] for name in (candidate.first, candidate.last))
    if len(firsts) != 1 or len(lasts) != 1:
        return None
    [first], [last] = firsts, lasts
    if last.output is not outputs or (first.positional and first.named):
        return None
    args, keywords, tensors = first.positional, first.named, first.tensors
    rowwise = all(isinstance(t, Tensor) and t.ndim > 0 and len(t) == n_rows(x) for t in tensors)
    if not tensors or not rowwise or any(t.requires_grad for t in tensors):
        return None
    if (first.before, last.after) != (versions_of(tensors), versions_of([outputs])):  # changed in place
        return None
    if keywords:
        return {name: t.detach() for name, t in keywords.items()}
    return args[0].detach() if len(args) == 1 else tuple(t.detach() for t in args)


def _near(a: Tensor, b: Tensor) -> bool:
    """Tell whether two batches gave the same up to round-off: rows must not depend on each other."""
    if not a.is_floating_point() or a.shape != b.shape:
        return torch.equal(a, b)
    return torch.allclose(a, b, rtol=1e-3, atol=1e-5)
