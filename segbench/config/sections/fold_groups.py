"""The section ``fold_groups``: which images stay together in one fold of a cross-validation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from segbench.config.reading.validation_errors import check_keys

_SOURCES = ("file", "folder", "pattern")


class FoldGroups(BaseModel):
    """The source of each image's group: a CSV file, its folder's name, or its own name."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    file: str | None = None
    """A CSV file with one line per image and a header line."""
    column: str | None = None
    """The file's column with the group, such as ``patient``."""
    image_column: str = "image"
    """The file's column with the image's name."""
    folder: int | None = Field(default=None, ge=1)
    """The folder of the image's name that is the group: 1 is its own folder, 2 the parent folder."""
    pattern: str | None = None
    """A regular expression searched for in the image's name. The group is its first capture group or, without one, the
    whole match."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        check_keys(cls, given)
        return given

    @field_validator("pattern")
    @classmethod
    def _regular_expression(cls, given: str | None) -> str | None:
        try:
            re.compile(given or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return given

    @model_validator(mode="after")
    def _one_source(self) -> FoldGroups:
        given = [key for key in _SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of file, folder and pattern, got {' and '.join(given) or 'none'}")
        if (self.file is None) != (self.column is None):
            raise ValueError("file and column belong together: the CSV file, and its column with the group")
        return self

    @model_serializer
    def _write_what_counts(self) -> dict[str, Any]:
        keys = ("file", "column", "image_column") if self.file is not None else ("folder", "pattern")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}
