"""States of a run under way, from which it goes on after a crash: the last two, each whole or not there.

They lie in a hidden folder beside the run's, so that nothing takes them for results. A file's name holds the step and
the start of the SHA-256 of its content: what was torn or altered is not used.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segbench.results.atomic_replace import leftovers, remove
from segbench.results.files import storing, temporary_path

KEPT = 2
"""States that are kept: the last, and the one before in case the last was torn."""

STATE_NAME = re.compile(r"step-(\d{9})-([0-9a-f]{32})\.state")
_CHUNK = 2**22


@dataclass(frozen=True)
class StateFile:
    """One stored state.

    Attributes:
        path: The file.
        step: Optimizer steps that had been made.
        digest: First 32 hex digits of the expected SHA-256.
    """

    path: Path
    step: int
    digest: str

    @classmethod
    def parse(cls, path: Path) -> StateFile | None:
        """Return the state that a file's name tells of; None for one that is no state."""
        match = STATE_NAME.fullmatch(path.name)
        return cls(path, int(match[1]), match[2]) if match else None

    @property
    def intact(self) -> bool:
        """Whether the content is what was written."""
        try:
            return _digest(self.path) == self.digest
        except OSError:
            return False


class StateFolder:
    """The states of one run.

    Args:
        folder: Where they lie; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[StateFile]:
        """Return the stored states, the newest first."""
        if not self.folder.is_dir():
            return []
        named = map(StateFile.parse, self.folder.iterdir())
        return sorted((state for state in named if state is not None), key=lambda state: -state.step)

    @contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """Give a file to write a state into; it counts once the block has succeeded, and older ones are removed.

        Raises:
            StoreError: It cannot be written; the states before are still there.
        """
        with storing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.sweep()
            temporary = temporary_path(self.folder / f"step-{step:09d}")
            try:
                yield temporary
                with temporary.open("r+b") as stream:
                    os.fsync(stream.fileno())
                target = self.folder / f"step-{step:09d}-{_digest(temporary)}.state"
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            self._keep(target, step)

    def sweep(self) -> None:
        """Remove what dead processes were writing."""
        for leftover in leftovers(self.folder):
            if not leftover.in_use():
                remove(leftover.path)

    def _keep(self, newest: Path, step: int) -> None:
        """Remove all states but the one that was just written and the last ones before it.

        States of later steps belong to a training that was not gone on with: they must not push these out.
        """
        before = [state.path for state in self.files() if state.step < step]
        kept = {newest, *before[: KEPT - 1]}
        for state in self.files():
            if state.path not in kept:
                state.path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all states."""
        remove(self.folder)


def _digest(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()[:32]
