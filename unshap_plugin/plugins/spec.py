"""An unlearning method, as a plugin offers it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, nearest
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.function import function_unlearner

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

    Raises
    ------
    InvalidValueError, InvalidTypeError
        When a plugin offers it: if the name is not valid, a text is missing, a setting has no default, or the factory
        makes something else.

    Examples
    --------
    >>> from unshap_plugin.unlearners import Newton
    >>> spec = UnlearnerSpec("newton", Newton, "Newton's method.", "Warnecke et al. 2023, arXiv 2108.11577")
    >>> spec.settings, spec.make(steps=2)
    ({'steps': None, 'proximal': None}, Newton(steps=2, proximal=None))
    >>> spec = UnlearnerSpec.of(Newton)
    >>> spec.default, spec.access.names(), spec.stored, spec.takes.names()
    (Newton(steps=None, proximal=None), 'RETAIN', 'hessian', 'torch modules with trainable parameters')
    >>> spec.exact, spec.batched, spec.order_dependent
    (False, True, False)
    """

    name: str
    factory: Callable[..., Unlearner]
    summary: str
    source: str

    @classmethod
    def of(cls, method: type[Unlearner]) -> UnlearnerSpec:
        """Return the spec of a ``method``: a class of unlearners, which says its name, summary and source itself.

        Raises
        ------
        AttributeError
            If it does not say its name.
        """
        return cls(method.name, method, method.summary, method.source)

    @classmethod
    def from_function(
        cls,
        unlearn: Callable[..., Any],
        *,
        source: str,
        name: str | None = None,
        summary: str | None = None,
        takes: ModelKind = ModelKind.PARAMETERS,
        exact: bool = False,
        batched: Callable[..., Any] | None = None,
    ) -> UnlearnerSpec:
        """Return the spec of a method that is a function for one coalition, of which a class of unlearners is made.

        Parameters
        ----------
        unlearn
            The function. Its arguments are matched by name, and what it needs to see follows from them. It can be given

            - ``model``: a copy of the given model, which it leaves alone;
            - ``forget``, ``retain``, ``reference``: pairs ``(x, y)`` of copies; the ``y`` of a reference set without
              labels is ``None``;
            - ``generator``: a ``torch.Generator`` on the CPU, seeded from the seed and the coalition;
            - ``loss``: that of the problem, ``(outputs [rows, ...], targets [rows, ...]) -> [rows]``.

            All other arguments are settings, and have defaults. It returns another model of the same architecture, of
            which the parameters and buffers count, such as a changed ``copy.deepcopy(model)``. It is not asked about
            the coalition that keeps everything.
        source
            The paper or book it comes from.
        name, summary
            By default the name of the function, and the first line of its docstring.
        takes
            The kinds of model it takes. Objects with ``fit`` and ``predict`` come with pairs of numpy arrays.
        exact
            Whether it equals retraining.
        batched
            The same for many coalitions at once, with the same settings. It can be given ``problem``, ``coalitions``
            (bool ``[m, n_players]``), ``seed`` and ``loss``, and returns ``{parameter: [m, *shape]}``; see
            ``problem.retained`` and ``problem.engine``.

        Raises
        ------
        InvalidTypeError
            If a function has an argument without a default that is none of these, the settings of the two differ, or a
            default cannot be copied.

        Examples
        --------
        >>> def stay(model, retain, *, strength=1.0):
        ...     "Does not forget."
        ...     return model
        >>> spec = UnlearnerSpec.from_function(stay, source="an example")
        >>> spec.name, spec.settings, spec.access.names()
        ('stay', {'strength': 1.0}, 'RETAIN')
        """
        for given in (unlearn, batched, name, summary, source):
            if not isinstance(given, Hashable):
                raise InvalidTypeError(
                    f"{given!r} cannot be hashed, but functions and texts that can be are needed, since the class that "
                    f"is made of them is looked up by them."
                )
        lines = (inspect.getdoc(unlearn) or "").splitlines() if inspect.isroutine(unlearn) else []
        called, line = name or str(getattr(unlearn, "__name__", "")), summary or (lines[0] if lines else "")
        method = function_unlearner(unlearn, batched, called, line, source, takes, exact)
        return cls.of(method)

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
        """Make the unlearner with these ``settings``; the others have their defaults.

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
