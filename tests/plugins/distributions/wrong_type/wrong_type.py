from unshap_plugin import hookimpl


@hookimpl
def unshap_unlearners():
    yield {"name": "dictionary"}
