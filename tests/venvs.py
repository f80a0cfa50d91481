"""Virtual environments that are layered over this one, for tests with real wheels and a real pip."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

OFFLINE = ["--no-deps", "--no-index", "--quiet"]


def run(*command, code=0, **kwargs):
    """Run a command, see to its exit code, and return what it printed."""
    environment = {**os.environ, "PYTHONWARNINGS": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    out = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=environment, **kwargs
    )
    assert out.returncode == code, f"{command}\n{out.stdout}\n{out.stderr}"
    return out.stdout


def wheel(source, folder):
    """Build the wheel of a project."""
    build = [sys.executable, "-m", "pip", "wheel", *OFFLINE, "--no-build-isolation"]
    run(*build, "--wheel-dir", folder, source)
    [built] = Path(folder).glob("*.whl")
    return built


def layered(folder, built):
    """Return the python of a new environment with this wheel in it, above the packages of this one, pip among them."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # addsitedir, and not the path alone: packages of this environment may be installed editable, by .pth files.
    (site / "below.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    run(python, "-m", "pip", "install", *OFFLINE, "--force-reinstall", built)
    return python
