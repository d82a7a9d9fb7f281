"""Receives a file from a server so that a transfer that breaks off is resumed, by this command or the next one.

What was received lies beside the target under a hidden name that belongs to the address (``.<name>.<hash>.part``), with
the server's mark of the file's version. A server that still has that version is asked for the rest only (RFC 9110,
sections 13.1.5 and 14). ``torch.hub`` and ``torchvision`` start anew; ``huggingface_hub`` resumes, but does not ask
whether the file is still the same.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from segbench.errors import DataError

Progress = Callable[[int, int | None], None]
"""Called with the bytes received and the total, if the server reports it."""
Pause = Callable[[float], None]
"""Waits for some seconds."""

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 60
WAITS_S = (1.0, 3.0, 10.0, 30.0)
"""Seconds before each further try; once further bytes arrived, all of them again."""

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses of servers that may answer later."""
_PARTIAL, _NOT_SATISFIABLE = 206, 416

_log = logging.getLogger(__name__)


class BrokenTransferError(DataError):
    """A transfer broke off, also when it was tried again; what was received is kept."""


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


class Partial:
    """What was received of a file.

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
        return self.file.stat().st_size if self.file.is_file() else 0

    def version(self) -> Version:
        """Return of which version of the file it is; unknown where nothing can be resumed."""
        try:
            document = json.loads(self._facts.read_text(encoding="utf-8"))
            found = Version(document["total"], document["mark"])
        except (OSError, ValueError, KeyError, TypeError):
            return Version()
        fits = isinstance(found.mark, str) and (found.total is None or self.received <= found.total)
        return found if fits and self.received else Version()

    def begin(self, version: Version) -> None:
        """Throw away what was received and start with another version of the file."""
        self.remove()
        text = json.dumps({"total": version.total, "mark": version.mark})
        self._facts.write_text(text + "\n", encoding="utf-8")

    def remove(self) -> None:
        """Remove it."""
        self.file.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove it, and what was received of the same file from other addresses."""
        for file in self._folder.glob(f".{self._filename}.*.part"):
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)


def receive(url: str, partial: Partial, *, progress: Progress, pause: Pause = time.sleep) -> None:
    """Receive a file, or the rest of it. Once anything was received, what breaks off is resumed, several times.

    Args:
        url: Where it is; also ``file://``.
        partial: Where it goes.
        progress: Called for each received chunk, with the earlier ones counted.
        pause: Waits between two tries.

    Raises:
        BrokenTransferError: It broke off too often; says what is kept.
        OSError: The server cannot be reached, or has no such file; or the disk is full.
        HTTPException: The server does not speak HTTP.
    """
    waits = iter(WAITS_S)
    while True:
        before = partial.received
        try:
            return _receive_once(url, partial, progress)
        except _NetworkError as error:
            if error.reason is not None and not (partial.received and error.passes):
                raise error.reason from None
            waits = iter(WAITS_S) if partial.received > before else waits
            text = _broken(url, partial, error.reason)
        if (wait := next(waits, None)) is None:
            kept = "the same command goes on from there" if partial.version().mark else "try again"
            raise BrokenTransferError(f"{text}; {kept}")
        _log.warning("%s; trying again in %g s", text, wait)
        pause(wait)


def _receive_once(url: str, partial: Partial, progress: Progress) -> None:
    """Receive what is missing.

    Raises:
        _NetworkError: Something is still missing; errors of the disk pass.
    """
    known = partial.version()
    if known.total is not None and known.total == partial.received:
        return progress(partial.received, known.total)
    with _open(url, partial, known) as response:
        if response.status == _PARTIAL:
            version = known
        else:
            version = _version_of(response)
            partial.begin(version)
        received = partial.received
        with partial.file.open("ab") as output:
            for chunk in _chunks(response):
                output.write(chunk)
                received += len(chunk)
                progress(received, version.total)
    if version.total is not None and received != version.total:
        raise _NetworkError
    return None


def _open(url: str, partial: Partial, known: Version) -> Any:
    """Return the response with the rest of a file whose version is known, or else with the whole file.

    Raises:
        _NetworkError: There is none.
    """
    if known.mark is not None:
        response = _ask(url, {"Range": f"bytes={partial.received}-", "If-Range": known.mark})
        if response is not None and (response.status != _PARTIAL or _is_rest(response, partial, known)):
            return response
        if response is not None:
            response.close()
        partial.remove()
    return _ask(url, {})


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
    place, _, total = str(response.headers.get("Content-Range", "")).removeprefix("bytes ").partition("/")
    return place.partition("-")[0] == str(partial.received) and known.total in (None, _number(total))


def _version_of(response: Any) -> Version:
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified")  # W/"..." is no exact match
    return Version(_number(response.headers.get("Content-Length")), mark)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _chunks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(CHUNK_BYTES)
        except (OSError, HTTPException) as error:
            raise _NetworkError(error) from None
        if not chunk:
            return
        yield chunk


def _broken(url: str, partial: Partial, reason: Exception | None) -> str:
    total = partial.version().total
    of_total = "" if total is None else f" of {total:,}"
    why = f" ({reason})" if reason is not None and str(reason) else ""
    return f"{url}: the transfer broke off after {partial.received:,}{of_total} bytes{why}"
