"""Parses the member paths that an archive of results may hold, and refuses unsafe ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from segbench.errors import StoreError
from segbench.results.archive.further_tests import FURTHER_TESTS
from segbench.results.arrays.gallery import GALLERY_FOLDER
from segbench.results.data_checks import CHECKS_FILE
from segbench.results.files import checked_name
from segbench.results.run_files import (
    CONFUSION_FILE,
    DETAILS_FILE,
    HISTORY_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    SAMPLES_FOLDER,
)
from segbench.results.speed.store import SPEED_FOLDER
from segbench.results.store import LOCK_FILE, STATES_SUFFIX, SUITE_FILE
from segbench.results.training_states import STATE_NAME

MOST_LEVELS = 8
"""Deepest nesting of folders in an archive, including the suite's folder."""
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|]")
"""Characters with a special meaning on some file system; a slash separates folders."""
_SUITE_FILES = (SUITE_FILE, LOCK_FILE, CHECKS_FILE)
_RUN_FILES = (RECORD_FILE, CONFUSION_FILE, DETAILS_FILE, HISTORY_FILE, PREDICTIONS_FILE)


class Kind(StrEnum):
    """Kind of content that a file in an archive belongs to."""

    SUITE = "suite"
    SPEED = "speed record"
    GALLERY = "gallery"
    RUN = "run"
    STATES = "states"
    RETEST = "further test"


class Member(NamedTuple):
    """A file in an archive, ``<suite>/…``.

    Attributes:
        suite: The suite's name.
        kind: What the file belongs to.
        owner: The run's id, the gallery's folder name, or ``<kind of test>/<run id>``; empty for other kinds.
        inner: The file's path within the folder of its run or gallery.
    """

    suite: str
    kind: Kind
    owner: str
    inner: str

    @property
    def folder(self) -> str:
        """The archive path of the folder that ``inner`` is relative to."""
        folders = {
            Kind.SUITE: "",
            Kind.SPEED: SPEED_FOLDER,
            Kind.GALLERY: f"{GALLERY_FOLDER}/{self.owner}",
            Kind.RUN: self.owner,
            Kind.STATES: f".{self.owner}{STATES_SUFFIX}",
            Kind.RETEST: self.owner,
        }
        return f"{self.suite}/{folders[self.kind]}".rstrip("/")

    @property
    def path(self) -> str:
        """Its path in the archive."""
        return f"{self.folder}/{self.inner}"


def parse_member(path: str) -> Member:
    """Parse the path of a member of an archive.

    Raises:
        ValueError: The path is not allowed in an archive of results; says why.
    """
    suite, *parts = path.split("/")
    try:
        member = _parsed(checked_name(suite, "suite"), parts) if len(parts) < MOST_LEVELS else None
    except StoreError as error:
        raise ValueError(str(error)) from None
    if member is None or member.path != path or not all(map(is_safe, member.inner.split("/"))):
        raise ValueError(f"{path!r} is no file that an archive of results may hold")
    return member


def is_safe(name: str) -> bool:
    """Return whether the name of a file, or of a folder of samples, is allowed in archives."""
    odd = not name or name[0] == "." or name[-1] in ". " or _UNSAFE.search(name)
    return not odd and name.isprintable() and len(name.encode("utf-8", "replace")) <= 255


def is_run_file(parts: Sequence[str]) -> bool:
    """Return whether a file of a run may be in an archive, given the parts of its path below the run's folder.

    Weights are not allowed, nor are files that segbench does not write: a merge would put them beside a result that
    they do not belong to.
    """
    match parts:
        case [name]:
            return name in _RUN_FILES
        case [folder, name]:
            return folder == SAMPLES_FOLDER and name.endswith(".png") and is_safe(name)
    return False


def _parsed(suite: str, parts: list[str]) -> Member | None:  # noqa: PLR0911 - one for each kind of file
    """Parse the parts of a path below a suite's folder; None if such a file is not allowed.

    Raises:
        StoreError: A run's name is unsafe as a folder name.
    """
    match parts:
        case [name] if name in _SUITE_FILES:
            return Member(suite, Kind.SUITE, "", name)
        case [folder, name] if folder == SPEED_FOLDER and name.endswith(".json"):
            return Member(suite, Kind.SPEED, "", name)
        case [folder, gallery, name] if folder == GALLERY_FOLDER:
            return Member(suite, Kind.GALLERY, checked_name(gallery, "gallery"), name)
        case [folder, name] if folder.startswith(".") and folder.endswith(STATES_SUFFIX) and STATE_NAME.fullmatch(name):
            run_id = folder[1:].removesuffix(STATES_SUFFIX)
            return Member(suite, Kind.STATES, checked_name(run_id, "run"), name)
        case [folder, run, name] if folder in FURTHER_TESTS and name.endswith((".json", ".npz")):
            return Member(suite, Kind.RETEST, f"{folder}/{checked_name(run, 'run')}", name)
        case [folder, _, *_] if folder not in (SPEED_FOLDER, GALLERY_FOLDER, *FURTHER_TESTS):
            run_id = checked_name(folder, "run")
            return Member(suite, Kind.RUN, run_id, "/".join(parts[1:])) if is_run_file(parts[1:]) else None
    return None
