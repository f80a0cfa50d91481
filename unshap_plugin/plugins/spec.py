"""An unlearning method, as a plugin offers it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, nearest
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.function import FunctionFactory

__all__ = ["UnlearnerSpec"]


@dataclass(frozen=True)
class UnlearnerSpec:
    """An unlearning method, as a plugin offers it.

    What the method needs and is (access, kinds of model, exactness, ...) is declared once, on the unlearner, and its
    settings once, in the signature of the factory: the properties below read them from there.

    Parameters
    ----------
    name
        What users call it: letters, digits, ``.``, ``_`` and ``-``. The unlearner's own ``name`` is the same.
    factory
        Makes the unlearner from keyword settings, all of which have defaults; usually the class itself.
    summary
        One line.
    source
        The paper or book it comes from.
    """

    name: str
    factory: Callable[..., Unlearner]
    summary: str
    source: str

    @classmethod
    def of(cls, method: type[Unlearner]) -> UnlearnerSpec:
        """Return the record of a class, which has its name, summary and source itself."""
        return cls(method.name, method, method.summary, method.source)

    @classmethod
    def from_function(
        cls,
        unlearn: Callable[..., Any],
        *,
        source: str,
        name: str | None = None,
        summary: str | None = None,
        needs: Access = Access.FORGET,
        takes: ModelKind = ModelKind.PARAMETERS,
        exact: bool = False,
        batched: Callable[..., Any] | None = None,
    ) -> UnlearnerSpec:
        """Return the record of a method that is a function for one coalition.

        Parameters
        ----------
        unlearn
            ``(model, forget, retain, reference, generator, *, setting=default, ...) -> model``. ``forget``, ``retain``
            and ``reference`` are pairs ``(x, y)`` of copies, or ``None`` where ``needs`` does not name them; the ``y``
            of a reference set without labels is ``None`` too. The ``generator`` (on the CPU) is seeded from the seed
            and the coalition. A keyword ``loss`` is given the loss of the problem, ``(outputs, targets) -> [rows]``.
            The function returns another model of the same architecture, of which the parameters and buffers count, such
            as a changed ``copy.deepcopy(model)``, and leaves ``model`` alone. It is not asked about the coalition that
            keeps everything.
        source
            The paper or book it comes from.
        name, summary
            By default the name of the function, and the first line of its docstring.
        needs
            What it needs to see.
        takes
            The kinds of model it takes. Objects with ``fit`` and ``predict`` come with pairs of numpy arrays.
        exact
            Whether it equals retraining.
        batched
            ``(problem, coalitions, seed, *, setting, ...) -> {parameter: [m, *shape]}``: the same for many coalitions,
            ``bool [m, n_players]``, at once; see ``problem.retained`` and ``problem.engine``.

        Raises
        ------
        InvalidTypeError
            If the functions do not take these arguments.
        """
        lines = (inspect.getdoc(unlearn) or "").splitlines() if inspect.isfunction(unlearn) else []
        called = name or str(getattr(unlearn, "__name__", ""))
        factory = FunctionFactory(called, unlearn, needs, takes, exact, batched)
        return cls(called, factory, summary or (lines[0] if lines else ""), source)

    @cached_property
    def default(self) -> Unlearner:
        """The unlearner with its default settings, from which the properties below are read."""
        return self.make()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings and their defaults, in the order of the factory's signature."""
        defaults = self.default.settings
        return {name: defaults[name] for name in inspect.signature(self.factory).parameters}

    @property
    def access(self) -> Access:
        """What the method needs to see."""
        return self.default.needs

    @property
    def stored(self) -> str | None:
        """The stored artefact that can stand in for retained rows."""
        return self.default.stored

    @property
    def takes(self) -> ModelKind:
        """The kinds of model that it takes."""
        return self.default.takes

    @property
    def exact(self) -> bool:
        """Whether it equals retraining."""
        return self.default.exact

    @property
    def order_dependent(self) -> bool:
        """Whether its result depends on the order in which coalitions come."""
        return self.default.order_dependent

    @property
    def batched(self) -> bool:
        """Whether it works on many coalitions at once."""
        return self.default.batched

    def make(self, /, **settings: Any) -> Unlearner:
        """Make the unlearner.

        Raises
        ------
        InvalidValueError
            If a setting does not exist, or its value is out of range.
        InvalidTypeError
            If the factory returns something else.
        """
        known = list(inspect.signature(self.factory).parameters)
        for name in settings:
            if name not in known:
                raise InvalidValueError(
                    f"unlearner {self.name!r} has no setting {name!r}{nearest(name, known)}; "
                    f"it has: {', '.join(known) or 'none'}."
                )
        made = self.factory(**settings)
        if not isinstance(made, Unlearner):
            raise InvalidTypeError(
                f"the factory of unlearner {self.name!r} returned a {type(made).__name__}, but an Unlearner is needed."
            )
        return made
