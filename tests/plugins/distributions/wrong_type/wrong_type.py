from unshap_plugin.plugin import hookimpl


@hookimpl
def unshap_unlearners():
    yield {"name": "dictionary"}
