"""Reads lists of images and labels in common formats."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from segbench.errors import DataError

_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_BLANKS = " \t"
_COLUMNS = "image|img|picture|photo|rgb|input|mask|label|annotation|target|segmentation|gt|file|filename|name|path|id"
_HEADER = re.compile(f"({_COLUMNS})s?([ _-]?(path|file|filename|name|id)s?)?")
_INDEX = re.compile(r"|unnamed: \d+")
"""pandas' header of the column of row numbers."""
_LINES_JUDGED = 1000
"""Number of lines used to decide whether a list holds pairs or names."""
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


class Listed(NamedTuple):
    """One line of a list.

    Attributes:
        image: The image's path as written, with slashes.
        label: The label's path; None in a list with one name per line.
        line: The line's number.
    """

    image: PurePosixPath
    label: PurePosixPath | None
    line: int = 0

    @property
    def paths(self) -> tuple[PurePosixPath, ...]:
        """The paths in the line."""
        return (self.image,) if self.label is None else (self.image, self.label)

    @property
    def may_be_header(self) -> bool:
        """Whether the line looks like a header, such as ``image,mask``."""
        return all(_HEADER.fullmatch(str(path).lower()) for path in self.paths)


class _Line(NamedTuple):
    number: int
    text: str


def read_list(file: Path, *, is_name: Callable[[str], bool] | None = None) -> list[Listed]:
    """Read lines with an image and a label, separated by tabs, commas, semicolons or blanks.

    If ``is_name`` is given, a list may instead have one name per line, which may contain blanks and commas. Names that
    contain a separator are put into double quotes. Empty lines, comments (``# ``) and pandas' row numbers are ignored.

    Args:
        file: A text file in UTF-8, or in UTF-16 with a byte order mark.
        is_name: Returns whether a whole line is the name of an image.

    Raises:
        DataError: The file cannot be read, or a line is invalid; names file and line.
    """
    lines = _without_row_numbers(_lines(file))
    if is_name is not None and _is_list_of_names(lines, is_name):
        return [Listed(PurePosixPath(_unquoted(line.text)), None, line.number) for line in lines]
    return [_pair(file, line, may_be_name=is_name is not None) for line in lines]


def split_line(text: str) -> list[str]:
    """Split a line; a comma or semicolon is a separator if the parts look like files."""
    if "\t" in text:
        return [word for word in _cells(text, "\t") if word]
    for separator in ",;":
        words = _cells(text, separator) if separator in text else []
        if words and not words[-1]:
            words.pop()
        if '"' in "".join(words):  # a separator within quotes, in a line separated by blanks
            continue
        with_suffix = sum(_SUFFIX.search(word) is not None for word in words)
        if with_suffix > 1 or (len(words) == 2 and not with_suffix and all(words)):
            return words
    return [word for word in _cells(text, " ") if word]


def _lines(file: Path) -> list[_Line]:
    """Return the lines without empty lines and comments; backslashes become slashes."""
    try:
        content = file.read_bytes()
        encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
        text = content.decode(encoding)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: cannot be read as a list of images and labels: {error}; save it as text in UTF-8"
        ) from None
    if "\0" in text:
        raise DataError(f"{file}: cannot be read as a list of images and labels; save it as text in UTF-8")
    texts = re.split(r"\r\n|\r|\n", text.replace("\\", "/"))
    lines = [_Line(number, text.strip(_BLANKS + "\ufeff")) for number, text in enumerate(texts, start=1)]
    return [line for line in lines if line.text and not re.match(r"#([#\s]|$)", line.text)]


def _without_row_numbers(lines: list[_Line]) -> list[_Line]:
    """Remove the row numbers of a table written by pandas, whose column has no name in the header."""
    for separator in ",;\t":
        table = [_cells(line.text, separator) for line in lines]
        if len(table) < 2 or not all(len(cells) > 1 and cells[0].isdecimal() for cells in table[1:]):
            continue
        header, columns = table[0], len(table[1])
        is_named = len(header) == columns and _INDEX.fullmatch(header[0].lower()) is not None
        is_cut = separator == "\t" and len(header) == columns - 1  # the header begins with a separator
        names = header[is_named:]
        if (is_named or is_cut) and all(_HEADER.fullmatch(name.lower()) for name in names):
            bare = [line.text.partition(separator)[2].strip(_BLANKS) for line in lines]
            return [
                line._replace(text=text if index or is_named else line.text)
                for index, (line, text) in enumerate(zip(lines, bare, strict=True))
            ]
    return lines


def _is_list_of_names(lines: Sequence[_Line], is_name: Callable[[str], bool]) -> bool:
    """Return whether most lines are the name of an image; then the others are unknown names."""
    looked = lines[:_LINES_JUDGED]
    alone = [len(split_line(line.text)) == 1 or is_name(_unquoted(line.text)) for line in looked]
    return 2 * sum(alone) > len(looked)


def _pair(file: Path, line: _Line, *, may_be_name: bool) -> Listed:
    words = split_line(line.text)
    if len(words) == 2 and all(words):
        return Listed(PurePosixPath(words[0]), PurePosixPath(words[1]), line.number)
    numbered = len(words) == 3 and words[0].isdecimal()
    rows = "; leave the numbers of the rows out (in pandas, to_csv(index=False))" if numbered else ""
    or_names = ", or one name on each line of the list" if may_be_name else ""
    raise DataError(
        f"{file}:{line.number}: expected an image and a label separated by a blank or a comma (by a tab where their "
        f"names hold blanks or commas){or_names}; found {len(words)} columns: {line.text!r}{rows}"
    )


def _cells(text: str, separator: str) -> list[str]:
    """Split like CSV: a separator within double quotes is part of a name."""
    try:
        (row,) = csv.reader([text], delimiter=separator, skipinitialspace=True)
    except csv.Error:  # a cell of more than 128 KiB
        return [text]
    return [cell.strip(_BLANKS) for cell in row]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1] else text
