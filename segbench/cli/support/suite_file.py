"""Loads the suite of a command, and adds its file to errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from segbench.cli.terminal.output import tell
from segbench.config.foreign_code import foreign_modules, listed, refuse_foreign_code
from segbench.config.load import load_suite
from segbench.config.reading.dotted_keys import MODEL_OF_SUITE
from segbench.config.suite import Suite
from segbench.errors import DataError, StoreError, SuiteError, UnknownNameError, UsageError


def load(file: Path, overrides: Sequence[str] | None, *, seeds: Sequence[int] | None = None) -> Suite:
    """Load and validate a suite.

    Args:
        file: The suite's YAML file.
        overrides: Dotted keys to set, as ``key=value``.
        seeds: Requested seeds; those that the suite lacks are added, with a message.

    Raises:
        SuiteError: It is invalid; names file, key and value.
    """
    suite = load_suite(file, overrides=overrides or ())
    further = [seed for seed in dict.fromkeys(seeds or ()) if seed not in suite.seeds]
    if not further:
        return suite
    enlarged = load_suite(file, overrides=[*(overrides or ()), f"seeds={[*suite.seeds, *further]}"])
    _tell_added(further)
    return enlarged


def _tell_added(seeds: Sequence[int]) -> None:
    """Report the seeds that a command adds, since a mistyped one costs a training of each network."""
    named = ", ".join(map(str, seeds))
    if len(seeds) == 1:
        tell(f"seed {named} is not in the suite; it is added for this command")
    else:
        tell(f"seeds {named} are not in the suite; they are added for this command")


def mind_foreign_code(suite: Suite, results: Path, *, forbidden: bool) -> None:
    """Refuse code that is not segbench's, or say before the first run of a suite which modules it imports.

    Args:
        suite: The suite.
        results: Folder of all results.
        forbidden: Whether such code is refused.

    Raises:
        UsageError: It is, and the suite has such parts.
    """
    if forbidden:
        refuse_foreign_code(suite)
    elif not (results / suite.name).exists() and (found := foreign_modules(suite)):
        tell(f"this suite runs code that is not segbench's: {listed(found)}; --no-code refuses it")


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Add the file, and the key if known, to errors about the suite."""
    try:
        yield
    except StoreError:  # names the results' own file
        raise
    except UsageError as error:
        problem, key = (error.problem, error.key) if isinstance(error, SuiteError) else (str(error), _key(error))
        if (isinstance(error, SuiteError) and error.file is not None) or problem.startswith(f"{file}:"):
            raise
        raise SuiteError(problem, file=file, key=key) from None


def _key(error: UsageError) -> str:
    """Return the key or option that an error concerns."""
    if isinstance(error, UnknownNameError) and error.kind == MODEL_OF_SUITE:
        return "--models"
    return "dataset" if isinstance(error, DataError) and not str(error).startswith("dataset") else ""
