"""The suites that come with segbench, by name: in a clone those of ``suites/``, else those of the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE.parent / "suites", _PACKAGE / "suites")
"""Beside the package in a clone, and in it where it was installed from a wheel."""

_CLONE_FILE = "pyproject.toml"


def shipped_suites() -> dict[str, Path]:
    """Return the file of every suite that comes with segbench, by its name."""
    clone, package = _FOLDERS
    folder = clone if (clone.parent / _CLONE_FILE).is_file() and clone.is_dir() else package
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def suite_path(given: str | Path) -> Path:
    """Return the file that a person means: a file of this name or, where there is none, the suite of this name.

    Args:
        given: A path, or a name such as ``quickstart``.
    """
    path = Path(given)
    if path.is_file() or str(given) != path.name:
        return path
    return shipped_suites().get(path.name, path)
