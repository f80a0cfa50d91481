"""An issue manager for cleanlab's Datalab: rows that harm a trained model are issues of the data."""

from unshap_plugin.frameworks import check_framework

check_framework("cleanlab")

from unshap_cleanlab.issues import UnlearningIssueManager

__all__ = ["UnlearningIssueManager"]
