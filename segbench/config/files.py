"""Files that a suite names: what is in them counts, not where they lie."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


def content_digest(path: str | Path) -> str | None:
    """Return the SHA-256 of a file's content, or None when there is no such file."""
    file = Path(path)
    if not file.is_file():
        return None
    facts = file.stat()
    return _digest(file.resolve(), facts.st_size, facts.st_mtime_ns)


@cache
def _digest(file: Path, _size: int, _modified_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
