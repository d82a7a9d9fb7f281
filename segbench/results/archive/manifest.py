"""The manifest of an archive of results: which runs and files it holds, with sizes and checksums."""

from __future__ import annotations

import json
from collections import Counter
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from segbench.config.plan import digest
from segbench.errors import ArchiveError, StoreError
from segbench.results.archive.members import Kind, Member, parse_member
from segbench.results.files import checked_name
from segbench.results.run_files import RECORD_FILE
from segbench.results.wording import first_problem, newer_schema

MANIFEST_FILE = "manifest.json"
MANIFEST_VERSION = 2
"""History: 1, the first; 2, further tests of trained networks. Archives without any are still of version 1."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """Base class of the parts of a manifest: frozen, no unknown keys, no type conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class PackedFile(Strict):
    """One file."""

    path: str
    """``<suite>/…``, with slashes."""
    size: Annotated[int, Field(ge=0)]
    """Bytes."""
    sha256: Sha256

    @field_validator("path")
    @classmethod
    def _has_a_place(cls, path: str) -> str:
        parse_member(path)
        return path

    @cached_property
    def member(self) -> Member:
        """The file's place in the archive."""
        return parse_member(self.path)


class PackedRun(Strict):
    """One run."""

    suite: str
    id: str
    identity: Sha256
    protocol_id: Sha256

    @field_validator("suite", "id")
    @classmethod
    def _leads_nowhere_else(cls, name: str, info: ValidationInfo) -> str:
        try:
            return checked_name(name, "suite" if info.field_name == "suite" else "run")
        except StoreError as error:
            raise ValueError(str(error)) from None

    @property
    def folder(self) -> str:
        """Its path in the archive."""
        return f"{self.suite}/{self.id}"


class Contents(Strict):
    """What one archive holds."""

    kind: Literal["segbench results"] = "segbench results"
    schema_version: Literal[1, 2] = 1
    segbench: str | None = None
    """The version of segbench that packed it; None, and absent, in archives of earlier versions."""
    pack_id: Sha256
    """SHA-256 over everything that was packed together; the same in all parts."""
    part: Annotated[int, Field(ge=1)]
    """Number of this part, from 1."""
    parts: Annotated[int, Field(ge=1)]
    runs: tuple[PackedRun, ...]
    files: tuple[PackedFile, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.part > self.parts:
            raise ValueError(f"part {self.part} of {self.parts}")
        twice = [name for name, count in Counter(file.path for file in self.files).items() if count > 1]
        twice += [name for name, count in Counter(run.folder for run in self.runs).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is listed twice")
        self._refuse_other_runs()
        return self

    def _refuse_other_runs(self) -> None:
        """Refuse runs without a record, and files of runs that are not listed.

        Raises:
            ValueError: There are such runs or files; names the first.
        """
        listed = {run.folder for run in self.runs}
        of_runs = [file.member for file in self.files if file.member.kind is Kind.RUN]
        if strays := {member.folder for member in of_runs} - listed:
            raise ValueError(f"{min(strays)!r} has files but is not among the runs")
        if bare := listed - {member.folder for member in of_runs if member.inner == RECORD_FILE}:
            raise ValueError(f"{min(bare)!r} is among the runs but has no {RECORD_FILE}")


class Manifest(Contents):
    """The first member of an archive."""

    digest: Sha256
    """SHA-256 of all other keys, as JSON with sorted keys and without spaces."""

    @classmethod
    def sealed(cls, contents: Contents) -> Manifest:
        """Return contents with their checksum."""
        return cls(**dict(contents), digest=digest(contents.model_dump(mode="json", exclude_none=True)))

    @property
    def suites(self) -> tuple[str, ...]:
        """The names of the suites in the archive, sorted."""
        return tuple(sorted({file.member.suite for file in self.files}))

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @cached_property
    def by_folder(self) -> dict[str, list[PackedFile]]:
        """The files of each run, gallery and so on, by the path of the folder."""
        found: dict[str, list[PackedFile]] = {}
        for file in self.files:
            found.setdefault(file.member.folder, []).append(file)
        return found

    def of(self, kind: Kind, *, suite: str | None = None) -> list[PackedFile]:
        """Return the files of one kind, of one suite or of all."""
        return [file for file in self.files if file.member.kind is kind and suite in (None, file.member.suite)]

    def text(self) -> str:
        """Return the manifest as it is stored in an archive."""
        return self.model_dump_json(indent=1, exclude_none=True) + "\n"


def read_manifest(text: bytes) -> Manifest:
    """Parse the manifest of an archive.

    Raises:
        ArchiveError: It is not a manifest, was altered, or was written by a newer segbench.
    """
    try:
        if problem := newer_schema(json.loads(text), MANIFEST_VERSION):
            raise ArchiveError(problem)
        manifest = Manifest.model_validate_json(text)
    except (ValidationError, ValueError, RecursionError) as error:
        raise ArchiveError(f"is damaged or no manifest of segbench: {first_problem(error)}") from None
    if digest(manifest.model_dump(mode="json", exclude={"digest"}, exclude_none=True)) != manifest.digest:
        raise ArchiveError("was altered: its checksum does not match")
    return manifest
