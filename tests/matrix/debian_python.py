"""An environment for programs that run Debian's own Python, such as Apache: as a user of Debian makes it."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path
import shutil
import subprocess

import tokenbind


__all__ = ["make_venv"]


def make_venv(folder: Path) -> Path:
    """Make it in *folder*, with the tokenbind that is under test, readable to other users."""
    folder.chmod(0o755)
    venv = folder / "venv"
    needed = [requirement for requirement in requires("tokenbind") or () if "extra ==" not in requirement]
    environ = {"PATH": "/usr/bin:/bin"}
    subprocess.run(["/usr/bin/python3", "-m", "venv", venv], check=True, env=environ)
    subprocess.run([venv / "bin" / "pip", "install", "-qq", *needed], check=True)
    (site_packages,) = venv.glob("lib/python3*/site-packages")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(tokenbind.__file__).parent, site_packages / "tokenbind", ignore=ignored)
    return venv
