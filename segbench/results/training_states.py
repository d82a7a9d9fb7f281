"""Stores training states of unfinished runs, for resuming after a crash; the last two are kept.

They are kept in a hidden folder beside the run's, so they are not mistaken for results. A file's name holds the step
and the start of the SHA-256 of its content, so truncated or altered files are detected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segbench.config.files import read_digest
from segbench.results.atomic_replace import remove, sweep
from segbench.results.files import storing, temporary_path

KEPT = 2
"""Number of states kept: the last one, and the one before in case the last is damaged."""

STATE_NAME = re.compile(r"step-(\d{9})-([0-9a-f]{32})\.state")


@dataclass(frozen=True)
class StateFile:
    """One stored training state.

    Attributes:
        path: The file.
        step: Number of optimizer steps done.
        digest: First 32 hex digits of the expected SHA-256.
    """

    path: Path
    step: int
    digest: str

    @classmethod
    def parse(cls, path: Path) -> StateFile | None:
        """Parse the name of a file; None if it is no training state."""
        match = STATE_NAME.fullmatch(path.name)
        return cls(path, int(match[1]), match[2]) if match else None

    @property
    def intact(self) -> bool:
        """Whether the content matches the checksum."""
        try:
            return _digest(self.path) == self.digest
        except OSError:
            return False


class StateFolder:
    """The training states of one run.

    Args:
        folder: Their folder; created by the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[StateFile]:
        """Return the stored states, newest first."""
        if not self.folder.is_dir():
            return []
        named = map(StateFile.parse, self.folder.iterdir())
        return sorted((state for state in named if state is not None), key=lambda state: -state.step)

    @contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """Yield a file to write a state into. It is stored if the block succeeds, and older states are removed.

        Raises:
            StoreError: The state cannot be written; earlier states are kept.
        """
        with storing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            sweep(self.folder)
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

    def _keep(self, newest: Path, step: int) -> None:
        """Remove all states except the one just written and the last ones before it.

        States of later steps come from an abandoned training and must not displace these.
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
    return read_digest(path)[:32]
