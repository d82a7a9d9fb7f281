"""A web server on this machine that breaks off, forgets, redirects and changes its file as mirrors do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mirror(ThreadingHTTPServer):
    """Serves one file under every path.

    Attributes:
        content: The file; None: there is none.
        ends: After how many bytes each answer ends in turn; None: not before its end; the last one stays.
        statuses: The status of each answer in turn instead of the file; None: the file.
        ranges: Whether parts are served.
        etag, modified: What is told of the file's version.
        total: Whether its size is told.
        surplus: What is sent behind the file's end, where its size is not told or a part is sent.
        partial: Whether a part is sent that was not asked for: all but the first byte.
        moved: The path that is redirected to ``/moved``.
        asked: The headers of each request.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content: bytes | None = content
        self.ends: list[int | None] = [None]
        self.statuses: list[int | None] = []
        self.ranges, self.total, self.partial = True, True, False
        self.surplus = b""
        self.etag: str | None = '"one"'
        self.modified: str | None = None
        self.moved: str | None = None
        self.wrong_range = False
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(content: bytes) -> Iterator[Mirror]:
    """Serve a file while the block runs."""
    with Mirror(content) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        server = self.server
        if self.path == server.moved:
            return self._only(302, Location=f"{server.url}/moved")
        server.asked.append(dict(self.headers))
        status = server.statuses.pop(0) if server.statuses else None
        if status is not None or server.content is None:
            return self._only(status or 404)
        ends = server.ends.pop(0) if len(server.ends) > 1 else server.ends[0]
        start = 1 if server.partial else self._start()
        if start >= len(server.content):
            return self._only(416)
        self.send_response(206 if start else 200)
        if start:
            shown = start - 1 if server.wrong_range else start
            self.send_header("Content-Range", f"bytes {shown}-{len(server.content) - 1}/{len(server.content)}")
        if server.total:
            self.send_header("Content-Length", str(len(server.content) - start + (len(server.surplus) if start else 0)))
        self._send_version()
        self.end_headers()
        return self._send((server.content + server.surplus)[start:][:ends])

    def _start(self) -> int:
        """Return the first byte to send: of the rest, if its version is still the file's."""
        current = self.headers.get("If-Range") in (self.server.etag, self.server.modified)
        if not (self.server.ranges and current and "Range" in self.headers):
            return 0
        return int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])

    def _send_version(self) -> None:
        for name, value in (("ETag", self.server.etag), ("Last-Modified", self.server.modified)):
            if value is not None:
                self.send_header(name, value)

    def _send(self, content: bytes) -> None:
        with suppress(ConnectionError):  # whoever asked has enough
            self.wfile.write(content)

    def _only(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
