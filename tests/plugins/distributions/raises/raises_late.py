from unshap_plugin.plugin import UnlearnerSpec, hookimpl
from unshap_plugin.unlearners import FineTune


@hookimpl
def unshap_unlearners():
    yield UnlearnerSpec("finetune", FineTune, "Is fine.", "A test")
    raise LookupError("no licence found")
