"""Receives a file from a server so that a transfer that breaks off is resumed, by this command or the next one.

What was received lies beside the target under a hidden name that belongs to the address (``.<name>.<hash>.part``), with
the server's mark of the file's version. A server that still has that version is asked for the rest only (RFC 9110,
sections 13.1.5 and 14). ``torch.hub`` and ``torchvision`` start anew; ``huggingface_hub`` resumes, but does not ask
whether the file is still the same.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import stat
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.error import HTTPError

from segbench.errors import DataError

Progress = Callable[[int, int | None], None]
"""Called with the bytes received and the total, if the server reports it."""
Pause = Callable[[float], None]
"""Waits for some seconds."""

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 60
WAITS_S = (1.0, 3.0, 10.0, 30.0)
"""Seconds before each further try; once more of the file is there than ever before, all of them again."""
MOST_TRIES = 100
"""Tries of one command in all."""
MOST_BYTES = 16 << 30
"""Largest file of a server that does not state its size; the largest archive, VOC 2012, has 2 GB."""

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses of servers that may answer later."""
_PARTIAL, _NOT_SATISFIABLE = 206, 416
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")

_log = logging.getLogger(__name__)


class BrokenTransferError(DataError):
    """A transfer broke off, also when it was tried again; what can be resumed is kept."""


class _NetworkError(Exception):
    """The server did not answer, or the connection broke; ``reason`` is the error, None if the server just stopped."""

    def __init__(self, reason: Exception | None = None) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def passes(self) -> bool:
        """Whether it may be over soon."""
        return not isinstance(self.reason, HTTPError) or self.reason.code in _PASSING


@dataclass(frozen=True)
class Version:
    """What a server says about the file that it sends.

    Attributes:
        total: Its bytes; None if unknown.
        mark: Its strong ETag or the time of its last change, by which a changed file is told; None without either.
    """

    total: int | None = None
    mark: str | None = None


class _Part(NamedTuple):
    """Which bytes of a file a response holds: the first, and how many the whole file has."""

    begin: int
    total: int


class Partial:
    """What was received of a file.

    Its name can be guessed, so that in a folder that others may write, a link may wait there. Only a regular file with
    one link, of this person or the folder's owner, is read or appended to; anything else is removed and starts anew.

    Attributes:
        file: Where it is; complete once ``receive`` returns.
    """

    def __init__(self, folder: Path, filename: str, url: str) -> None:
        self._folder, self._filename = folder, filename
        self.file = folder / f".{filename}.{hashlib.sha256(url.encode()).hexdigest()[:12]}.part"
        self._facts = self.file.with_suffix(".json")

    @property
    def received(self) -> int:
        """Bytes so far."""
        return self._own_bytes(self.file)

    def version(self) -> Version:
        """Return the version of the file that was received in part; an unknown one if it cannot be resumed."""
        if not (self.received and self._own_bytes(self._facts)):
            return Version()
        try:
            document = json.loads(self._facts.read_text(encoding="utf-8"))
            found = Version(document["total"], document["mark"])
        except (OSError, ValueError, KeyError, TypeError):
            return Version()
        fits = isinstance(found.mark, str) and (found.total is None or self.received <= found.total)
        return found if fits else Version()

    def begin(self, version: Version) -> BinaryIO:
        """Throw away what was received, and open a new file for another version."""
        self.remove()
        text = json.dumps({"total": version.total, "mark": version.mark})
        with self._facts.open("x", encoding="utf-8") as facts:
            facts.write(text + "\n")
        return self.file.open("xb")

    def resume(self) -> BinaryIO:
        """Open what was received to append the rest.

        Raises:
            OSError: It is a link or another person's.
        """
        output = open(self.file, "ab", opener=_open_no_link)  # noqa: SIM115 - Path.open has no opener
        if not self._is_own(os.fstat(output.fileno())):
            output.close()
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(self.file))
        return output

    def remove_useless(self) -> None:
        """Remove it if it cannot be resumed, because the server named no version."""
        if self.version().mark is None:
            self.remove()

    def remove(self) -> None:
        """Remove it."""
        self.file.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove it, and what was received of the same file from other addresses."""
        for file in self._folder.glob(f".{self._filename}.*.part"):
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)

    def _own_bytes(self, file: Path) -> int:
        """Return the size of a file; 0 if there is none, or if it is a link or another person's."""
        try:
            facts = file.lstat()
            return facts.st_size if self._is_own(facts) else 0
        except OSError:
            return 0

    def _is_own(self, facts: os.stat_result) -> bool:
        owners = {os.geteuid(), self._folder.stat().st_uid}  # network disks may store all files as one person's
        return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and facts.st_uid in owners


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_CREAT | os.O_NOFOLLOW)


