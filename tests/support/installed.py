"""A fresh virtual environment that has what this one has, but for segbench: nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Environment:
    """A virtual environment.

    Attributes:
        bin: The folder of its commands.
    """

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        self.bin = folder / "bin"
        others = folder / "others"
        others.mkdir()
        for place in _packages():
            (others / place.name).symlink_to(place)
        (own,) = folder.glob("lib/python*/site-packages")
        for old in own.glob("setuptools*"):  # which Python before 3.12 brings, older than torch wants it
            shutil.rmtree(old)
        (own / "others.pth").write_text(f"{others}\n", encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Return the variables of a shell in which it is active: pip reaches no index there."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_", "SEGBENCH_"))}
        own = {"PATH": f"{self.bin}{os.pathsep}{kept['PATH']}", "VIRTUAL_ENV": str(self.bin.parent)}
        return {**kept, **own, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}

    def run(
        self, *command: str | Path, cwd: Path, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of it in a folder."""
        return subprocess.run(
            [str(self.bin / command[0]), *map(str, command[1:])],
            cwd=cwd,
            env={**self.variables(), **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
        )


def _packages() -> list[Path]:
    """Return what is installed here, without segbench; of two things of one name, that which is imported."""
    folders = [folder for folder in map(Path, sys.path) if any(folder.glob("*.dist-info"))]
    places = {place.name: place for folder in reversed(folders) for place in folder.iterdir()}
    return [place for name, place in places.items() if not name.startswith("segbench") and place.suffix != ".pth"]


def build(kind: str, *, source: Path, out: Path) -> Path:
    """Build the ``wheel`` or the ``sdist`` of a source tree with the hatchling of this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (file,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file
