"""The commands of ``unshap``, one a module of this package: ``add`` adds its parser, which says what to run."""

__all__ = ["COMMANDS"]

#: The modules, in the order of the help text.
COMMANDS = (
    "value",
    "audit",
    "tune",
    "text",
    "store",
    "unlearners",
    "frameworks",
    "conformance",
    "opendataval",
)
