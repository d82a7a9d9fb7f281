"""The archive format of packed results: a tar file of xz streams; equal content gives equal bytes.

The first stream holds the manifest. One stream follows for each unit (a run, a gallery …), and the last one ends the
tar file. Concatenated streams are a valid xz file, so ``tar xf`` reads it. The compressed size of each unit is known
exactly.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from segbench.errors import StoreError
from segbench.results.archive.manifest import MANIFEST_FILE, Manifest, PackedFile
from segbench.results.files import storing, temporary_path

_CHUNK = 2**20
_BLOCK = tarfile.BLOCKSIZE
_THOROUGH = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
_QUICK = [
    {
        "id": lzma.FILTER_LZMA2,
        "dict_size": 2**12,
        "mode": lzma.MODE_FAST,
        "mf": lzma.MF_HC3,
        "nice_len": 3,
        "depth": 1,
        "lc": 0,
        "lp": 0,
        "pb": 0,
    }
]
"""Three times as fast as preset 0 on data that does not compress (PNGs in a zip, tensors)."""


class Source(NamedTuple):
    """A file to pack.

    Attributes:
        path: Its path in the archive.
        file: Its path on disk.
    """

    path: str
    file: Path


class ChangedError(StoreError):
    """A file was changed or deleted while it was packed."""


def compress_unit(target: Path, sources: Iterable[Source], *, bulky: bool) -> tuple[PackedFile, ...]:
    """Write files as tar members into one xz stream.

    Args:
        target: The file to write.
        sources: The files to pack, in order.
        bulky: Whether most of the content does not compress, so that a high preset would waste time.

    Raises:
        ChangedError: A file was changed while it was read, or cannot be read.
    """
    with lzma.open(target, "wb", filters=_QUICK if bulky else _THOROUGH) as stream:
        return tuple(_add(stream, source) for source in sources)


def write_archive(target: Path, manifest: Manifest, units: Sequence[Path]) -> None:
    """Atomically write an archive of units that ``compress_unit`` wrote.

    Raises:
        StoreError: It cannot be written; an earlier file is kept.
    """
    temporary = temporary_path(target)
    with storing(target.parent):
        try:
            with temporary.open("wb") as stream:
                stream.write(compressed_manifest(manifest))
                for unit in units:
                    with unit.open("rb") as opened:
                        shutil.copyfileobj(opened, stream, _CHUNK)
                stream.write(END)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def compressed_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as the first stream of an archive."""
    text = manifest.text().encode()
    return lzma.compress(_header(MANIFEST_FILE, len(text)) + text + _padding(len(text)))


END = lzma.compress(bytes(2 * _BLOCK))
"""The last stream: two empty blocks, which end a tar file."""


def _add(stream: IO[bytes], source: Source) -> PackedFile:
    try:
        opened = source.file.open("rb")
    except OSError as error:
        raise ChangedError(f"{source.file}: cannot be read: {error.strerror or error}") from error
    with opened:
        size, checksum, copied = os.fstat(opened.fileno()).st_size, hashlib.sha256(), 0
        stream.write(_header(source.path, size))
        while chunk := opened.read(_CHUNK):
            stream.write(chunk)
            checksum.update(chunk)
            copied += len(chunk)
    if copied != size:
        raise ChangedError(f"{source.file}: changed while it was packed; pack again")
    stream.write(_padding(size))
    return PackedFile(path=source.path, size=size, sha256=checksum.hexdigest())


def _header(path: str, size: int) -> bytes:
    """Return the tar header of a regular file, without owner or date."""
    member = tarfile.TarInfo(path)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
