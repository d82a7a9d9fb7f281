"""Stored runs whose hashes hold, and archives of results altered in every way that somebody may think of."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stored import write_run

from segbench.config.plan import digest

RECIPE = {"dataset": {"name": "scenes"}, "train": {"epochs": 2, "select": "last"}}


def write_true_run(root: Path, label: str = "unet", seed: int = 0, hits: int = 80, **changes: Any) -> Path:
    """Write a run whose protocol id and identity are the hashes that they ought to be."""
    recipe, options = changes.pop("recipe", RECIPE), changes.pop("options", {"width": 1.0})
    network = {"name": changes.get("name", "unet"), "strict": True, **options}
    hashes = {
        "protocol": digest(recipe),
        "identity": digest({"model": network, "seed": seed, "recipe": recipe}),
    }
    return write_run(root, label, seed, hits, recipe=recipe, options=options, **(hashes | changes))


def members_of(archive: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Return the members of an archive with their content, the manifest first."""
    with tarfile.open(archive) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]


def write_members(archive: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Write an archive of anything."""
    with tarfile.open(archive, "w:xz", preset=0) as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return archive


def sealed(document: dict[str, Any]) -> bytes:
    """Return a manifest with the checksum that it ought to have."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    return json.dumps(rest | {"digest": digest(rest)}).encode()


def forge(archive: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """Alter an archive as one who knows the format would: checksums and sizes hold.

    Args:
        archive: The archive, written anew.
        change: Given the manifest and the contents by path, to be altered.
    """
    (_, manifest), *rest = members_of(archive)
    document, contents = json.loads(manifest), {member.name: content for member, content in rest}
    change(document, contents)
    document["files"] = [
        {"path": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    ]
    pairs = [("manifest.json", sealed(document)), *contents.items()]
    return write_members(archive, [(tarfile.TarInfo(name), content) for name, content in pairs])


def recompress(archive: Path, change: Callable[[bytearray], Any]) -> Path:
    """Alter the tar file within an archive."""
    content = bytearray(lzma.decompress(archive.read_bytes()))
    change(content)
    archive.write_bytes(lzma.compress(bytes(content), preset=0))
    return archive
