"""``python -m unshap_plugin`` is the command ``unshap``."""

import sys

from unshap_plugin.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
