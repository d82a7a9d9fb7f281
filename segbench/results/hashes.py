"""Computes the hashes of a stored record again, so that one that was edited is known."""

from __future__ import annotations

from collections.abc import Iterator

from segbench.config.plan import digest
from segbench.results.record import RunRecord

_SHOWN = 12
"""Digits that are shown of a hash."""


def wrong_hash(record: RunRecord) -> str | None:
    """Return which hash of a record is not that of what it holds; None where all that can be computed again hold.

    Raises:
        ValueError: It holds a number that JSON does not have.
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
    """Return the identities that a record's run can have; empty where the record does not tell all that they hold.

    They hold files of weights by their content, sources by theirs, and what the trials of a tuned run chose: of runs
    with any of these, the identity cannot be computed again.
    """
    return set(_identities(record))


def _identities(record: RunRecord) -> Iterator[str]:
    model, role = record.model, record.tuning.role if record.tuning else None
    if model.pretrained or model.options.get("pretrained") or model.source_digest or role == "tuned":
        return
    rest = {"seed": record.seed, "recipe": record.recipe} | ({"role": role} if role else {})
    rest |= {"fold": record.fold.index} if record.fold else {}
    for strict in (True, False):  # a record does not tell which it was
        yield digest({"model": {"name": model.name, "strict": strict, **model.options}, **rest})


def _edited(what: str, found: str, key: str, stored: str) -> str:
    return f"its {what} was edited: the hash is {found[:_SHOWN]}…, but {key} says {stored[:_SHOWN]}…"
