"""Unpacks archives of results into a folder of their own, after checking every member against the manifest."""

from __future__ import annotations

import lzma
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import ArchiveError, UsageError
from segbench.results.archive.manifest import MANIFEST_FILE, Manifest, PackedFile, read_manifest
from segbench.results.archive.xz import TooMuchError, XzReader
from segbench.results.files import file_sha256, is_write_fault, storing
from segbench.results.verify import MOST_EXPANSION, SLACK_BYTES

MOST_MANIFEST_BYTES = 32 * 2**20
"""Enough for 40,000 runs."""
_HEADER_BYTES = 16 * tarfile.BLOCKSIZE
"""What the headers of one member may take, and twice what the longest path does."""
_AHEAD_BYTES = _HEADER_BYTES + tarfile.RECORDSIZE
"""What may come out before the next member is known: its headers, which tarfile holds in memory, and what it reads
ahead."""
_SPARE_BYTES = 2**20
"""What may follow the last member."""
_REMEDY = "nothing was merged; get a new copy of the archive, or leave it out"


@dataclass(frozen=True)
class Unpacked:
    """An archive and where it was unpacked.

    Attributes:
        archive: The archive's file.
        manifest: What it holds.
        folder: Where its files are, by their paths.
    """

    archive: Path
    manifest: Manifest
    folder: Path

    def refuse(self, problem: str) -> ArchiveError:
        """Return why the archive is refused; paths of where it was unpacked are shortened to those in it."""
        return _refusal(self.archive, problem.replace(f"{self.folder}/", ""))


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Unpack an archive whose members are exactly those of its manifest, each with its size and checksum.

    Args:
        archive: The file.
        folder: Where to; made here.

    Raises:
        ArchiveError: It is damaged, cut off, altered, or holds what no archive of results may.
        StoreError: The disk is full or read-only.
        UsageError: There is no such file, or this Python is too old.
    """
    if not hasattr(tarfile, "data_filter"):
        raise UsageError("this Python unpacks no archives safely; use 3.11.4 or later")
    with storing(folder), _refusals(archive), archive.open("rb") as stream:
        folder.mkdir()
        content = XzReader(stream, _AHEAD_BYTES)
        with tarfile.open(fileobj=content, mode="r|") as tar:
            manifest = _manifest(tar, content, archive)
            _refuse_oversized(manifest, archive, folder)
            _extract(tar, content, {file.path: file for file in manifest.files}, archive, folder)
        _allow(content, _SPARE_BYTES)
        while content.read(_SPARE_BYTES):  # to the end, where the last checksum of xz stands
            pass
    return Unpacked(archive, manifest, folder)


def _allow(content: XzReader, size: int) -> None:
    """Let no more come out than so many bytes and the headers after them."""
    content.limit = content.count + size + _AHEAD_BYTES


def _manifest(tar: tarfile.TarFile, content: XzReader, archive: Path) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST_FILE or first.type not in _PLAIN:
        raise _refusal(archive, f"does not begin with {MANIFEST_FILE}, so 'segbench results pack' did not write it")
    opened = tar.extractfile(first)
    if first.size > MOST_MANIFEST_BYTES or opened is None:
        raise _refusal(archive, f"{MANIFEST_FILE}: has {first.size:,} bytes; at most {MOST_MANIFEST_BYTES:,} are read")
    _allow(content, first.size)
    try:
        return read_manifest(opened.read())
    except ArchiveError as error:
        raise _refusal(archive, f"{MANIFEST_FILE}: {error}") from None


def _refuse_oversized(manifest: Manifest, archive: Path, folder: Path) -> None:
    """Refuse more than an archive of its size can sensibly hold, and more than the disk can.

    Raises:
        ArchiveError: It is a decompression bomb.
        UsageError: The disk is too full.
    """
    total, packed = manifest.total_bytes, archive.stat().st_size
    if total > max(SLACK_BYTES, MOST_EXPANSION * packed):
        raise _refusal(archive, f"would expand from {packed:,} to {total:,} bytes, as no results do")
    free = shutil.disk_usage(folder).free
    if total > free:
        raise UsageError(f"{archive}: holds {total:,} bytes where {folder.parent} has {free:,} left; free some space")


def _extract(
    tar: tarfile.TarFile, content: XzReader, listed: dict[str, PackedFile], archive: Path, folder: Path
) -> None:
    missing = dict(listed)
    while (member := tar.next()) is not None:
        file = missing.pop(member.name, None)
        if file is None:
            what = "is there twice" if member.name in listed else f"is not listed in {MANIFEST_FILE}"
            raise _refusal(archive, f"{member.name!r}: {what}")
        if member.type not in _PLAIN or member.issparse():
            raise _refusal(archive, f"{member.name!r}: is a link, a device or a folder; only ordinary files are read")
        if member.size != file.size:
            raise _refusal(archive, f"{member.name!r}: has {member.size:,} bytes, not {file.size:,} as listed")
        _allow(content, file.size)
        tar.extract(member, folder, set_attrs=False, filter="data")
        _check_content(folder / file.path, file, archive)
    if missing:
        raise _refusal(archive, f"{min(missing)!r}: is listed in {MANIFEST_FILE} but missing")


_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


def _check_content(unpacked: Path, file: PackedFile, archive: Path) -> None:
    found = file_sha256(unpacked)
    if found != file.sha256:
        raise _refusal(archive, f"{file.path!r}: was altered: its SHA-256 is {found[:16]}…, not {file.sha256[:16]}…")


@contextmanager
def _refusals(archive: Path) -> Iterator[None]:
    """Turn what reading a damaged or hostile file raises into one error.

    Raises:
        ArchiveError: Says what is wrong.
        UsageError: The archive cannot be read at all.
    """
    try:
        yield
    except EOFError:
        raise _refusal(archive, "is cut off") from None
    except TooMuchError:
        raise _refusal(archive, "expands to more than its manifest lists") from None
    except (lzma.LZMAError, tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise _refusal(archive, f"is damaged or no archive of results: {reason}") from None
    except OSError as error:
        if is_write_fault(error) or error.filename not in (None, str(archive)):
            raise
        raise UsageError(f"{archive}: cannot be read: {error.strerror or error}") from None


def _refusal(archive: Path, problem: str) -> ArchiveError:
    return ArchiveError(f"{archive}: {problem}; {_REMEDY}")
