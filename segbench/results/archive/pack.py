"""Packs runs into one or more archives below a size limit; a run is never divided."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench import __version__
from segbench.config.plan import digest
from segbench.errors import UsageError
from segbench.results.archive.container import END, ChangedError, compress_unit, write_archive
from segbench.results.archive.inventory import suite_folders
from segbench.results.archive.manifest import Contents, Manifest, PackedFile
from segbench.results.archive.members import Kind
from segbench.results.archive.units import Extra, Unit, units_of
from segbench.results.atomic_replace import remove
from segbench.results.files import storing, temporary_path

_ENTRY_BYTES = 1024
"""Bytes of an empty manifest, and of the entry of a run."""


@dataclass(frozen=True)
class PackedUnit:
    """A compressed unit.

    Attributes:
        unit: The unit.
        stream: The compressed file.
        files: The files in it.
    """

    unit: Unit
    stream: Path
    files: tuple[PackedFile, ...]

    @property
    def needed_bytes(self) -> int:
        """Upper bound of its size in an archive; its part of the manifest counts uncompressed."""
        entries = sum(len(file.model_dump_json()) + 64 for file in self.files)
        return self.stream.stat().st_size + entries + (_ENTRY_BYTES if self.unit.run else 0)


@dataclass(frozen=True)
class Packed:
    """Outcome of packing a folder of results.

    Attributes:
        archives: The archives that were written, with their contents.
        problems: What was left out and why.
        earlier: Archive parts of the same name from an earlier packing, which this one did not overwrite.
    """

    archives: dict[Path, Manifest]
    problems: tuple[str, ...]
    earlier: tuple[Path, ...] = ()


def pack(results: Path, out: Path, *, max_bytes: int | None = None, extras: Collection[Extra] = frozenset()) -> Packed:
    """Pack the runs of a results root or of a suite's folder; damaged runs and unfinished files are left out.

    Args:
        results: The folder.
        out: The archive; several are named ``voc-1.tar.xz``, ``voc-2.tar.xz`` … for ``voc.tar.xz``.
        max_bytes: Largest size of an archive in bytes; a run always stays in one archive.
        extras: What to pack besides facts.

    Raises:
        UsageError: There is nothing to pack, or a single run is larger than ``max_bytes``.
        StoreError: There is no such folder, or an archive cannot be written.
    """
    problems: list[str] = []
    units = [unit for suite in suite_folders(results) for unit in units_of(suite, extras, max_bytes, problems)]
    if not units:
        listed = "".join(f"; {problem}" for problem in problems)
        raise UsageError(f"{results}: holds nothing that can be packed{listed}")
    work = temporary_path(out.with_name(f"{out.name}.units"))
    with storing(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        remove(work)
        work.mkdir()
        try:
            packed = _compressed(units, work, problems)
            parts = _parts(packed, max_bytes)
            written = _written(parts, out)
            return Packed(written, tuple(problems), tuple(_earlier(out, written)))
        finally:
            remove(work)


def part_names(out: Path, count: int) -> list[Path]:
    """Return the names of the parts if there are several archives."""
    if count == 1:
        return [out]
    stem, suffix = _split_name(out)
    return [out.with_name(f"{stem}-{number}{suffix}") for number in range(1, count + 1)]


def _earlier(out: Path, written: Collection[Path]) -> list[Path]:
    stem, suffix = _split_name(out)
    name = re.compile(f"{re.escape(stem)}(-[1-9][0-9]*)?{re.escape(suffix)}")
    return sorted(file for file in out.parent.iterdir() if name.fullmatch(file.name) and file not in written)


def _split_name(out: Path) -> tuple[str, str]:
    suffix = ".tar.xz" if out.name.endswith(".tar.xz") else out.suffix
    return out.name.removesuffix(suffix), suffix


def _compressed(units: Sequence[Unit], work: Path, problems: list[str]) -> list[PackedUnit]:
    """Compress each unit into its own file; units that change meanwhile are left out."""
    packed = []
    for number, unit in enumerate(units):
        stream = work / f"{number:06d}"
        try:
            packed.append(PackedUnit(unit, stream, _compress(unit, stream)))
        except ChangedError as error:
            problems.append(str(error))
    if not packed:
        raise UsageError(f"nothing could be packed: {'; '.join(problems)}")
    return packed


def _compress(unit: Unit, stream: Path) -> tuple[PackedFile, ...]:
    before = _version(unit.folder)
    files = compress_unit(stream, unit.sources, bulky=unit.bulky)
    if _version(unit.folder) != before:
        raise ChangedError(f"{unit.folder}: was written anew while it was packed; pack again")
    for file in files:
        if unit.checksums.get(file.member.inner, file.sha256) != file.sha256:
            raise ChangedError(f"{file.path}: is damaged: it was changed after it was written, by its checksum")
    return files


def _version(folder: Path | None) -> tuple[int, int] | None:
    """Return values that change if the folder is replaced."""
    if folder is None or not folder.is_dir():
        return None
    facts = folder.stat()
    return facts.st_ino, facts.st_mtime_ns


def _parts(packed: Sequence[PackedUnit], max_bytes: int | None) -> list[list[PackedUnit]]:
    """Distribute the units over archives, in order.

    Raises:
        UsageError: A single unit is too large.
    """
    if max_bytes is None:
        return [list(packed)]
    room = max_bytes - len(END) - _ENTRY_BYTES
    too_large = [f"{one.unit.name} ({one.needed_bytes:,} bytes)" for one in packed if one.needed_bytes > room]
    if too_large:
        raise UsageError(
            f"larger than an archive of {max_bytes:,} bytes may be: {', '.join(too_large)}; a run is never divided: "
            "raise --max-size, or leave --predictions or --states out"
        )
    parts: list[list[PackedUnit]] = [[]]
    used = 0
    for one in packed:
        if used + one.needed_bytes > room:
            parts.append([])
            used = 0
        parts[-1].append(one)
        used += one.needed_bytes
    return parts


def _written(parts: Sequence[Sequence[PackedUnit]], out: Path) -> dict[Path, Manifest]:
    """Write the archives."""
    everything = [(file.path, file.sha256) for part in parts for one in part for file in one.files]
    pack_id = digest(sorted(everything))
    written = {}
    for number, (file, part) in enumerate(zip(part_names(out, len(parts)), parts, strict=True), start=1):
        files = tuple(packed for one in part for packed in one.files)
        contents = Contents(
            schema_version=2 if any(packed.member.kind is Kind.RETEST for packed in files) else 1,
            segbench=__version__,
            pack_id=pack_id,
            part=number,
            parts=len(parts),
            runs=tuple(one.unit.run for one in part if one.unit.run),
            files=files,
        )
        written[file] = Manifest.sealed(contents)
        write_archive(file, written[file], [one.stream for one in part])
    return written
