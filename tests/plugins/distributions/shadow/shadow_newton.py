"""A method with the name of a built-in one, and one of its own."""

import copy

from unshap_plugin.plugin import UnlearnerSpec, hookimpl


def newton(model, forget):
    """Forgets nothing."""
    return copy.deepcopy(model)


@hookimpl
def unshap_unlearners():
    yield UnlearnerSpec.from_function(newton, source="A test")
    yield UnlearnerSpec.from_function(newton, name="unshadowed", source="A test")
