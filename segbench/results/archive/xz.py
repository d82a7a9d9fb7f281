"""Reads xz files of one or more streams, with limits on memory and output."""

from __future__ import annotations

import io
import lzma
from typing import IO

_MEMORY_BYTES = 256 * 2**20
"""Memory limit of the decompressor; the highest preset of xz takes 65 MiB."""
_CHUNK = 2**16


class TooMuchError(Exception):
    """The decompressed output exceeds the limit."""


class XzReader(io.RawIOBase):
    """The content of an xz file, read in order.

    Args:
        stream: The file.
        limit: Limit of decompressed bytes; can be raised later.

    Attributes:
        limit: As above.
        count: Bytes decompressed so far.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        super().__init__()
        self.limit, self.count = limit, 0
        self._stream, self._decompressor = stream, _decompressor()
        self._pending = b""

    def readable(self) -> bool:
        """Return True: the stream is readable."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes; empty at the end.

        Raises:
            TooMuchError: The output exceeds the limit.
            EOFError: The file ends in the middle of a stream.
            lzma.LZMAError: The file is damaged, or is no xz file.
        """
        parts, wanted = [], size if size >= 0 else self.limit + 1
        while wanted and (part := self._some(wanted)):
            self.count += len(part)
            if self.count > self.limit:
                raise TooMuchError
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        while True:
            if self._decompressor.eof:
                self._pending = self._decompressor.unused_data or self._stream.read(_CHUNK)
                if not self._pending:
                    return b""
                self._decompressor = _decompressor()
            elif self._decompressor.needs_input:
                self._pending = self._stream.read(_CHUNK)
                if not self._pending:
                    raise EOFError("the file ends in the middle")
            part = self._decompressor.decompress(self._pending, most)
            self._pending = b""
            if part:
                return part


def _decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY_BYTES)
