"""Unpacks archives of results into a temporary folder and checks every member against the manifest."""

from __future__ import annotations

import lzma
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segbench.config.files import read_digest
from segbench.errors import ArchiveError, UsageError
from segbench.results.archive.manifest import MANIFEST_FILE, Manifest, PackedFile, read_manifest
from segbench.results.archive.xz import TooMuchError, XzReader
from segbench.results.files import is_write_fault, storing
from segbench.results.verify import MOST_EXPANSION, SLACK_BYTES

MOST_MANIFEST_BYTES = 32 * 2**20
"""Size limit of a manifest; enough for 40,000 runs."""
_HEADER_BYTES = 16 * tarfile.BLOCKSIZE
"""Size limit of the headers of one member: twice what the longest path takes."""
_AHEAD_BYTES = _HEADER_BYTES + tarfile.RECORDSIZE
"""Bytes allowed before the next member is known: its headers, which tarfile holds in memory, and tarfile's
read-ahead."""
_SPARE_BYTES = 2**20
"""Bytes allowed after the last member."""
_REMEDY = "nothing was merged; get a new copy of the archive, or leave it out"


@dataclass(frozen=True)
class Unpacked:
    """An unpacked archive.

    Attributes:
        archive: The archive's file.
        manifest: Its manifest.
        folder: The folder with its files.
    """

    archive: Path
    manifest: Manifest
    folder: Path

    def refuse(self, problem: str) -> ArchiveError:
        """Return an error that refuses the archive; paths of unpacked files are shown as archive paths."""
        return _refusal(self.archive, problem.replace(f"{self.folder}/", ""))


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Unpack an archive and check that its members match the manifest in number, size and checksum.

    Args:
        archive: The file.
        folder: The target folder; created here.

    Raises:
        ArchiveError: It is damaged, truncated or altered, or holds files that are not allowed.
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
        while content.read(_SPARE_BYTES):  # read to the end, where xz stores its last checksum
            pass
    return Unpacked(archive, manifest, folder)


def _allow(content: XzReader, size: int) -> None:
    """Set the output limit to a number of further bytes plus the headers after them."""
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
    """Refuse an implausible expansion, and more bytes than the disk has free.

    Raises:
        ArchiveError: The archive is a decompression bomb.
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
            what = "is in the archive twice" if member.name in listed else f"is not listed in {MANIFEST_FILE}"
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
    found = read_digest(unpacked)
    if found != file.sha256:
        raise _refusal(archive, f"{file.path!r}: was altered: its SHA-256 is {found[:16]}…, not {file.sha256[:16]}…")


@contextmanager
def _refusals(archive: Path) -> Iterator[None]:
    """Convert the errors of reading a damaged or malicious file.

    Raises:
        ArchiveError: The archive is damaged or malicious; says how.
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
