"""The commands of ``unshap``, one a file: each adds its parser, and runs."""

from unshap_plugin.cli import audit, conformance, opendataval, unlearners, value

__all__ = ["COMMANDS", "audit", "conformance", "opendataval", "unlearners", "value"]

#: In the order of the help text.
COMMANDS = (opendataval, value, audit, unlearners, conformance)
