from unshap_plugin.plugin import UnlearnerSpec, hookimpl


def nothing(model, forget):
    """Forgets nothing."""
    return model


@hookimpl
def unshap_unlearners():
    yield UnlearnerSpec.from_function(nothing, name="two words", source="A test")