def receive(url: str, partial: Partial, *, progress: Progress, pause: Pause = time.sleep) -> None:
    """Receive a file, or the rest of it. Once anything was received, what breaks off is resumed, several times.

    Args:
        url: Where it is; also ``file://``.
        partial: Where it goes.
        progress: Called for each received chunk, with the earlier ones counted.
        pause: Waits between two tries.

    Raises:
        BrokenTransferError: It broke off too often; says whether what was received is kept.
        DataError: The server sends something other than one file of a sensible size.
        OSError: The server cannot be reached, or has no such file; or the disk is full.
        HTTPException: The server does not speak HTTP.
    """
    waits = iter(WAITS_S)
    furthest = {partial.version().mark: partial.received}  # of each version
    for left in reversed(range(MOST_TRIES)):
        try:
            _receive_once(url, partial, progress)
            return
        except _NetworkError as error:
            if error.reason is not None and not (partial.received and error.passes):
                raise error.reason from None
            mark, received = partial.version().mark, partial.received
            if received > furthest.get(mark, 0):
                furthest[mark] = received
                waits = iter(WAITS_S)
            text = _broken(url, partial, error.reason)
        if (wait := next(waits, None)) is None or not left:
            break
        _log.warning("%s; trying again in %g s", text, wait)
        pause(wait)
    kept = (
        "the same command goes on from there"
        if partial.version().mark
        else "it is removed, since the server names no version of the file by which it could be resumed; try again"
    )
    partial.remove_useless()
    raise BrokenTransferError(f"{text}; {kept}")


def _receive_once(url: str, partial: Partial, progress: Progress) -> None:
    """Receive what is missing, and no more than the server said or ``MOST_BYTES``.

    Raises:
        _NetworkError: Something is still missing; errors of the disk pass.
        DataError: The server sends a part that was not asked for, or too much.
    """
    known = partial.version()
    if known.total is not None and known.total == partial.received:
        progress(partial.received, known.total)
        return
    with _open(url, partial, known) as response:
        version = _version_of(response)
        with partial.resume() if response.status == _PARTIAL else partial.begin(version) as output:
            received = output.seek(0, os.SEEK_END)
            for chunk in _chunks(response, (MOST_BYTES if version.total is None else version.total) - received):
                output.write(chunk)
                received += len(chunk)
                progress(received, version.total)
    if version.total is None and received >= MOST_BYTES:
        partial.remove()
        raise DataError(
            f"{url}: the server does not state the file's size and sent {received:,} bytes without an end, more than "
            "any data set has; nothing is kept: try another mirror"
        )
    if version.total is not None and received != version.total:
        raise _NetworkError


def _open(url: str, partial: Partial, known: Version) -> Any:
    """Return the response with the rest of a file whose version is known, or else with the whole file.

    Raises:
        _NetworkError: There is none.
        DataError: It is a part that was not asked for.
    """
    if known.mark is not None:
        response = _ask(url, {"Range": f"bytes={partial.received}-", "If-Range": known.mark})
        if response is not None and (response.status != _PARTIAL or _is_rest(response, partial, known)):
            return response
        if response is not None:
            response.close()
        partial.remove()
    response = _ask(url, {})
    if response.status == _PARTIAL:
        response.close()
        raise DataError(f"{url}: the server sends a part of the file, but was asked for all of it; try another mirror")
    return response


def _ask(url: str, headers: dict[str, str]) -> Any:
    """Return the server's response; None if it says that there is no such part."""
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - ours
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310 - ours
    except (OSError, HTTPException) as error:
        if headers and isinstance(error, HTTPError) and error.code == _NOT_SATISFIABLE:
            return None
        raise _NetworkError(error) from None


def _is_rest(response: Any, partial: Partial, known: Version) -> bool:
    """Return whether a part begins where what was received ends, and is of a file of the same size."""
    part = _part_of(response)
    return part is not None and part.begin == partial.received and known.total in (None, part.total)


def _part_of(response: Any) -> _Part | None:
    """Return which part of a file a response holds; None if it holds no single part of a file of known size."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range") or "")
    return _Part(*map(int, found.groups())) if found and response.status == _PARTIAL else None


def _version_of(response: Any) -> Version:
    """Return what a response says about the whole file, also where it holds a part."""
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified")  # W/"..." is no exact match
    part = _part_of(response)
    return Version(part.total if part else _number(response.headers.get("Content-Length")), mark)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _chunks(response: Any, most_bytes: int) -> Iterator[bytes]:
    """Yield what a server sends, at most so many bytes.

    Raises:
        _NetworkError: The connection broke.
    """
    while most_bytes > 0:
        try:
            chunk = response.read(min(CHUNK_BYTES, most_bytes))
        except (OSError, HTTPException) as error:
            raise _NetworkError(error) from None
        if not chunk:
            return
        most_bytes -= len(chunk)
        yield chunk


def _broken(url: str, partial: Partial, reason: Exception | None) -> str:
    total = partial.version().total
    of_total = "" if total is None else f" of {total:,}"
    why = f" ({reason})" if reason is not None and str(reason) else ""
    return f"{url}: the transfer broke off after {partial.received:,}{of_total} bytes{why}"
