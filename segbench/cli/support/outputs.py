"""Files that commands write: looked at before the work, and never replaced if they are of another kind."""

from __future__ import annotations

import os
from pathlib import Path

from segbench.errors import UsageError


def check_output(file: Path | None, *endings: str) -> None:
    """Refuse a file that cannot be written, or whose name says that it is something else, such as a suite.

    Args:
        file: Where a command is going to write; None is fine.
        endings: What names of the files that it writes end in, such as ``.json``.

    Raises:
        UsageError: The file exists and has another ending, or no file can be written there; names it.
    """
    if file is None:
        return
    if (reason := _obstacle(file)) is not None:
        raise UsageError(f"{file}: cannot be written: {reason}")
    if file.is_file() and not file.name.lower().endswith(endings):
        kinds = " or ".join(endings)
        raise UsageError(
            f"{file}: exists already and is no {kinds} file, so that it is left as it is; give another name"
        )


def _obstacle(file: Path) -> str | None:
    """Return why a file cannot be written; None if nothing speaks against it."""
    if file.is_dir():
        return "it is a folder"
    above = next(folder for folder in file.absolute().parents if folder.exists())
    if not above.is_dir():
        return f"{above} is a file"
    return None if os.access(above, os.W_OK | os.X_OK) else f"no permission to write into {above}"
