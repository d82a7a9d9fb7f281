"""Every error that segbench raises on purpose.

SegbenchError
├── UsageError             the person can mend it: exit code 2, nothing was lost
│   ├── SuiteError         a suite (or an override) is wrong; names file, key and value
│   ├── UnknownNameError   a name that no catalogue holds; names the nearest one
│   ├── DataError          a data set is missing, unreadable or inconsistent
│   │   └── MissingDataError
│   ├── WeightsError       a checkpoint does not fit the network
│   └── StoreError         a results folder cannot be read or written
│       ├── DamagedRunError
│       └── ArchiveError   an archive of results is not what it says
├── ModelRefusal           this network cannot do what the suite asks: the run is Skipped
├── RunInterrupted         a run was stopped on its way, and nothing is wrong: the same command goes on
└── TrainingError          a run went wrong on its way: the run is Failed
    ├── BrokenExchangeError    several processes cannot go on together
    └── NonFiniteLossError
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


class SegbenchError(Exception):
    """Base of all errors raised on purpose; the message says what, where and what to do."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes whatever the constructor's arguments are."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[SegbenchError], arguments: tuple[Any, ...], state: dict[str, Any]) -> SegbenchError:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(state)
    return error


class UsageError(SegbenchError):
    """Something given by the person is wrong and can be mended by them."""


class SuiteError(UsageError):
    """A suite is wrong.

    Attributes:
        file: The suite file, or None for a suite that was built in Python.
        key: The dotted key, such as ``models[2].name``; empty for the whole file.
        problem: What is wrong and what to do.
    """

    def __init__(self, problem: str, *, file: Path | str | None = None, key: str = "") -> None:
        self.file, self.key, self.problem = file, key, problem
        super().__init__(": ".join(str(part) for part in (file, key, problem) if part))


class UnknownNameError(UsageError):
    """A name that a catalogue does not hold."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"unknown {kind} {name!r}{did_you_mean(name, known)}")


class DataError(UsageError):
    """A data set is missing, unreadable or inconsistent; the message names the file."""


class MissingDataError(DataError):
    """A data set is not where it was looked for."""


class WeightsError(UsageError):
    """A checkpoint cannot be read or does not fit the network."""


class StoreError(UsageError):
    """A results folder cannot be read or written."""


class DamagedRunError(StoreError):
    """A stored run cannot be understood; it counts as not done."""


class ArchiveError(StoreError):
    """An archive of results is not what it says, or not what one may hold; nothing of it is used."""


class ModelRefusal(SegbenchError):  # noqa: N818 - a refusal is a result, not a fault
    """A network cannot do what is asked of it (an input size, a missing package)."""


class RunInterrupted(SegbenchError):  # noqa: N818 - says what happened
    """A run was stopped on its way, because its time is over or its process was told to end; it goes on later.

    Attributes:
        where: How far it had come, such as ``stopped after step 3 of 9``.
    """

    def __init__(self, where: str, *, kept: str = "") -> None:
        self.where = where
        super().__init__(f"{where}, {kept}" if kept else where)


class TrainingError(SegbenchError):
    """A run went wrong on its way."""


class BrokenExchangeError(TrainingError):
    """One of several processes was stopped while they exchanged gradients: they cannot go on together."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite."""

    def __init__(self, value: float, *, epoch: int, step: int, learning_rate: float, loss: str = "") -> None:
        self.value, self.epoch, self.step, self.learning_rate = value, epoch, step, learning_rate
        what = f"the loss {loss}" if loss else "the loss"
        super().__init__(
            f"{what} became {value} in epoch {epoch}, step {step}, at learning rate {learning_rate:g}; "
            "lower the learning rate, add warm-up or clip the gradients"
        )


_NEAR = 0.75
"""From this ratio of equal letters on (difflib's), a name is taken for a slip of another: 'unett' is, 'resnet' is not
one of 'segnet'."""

_MOST_KNOWN = 40
"""So many known names are listed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the nearest known name, else the list of known names.

    A family, whose name ends in a colon, is compared with what stands before a colon, and with nothing else.
    """
    names = sorted(known)
    near = _nearest(name.lower(), names)
    if near is not None:
        return f", did you mean {near!r}?"
    more = f" and {len(names) - _MOST_KNOWN} more" if len(names) > _MOST_KNOWN else ""
    return f"; known: {', '.join(names[:_MOST_KNOWN])}{more}" if names else ""


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that another is a slip of: few letters differ, or the same ones are in another order."""
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
