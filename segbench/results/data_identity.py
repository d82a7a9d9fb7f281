"""Decides whether two runs used the same data: the same file bytes, or the same decoded pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


def joint_digest(digests: Iterable[str | None]) -> str | None:
    """Return the hash over the digests of all folds of a cross-validation, in order; None if one is not known."""
    known = list(digests)
    return None if None in known else hashlib.sha256(json.dumps(["folds", *known]).encode()).hexdigest()


@dataclass(frozen=True)
class DataIdentity:
    """Hashes that identify the splits of a run.

    Attributes:
        fingerprints: Hash of each split's files or generator, by its role: train, validation, test.
        pixel_digests: Hash of each split's names and decoded pixels, by its role, if known.
    """

    fingerprints: Mapping[str, str]
    pixel_digests: Mapping[str, str] = field(default_factory=dict)

    def same_files(self, other: DataIdentity) -> bool:
        """Return whether all files (or generators) are the same."""
        return self.fingerprints == other.fingerprints

    def same_data(self, other: DataIdentity) -> bool:
        """Return whether each split has the same files, or is known to decode to the same pixels."""
        roles = self.fingerprints.keys()
        return roles == other.fingerprints.keys() and all(self._same_split(other, role) for role in roles)

    def _same_split(self, other: DataIdentity, role: str) -> bool:
        if self.fingerprints[role] == other.fingerprints[role]:
            return True  # also if another version of a decoder decodes them differently
        pixels = self.pixel_digests.get(role)
        return pixels is not None and pixels == other.pixel_digests.get(role)
