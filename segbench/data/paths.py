"""Where data sets lie on this machine: an explicit root, ``$SEGBENCH_DATA``, or the user's data folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from segbench.errors import MissingDataError

DATA_VARIABLE = "SEGBENCH_DATA"
"""Environment variable that names the folder of all data sets."""


def candidates(name: str, root: str | None) -> tuple[Path, ...]:
    """Return where a data set is looked for, the first choice first; an explicit root is the only one."""
    if root is not None:
        return (Path(root).expanduser(),)
    shared = os.environ.get(DATA_VARIABLE)
    found = [Path(shared).expanduser() / name] if shared else []
    return (*found, user_data_folder() / name)


def locate(name: str, root: str | None, *, holds: Callable[[Path], bool], remedy: str) -> Path:
    """Return the first candidate that holds the data set.

    Args:
        name: The data set's name, which is also its folder's.
        root: The folder given by the person, if any.
        holds: Whether a folder is the data set's.
        remedy: How to get the data, or what layout it needs.

    Raises:
        MissingDataError: No candidate holds it; says where it was looked for and what to do.
    """
    places = candidates(name, root)
    for place in places:
        if holds(place):
            return place
    looked = ", ".join(str(place) for place in places)
    elsewhere = "" if root else f" (dataset.root or the environment variable {DATA_VARIABLE} name another place)"
    raise MissingDataError(f"{name}: no data found; looked in {looked}{elsewhere}. {remedy}")


def user_data_folder() -> Path:
    """Return the folder for data sets in the person's home."""
    return _user_folder("XDG_DATA_HOME", ".local/share", "Library/Application Support") / "segbench"


def user_cache_folder() -> Path:
    """Return the folder for decoded images in the person's home."""
    return _user_folder("XDG_CACHE_HOME", ".cache", "Library/Caches") / "segbench"


def _user_folder(variable: str, unix: str, mac: str) -> Path:
    if given := os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else variable):
        return Path(given)
    return Path.home() / (mac if sys.platform == "darwin" else unix)
