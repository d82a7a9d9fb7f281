"""What a file of weights is: told by its first bytes, with the remedy where it is something else."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from enum import Enum
from pathlib import Path

from segbench.errors import WeightsError

_HEAD_BYTES = 4096
_PIECE_BYTES = 1 << 20
_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its JSON header, little-endian."""

_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file, as Keras writes them",
    b"\x1f\x8b": "is a gzip archive: unpack it",
    b"BZh": "is a bzip2 archive: unpack it",
    b"\xfd7zXZ\x00": "is an xz archive: unpack it",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive: unpack it",
    b"Rar!": "is a RAR archive: unpack it",
    b"\x28\xb5\x2f\xfd": "is a Zstandard archive: unpack it",
    b"GGUF": "is a GGUF file",
    b"\x93NUMPY": "is a NumPy array",
    b"%PDF": "is a PDF document",
    b"\x89PNG": "is a PNG image",
    b"\xff\xd8\xff": "is a JPEG image",
}
"""How files of other kinds begin."""

_TAR = "is a tar archive: unpack it"
_TAR_MARK_AT = 257
"""Where a tar archive has ``ustar``."""
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How pickles begin: with their protocol. So does a safetensors file whose header is 640 bytes long."""

_whole: set[tuple[str, int, int]] = set()
"""Archives whose checksums are right, by path, time of change and size: reading them takes about 1 s a GB."""

_EXPECTED = "a state_dict is expected, as torch.save or safetensors write it"
_AGAIN = "download it again"
_UNKNOWN = f"is not a readable file of weights: it is damaged or something else; {_EXPECTED}"


class FileKind(Enum):
    """How a file of weights is written."""

    SAFETENSORS = "safetensors"
    TORCH = "torch"
    """A zip archive, as ``torch.save`` writes it since torch 1.6."""
    OLD_TORCH = "old torch"
    """A chain of pickles, as ``torch.save`` wrote it before."""


def kind_of(path: Path) -> FileKind:
    """Return how a file is written, whatever its name ends in.

    Raises:
        WeightsError: There is no such file, it cannot be read, or it is none of weights; says what it is.
    """
    if not path.is_file():
        folder = " (it is a folder: name a file in it)" if path.is_dir() else ""
        raise WeightsError(f"weights {path}: there is no such file{folder}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    if head.startswith(b"PK"):
        _check_zip(path)
        return FileKind.TORCH
    if head[:2] in _PICKLES and not _fits_safetensors(head, size):
        return FileKind.OLD_TORCH
    problem = _problem(head, size, named_safetensors=path.suffix == ".safetensors")
    if problem is None:
        _check_length(path, head, size)
        return FileKind.SAFETENSORS
    raise WeightsError(f"{path}: {problem}")


def _fits_safetensors(head: bytes, size: int) -> bool:
    """Whether a file begins with the length of a JSON header that it has the bytes for."""
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    return head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{" and length <= size - _LENGTH_BYTES


def _problem(head: bytes, size: int, *, named_safetensors: bool) -> str | None:
    """Return what a file is that is neither a zip archive nor a pickle; None where it may be safetensors."""
    if size == 0:
        return f"is empty (0 bytes): {_AGAIN}"
    if not any(head):
        return f"begins with {len(head)} zero bytes, as a download that was cut off: {_AGAIN}"
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if head[_TAR_MARK_AT:].startswith(b"ustar"):
        kind = _TAR
    if kind is not None:
        return f"{kind}; {_EXPECTED}"
    if head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{":
        return None
    text = _text(head)
    if text is not None:
        return _problem_of_text(text, size)
    return None if named_safetensors else _UNKNOWN


def _text(head: bytes) -> str | None:
    """Return the beginning of a text; None for anything else."""
    try:
        text = head.decode("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < _HEAD_BYTES or error.start < len(head) - 4:  # a sign may be cut off at the end
            return None
        text = head[: error.start].decode("utf-8-sig")
    return text if all(sign.isprintable() or sign.isspace() for sign in text) else None


def _problem_of_text(text: str, size: int) -> str:
    start = text.lstrip().lower()
    if start.startswith("version https://git-lfs"):
        stated = re.search(r"^size (\d+)", text, re.MULTILINE)
        meant = f" for a file of {int(stated[1]):,} bytes" if stated else ""
        return f"is a Git LFS pointer{meant}, not the file itself: run 'git lfs pull' where it was cloned"
    if "annex/objects/" in start[:200]:
        return "is a git-annex pointer, not the file itself: run 'git annex get' where it was cloned"
    if start.startswith(("<!doctype html", "<html")) or "<html" in start or "<body" in start:
        return f"is a web page, such as a server sends in place of the file: {_AGAIN}, from the file's own address"
    if start.startswith("<"):
        return f"is an XML text, such as a server sends in place of the file: {_AGAIN}"
    if start.startswith(("{", "[")):
        hint = ": name the file of weights itself" if "weight_map" in start else ""
        return f"is a JSON text of {size:,} bytes{hint}; {_EXPECTED}"
    first = next(iter(text.strip().splitlines()), "")[:60]
    return f"is a text that begins with {first!r}; {_EXPECTED}"


def _check_length(path: Path, head: bytes, size: int) -> None:
    """Compare the length that a safetensors file gives its header with the file's.

    Raises:
        WeightsError: The header would not fit into the file.
    """
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if length > size - _LENGTH_BYTES:
        raise WeightsError(
            f"{path}: is not a readable safetensors file: its header would be {length:,} bytes long and the whole file "
            f"has {size:,}; it is cut off, damaged or something else: {_AGAIN}"
        )


def _check_zip(path: Path) -> None:
    """See that a zip archive is whole and undamaged, and one of ``torch.save``.

    Raises:
        WeightsError: It is cut off or damaged, or holds other things.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            damaged = _damaged_member(archive, path)
    except (zipfile.BadZipFile, OSError, ValueError, io.UnsupportedOperation) as error:
        raise WeightsError(
            f"{path}: is not a readable torch file: it begins as one (a zip archive) and is cut off or damaged: "
            f"{_AGAIN}"
        ) from error
    if damaged:
        raise WeightsError(
            f"{path}: is damaged: the content of {damaged} does not have its checksum (CRC-32); {_AGAIN}"
        )
    if any(name.endswith("constants.pkl") for name in names):
        raise WeightsError(
            f"{path}: is a TorchScript archive, which holds code; save its tensors: "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW)"
        )
    if not any(name.endswith("data.pkl") for name in names):
        inside = ", ".join(names[:3]) or "nothing"
        raise WeightsError(f"{path}: is a zip archive of other things ({inside}): unpack it; {_EXPECTED}")


def _damaged_member(archive: zipfile.ZipFile, path: Path) -> str | None:
    """Return the first file in an archive whose content does not have its checksum; torch reads such files unasked.

    None where all are right, and where none is stored (``torch.serialization.set_crc32_options(False)`` writes zeros).
    """
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    if key in _whole or not any(member.CRC for member in archive.infolist()):
        return None
    for name in archive.namelist():
        try:
            with archive.open(name) as member:
                while member.read(_PIECE_BYTES):
                    pass
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):  # the last of encrypted archives
            return name
    _whole.add(key)
    return None
