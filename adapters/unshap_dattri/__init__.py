"""An unlearning attributor for dattri: it stands beside dattri's own, and scores rows for every test point."""

from unshap_plugin.frameworks import check_framework

check_framework("dattri")

from unshap_dattri.attributor import UnlearningAttributor

__all__ = ["UnlearningAttributor"]
