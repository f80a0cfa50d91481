from unshap_plugin.plugin import hookimpl


@hookimpl
def unshap_unlearner():
    return []
