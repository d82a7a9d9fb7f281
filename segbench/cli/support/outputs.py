"""Files that commands write: what is of another kind is not replaced."""

from __future__ import annotations

from pathlib import Path

from segbench.errors import UsageError


def keep_other_kinds(file: Path | None, *endings: str) -> None:
    """Refuse to write over a file whose name says that it is something else, such as a suite or a checkpoint.

    Args:
        file: Where a command is going to write; None is fine.
        endings: What names of the files that it writes end in, such as ``.json``.

    Raises:
        UsageError: The file exists and has another ending; names it.
    """
    if file is not None and file.is_file() and not file.name.lower().endswith(endings):
        kinds = " or ".join(endings)
        raise UsageError(
            f"{file}: exists already and is no {kinds} file, so that it is left as it is; give another name"
        )
