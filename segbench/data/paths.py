"""Finds the folders of data sets: an explicit root, ``$SEGBENCH_DATA``, or the user's data folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from segbench.errors import MissingDataError

DATA_VARIABLE = "SEGBENCH_DATA"
"""Environment variable with the folder of all data sets."""


def candidates(name: str, root: str | None) -> tuple[Path, ...]:
    """Return the candidate folders of a data set in order of preference; only the explicit root if given."""
    if root is not None:
        return (Path(root).expanduser(),)
    shared = os.environ.get(DATA_VARIABLE)
    found = [Path(shared).expanduser() / name] if shared else []
    return (*found, user_data_folder() / name)


def locate(name: str, root: str | None, *, holds: Callable[[Path], bool], remedy: str) -> Path:
    """Return the first candidate that contains the data set.

    Args:
        name: The data set's name, which is also its folder's.
        root: The folder given by the user, if any.
        holds: Returns whether a folder contains the data set.
        remedy: How to get the data, or the layout it needs.

    Raises:
        MissingDataError: No candidate contains it; lists the candidates and what to do.
    """
    places = candidates(name, root)
    for place in places:
        if holds(place):
            return place
    looked = ", ".join(str(place) for place in places)
    elsewhere = "" if root else f" (dataset.root or the environment variable {DATA_VARIABLE} name another place)"
    raise MissingDataError(f"{name}: no data found; looked in {looked}{elsewhere}. {remedy}")


def user_data_folder() -> Path:
    """Return the user's folder for data sets."""
    return _user_folder("XDG_DATA_HOME", ".local/share", "Library/Application Support") / "segbench"


def user_cache_folder() -> Path:
    """Return the user's folder for decoded images."""
    return _user_folder("XDG_CACHE_HOME", ".cache", "Library/Caches") / "segbench"


def _user_folder(variable: str, unix: str, mac: str) -> Path:
    if given := os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else variable):
        return Path(given)
    return Path.home() / (mac if sys.platform == "darwin" else unix)
