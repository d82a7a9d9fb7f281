"""Every error that segbench raises on purpose.

SegbenchError
├── UsageError             the user can fix it: exit code 2, nothing was lost
│   ├── SuiteError         a suite (or an override) is invalid; names file, key and value
│   ├── UnknownNameError   an unknown name; suggests the most similar one
│   ├── DataError          a data set is missing, unreadable or inconsistent
│   │   └── MissingDataError
│   ├── WeightsError       a checkpoint does not match the network
│   └── StoreError         a results folder cannot be read or written
│       ├── DamagedRunError
│       └── ArchiveError   an archive of results is damaged or invalid
├── ModelRefusal           a network does not support the suite: the run is Skipped
├── RunInterrupted         a run was stopped without an error; the same command resumes it
└── TrainingError          an error during a run: the run is Failed
    ├── BrokenExchangeError    the processes of a run are out of sync
    └── NonFiniteLossError
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


class SegbenchError(Exception):
    """Base class of all errors raised on purpose; messages say what, where and what to do."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Support pickling for any constructor arguments."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[SegbenchError], arguments: tuple[Any, ...], state: dict[str, Any]) -> SegbenchError:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(state)
    return error


class UsageError(SegbenchError):
    """Invalid input that the user can fix."""


class SuiteError(UsageError):
    """A suite is invalid.

    Attributes:
        file: The suite file; None for a suite built in Python.
        key: The dotted key, such as ``models[2].name``; empty for the whole file.
        problem: The problem and what to do.
    """

    def __init__(self, problem: str, *, file: Path | str | None = None, key: str = "") -> None:
        self.file, self.key, self.problem = file, key, problem
        super().__init__(": ".join(str(part) for part in (file, key, problem) if part))


class UnknownNameError(UsageError):
    """A name that is not in a catalogue."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"unknown {kind} {name!r}{did_you_mean(name, known)}")


class DataError(UsageError):
    """A data set is missing, unreadable or inconsistent; the message names the file."""


class MissingDataError(DataError):
    """A data set was not found."""


class WeightsError(UsageError):
    """A checkpoint cannot be read or does not match the network."""


class StoreError(UsageError):
    """A results folder cannot be read or written."""


class DamagedRunError(StoreError):
    """A stored run is damaged; it counts as not done."""


class ArchiveError(StoreError):
    """An archive of results is damaged, or contains files that are not allowed; nothing of it is used."""


class ModelRefusal(SegbenchError):  # noqa: N818 - a refusal is a result, not a fault
    """A network does not support what is asked (an input size), or its package is missing."""


class RunInterrupted(SegbenchError):  # noqa: N818 - says what happened
    """A run was stopped by a deadline or signal; it can be resumed.

    Attributes:
        where: The progress, such as ``stopped after step 3 of 9``.
    """

    def __init__(self, where: str, *, kept: str = "") -> None:
        self.where = where
        super().__init__(f"{where}, {kept}" if kept else where)


class TrainingError(SegbenchError):
    """An error during a run."""


class BrokenExchangeError(TrainingError):
    """A process was stopped during an exchange of gradients, so the processes of the run are out of sync."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite."""

    def __init__(self, value: float, *, epoch: int, step: int, learning_rate: float, loss: str = "") -> None:
        self.value, self.epoch, self.step, self.learning_rate = value, epoch, step, learning_rate
        what = f"the loss {loss}" if loss else "the loss"
        super().__init__(
            f"{what} became {value} in epoch {epoch}, step {step}, at learning rate {learning_rate:g}; "
            "lower the learning rate, add warm-up or clip the gradients"
        )


def one_line(error: BaseException, *, most: int = 500) -> str:
    """Return the message of an error in one line, of so many characters at most."""
    return " ".join(str(error).split())[:most]


def typed_line(error: BaseException, *, most: int = 500) -> str:
    """Return the message of an error in one line, after its type."""
    return f"{type(error).__name__}: {one_line(error, most=most)}"


_NEAR = 0.75
"""Names with at least this similarity ratio (difflib) are suggested: 'unet' for 'unett', but not 'segnet' for
'resnet'."""

_MOST_KNOWN = 40
"""Largest number of known names listed in a message."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the most similar known name, else the list of known names.

    A family, whose name ends in a colon, is compared only with the part before the colon.
    """
    names = sorted(known)
    near = _nearest(name.lower(), names)
    if near is not None:
        return f", did you mean {near!r}?"
    more = f" and {len(names) - _MOST_KNOWN} more" if len(names) > _MOST_KNOWN else ""
    return f"; known: {', '.join(names[:_MOST_KNOWN])}{more}" if names else ""


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that another one is a typo of: few letters differ, or letters are swapped."""
    lowered = {one.lower(): one for one in known}
    if f"{name}:" in lowered:
        return lowered[f"{name}:"]
    family, colon, _ = name.partition(":")
    families = [one for one in lowered if one.endswith(":")]
    others = [one for one in lowered if one not in families and (":" in one) == bool(colon)]
    near = _near(name, others) or (_near(family + colon, families) if colon else None)
    return None if near is None else lowered[near]


def _near(name: str, known: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)
    return next(iter(near or (one for one in known if sorted(one) == sorted(name))), None)
