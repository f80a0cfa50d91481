"""What a plugin may offer."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from unshap_plugin.plugins.spec import UnlearnerSpec

__all__ = ["PROJECT", "hookimpl", "hookspec", "unshap_unlearners"]

#: The name of the hooks' project, and of the group of entry points under which plugins are found.
PROJECT = "unshap_plugin"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def unshap_unlearners() -> Iterable[UnlearnerSpec]:  # type: ignore[empty-body]
    """Yield the unlearning methods that this plugin offers.

    >>> import copy, torch
    >>> from unshap_plugin import UnlearnerSpec, hookimpl
    >>> def shrink(model, forget, retain, reference, generator, *, factor=0.9):
    ...     "Shrinks all parameters, whatever is forgotten."
    ...     model = copy.deepcopy(model)
    ...     with torch.no_grad():
    ...         for parameter in model.parameters():
    ...             parameter *= factor
    ...     return model
    >>> @hookimpl
    ... def unshap_unlearners():
    ...     yield UnlearnerSpec.from_function(shrink, source="an example")
    >>> [spec] = unshap_unlearners()
    >>> spec.name, spec.settings, spec.access.names()
    ('shrink', {'factor': 0.9}, 'FORGET')
    """
