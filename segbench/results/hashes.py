"""Writes and reads documents with a checksum that tells edits, and detects edits of runs by their hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from segbench.config.plan import digest
from segbench.errors import StoreError
from segbench.results.record import Facts, RunRecord
from segbench.results.wording import first_problem, newer_schema

CHECKSUM = "checksum"
"""Key of the SHA-256 of a document without this key: all records of one file, other than ``run.json``, have it."""
EDITED = "was edited after it was written, by its checksum"

_SHOWN = 12
"""Hash digits shown in messages."""
Read = TypeVar("Read", bound=Facts)


def sealed_text(record: BaseModel) -> str:
    """Return a record as JSON with its checksum; NaN and infinity, which JSON lacks, become null."""
    document = json.loads(record.model_dump_json())
    return json.dumps({**document, CHECKSUM: digest(document)}, indent=1, ensure_ascii=False) + "\n"


def is_edited(document: Any) -> bool:
    """Return whether a stored document does not match its checksum; False without one, as earlier versions wrote them.

    Raises:
        ValueError: The document holds NaN or infinity.
    """
    sealed = isinstance(document, Mapping) and CHECKSUM in document
    return sealed and document[CHECKSUM] != digest(without_checksum(document))


def is_sealed(file: Path) -> bool:
    """Return whether a readable document has a checksum; earlier versions wrote none."""
    return CHECKSUM in json.loads(file.read_text(encoding="utf-8"))


def without_checksum(document: Any) -> Any:
    """Return the content of a stored document; what is no mapping stays as it is."""
    if not isinstance(document, Mapping):
        return document
    return {key: value for key, value in document.items() if key != CHECKSUM}


def read_sealed(file: Path, kind: type[Read], *, newest: int, what: str, again: str) -> Read:
    """Read a record that ``sealed_text`` wrote, or an earlier version without a checksum.

    Args:
        file: The file.
        kind: The class of the record.
        newest: The newest schema version that can be read.
        what: What the file should be, for messages.
        again: How a damaged one is made again.

    Raises:
        StoreError: The file is missing, damaged, edited or of a newer segbench.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return sealed_record(document, kind, file=file, newest=newest, again=again)
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{file}: is no {what} ({first_problem(error)}); {again}") from None


def sealed_record(document: Any, kind: type[Read], *, file: Path, newest: int, again: str) -> Read:
    """Return the record in a document that ``sealed_text`` wrote; the arguments are those of ``read_sealed``.

    Raises:
        StoreError: It was edited, or is of a newer segbench.
        ValueError: It is no such record.
    """
    if problem := newer_schema(document, newest):
        raise StoreError(f"{file}: {problem}")
    if is_edited(document):
        raise StoreError(f"{file}: {EDITED}; {again}")
    return kind.model_validate(without_checksum(document))


def wrong_hash(record: RunRecord) -> str | None:
    """Return which stored hash does not match the record's content; None if all hashes that can be recomputed match.

    Raises:
        ValueError: The record holds NaN or infinity, which JSON lacks.
    """
    found = digest(record.recipe)
    if found != record.protocol_id:
        return _edited("recipe", found, "protocol_id", record.protocol_id)
    computed = []
    for identity in _identities(record):
        if identity == record.identity:
            return None
        computed.append(identity)
    return _edited("network, recipe or seed", computed[0], "identity", record.identity) if computed else None


def identities(record: RunRecord) -> set[str]:
    """Return the possible identities of a record's run; empty if the record lacks some of their inputs.

    An identity includes the content of weight files and source files, and the choice of a tuned run's trials. For runs
    with any of these it cannot be recomputed.
    """
    return set(_identities(record))


def _identities(record: RunRecord) -> Iterator[str]:
    model, role = record.model, record.tuning.role if record.tuning else None
    if model.pretrained or model.options.get("pretrained") or model.source_digest or role == "tuned":
        return
    rest = {"seed": record.seed, "recipe": record.recipe} | ({"role": role} if role else {})
    rest |= {"fold": record.fold.index} if record.fold else {}
    rest |= {"teacher": record.teacher.identity} if record.teacher else {}
    for strict in (True, False):  # the record does not say which one it was
        yield digest({"model": {"name": model.name, "strict": strict, **model.options}, **rest})


def _edited(what: str, found: str, key: str, stored: str) -> str:
    return f"its {what} was edited: the hash is {found[:_SHOWN]}…, but {key} says {stored[:_SHOWN]}…"
