"""Faults of data: a network that breaks off a download, a data root that goes away and comes back."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import struct
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from voc_tree import build_voc_tree

from fault_kinds.endings import during
from fault_kinds.workspace import Injected, Workspace

ETAG = '"first"'
RESET = struct.pack("ii", 1, 0)
"""``SO_LINGER`` by which a closed connection is reset."""


@dataclass
class Network:
    """A server, and a network that breaks off each connection to it.

    Attributes:
        content: What the server sends.
        piece: How many bytes each connection sends before it breaks off.
        budget: How many bytes arrive in all before the network is gone.
        reset: Whether connections are reset; else they are closed.
        ranges: The ``Range`` of each request so far; None for the whole file.
    """

    content: bytes
    piece: int
    budget: int
    reset: bool
    ranges: list[str | None] = field(default_factory=list)

    def come_back(self) -> None:
        """Break off no more connections."""
        self.piece = self.budget = len(self.content)


def download(workspace: Workspace, moment: float) -> Injected:
    """A network breaks off a download again and again, and is gone in the end; then it is back.

    The archive is SBD's, with files of the right names. What was stored before is a small PASCAL VOC 2012 in the same
    root, and counts as one result.
    """
    root, whole, archive = (workspace.folder / name for name in ("fetched", "whole", "benchmark.tar"))
    before = visible(build_voc_tree(root, seed=workspace.draw.randrange(100)))
    checksum = _pack_sbd(whole, archive, seed=workspace.draw.randrange(100))
    content = archive.read_bytes()
    budget = int(moment * len(content))
    piece = workspace.draw.randint(budget // 3 + 1, budget + 1)
    network = Network(content, piece, budget, reset=workspace.draw.random() < 0.5)
    with serving(network) as url:
        arguments, begin = ("data", "download", "sbd", "--root", str(root)), partial(_prepared, url, checksum)
        code, stderr, wrong = workspace.ended(workspace.start_any(*arguments, prepare=begin))
        received, requests = sum(file.stat().st_size for file in root.glob(".*.part")), len(network.ranges)
        if code != 2 or url not in stderr or ("goes on from there" if received else "try again") not in stderr:
            wrong.append(f"ended with {code}: {stderr[-500:]}")
        lost = [] if visible(root) == before else ["what was there before, or no more than that"]
        network.come_back()
        code, stderr, more = workspace.ended(workspace.start_any(*arguments, prepare=begin))
    wrong += [f"repeated: {text}" for text in more] + not_resumed(network.ranges, requests, received)
    wrong += [f"repeated: left {file.name}" for file in root.glob(".*.part")]
    if code != 0 or visible(root) != before | visible(whole):
        lost.append(f"the data set after a second attempt, which ended with {code}: {stderr[-500:]}")
    return Injected(1, tuple(lost), tuple(wrong))


def not_resumed(ranges: Sequence[str | None], requests: int, received: int) -> list[str]:
    """Return what was asked for again though it had been received.

    Args:
        ranges: The ``Range`` of each request; None for the whole file.
        requests: How many requests the first command made.
        received: How many bytes it had received in the end.
    """
    if not received:
        return []
    found = []
    if requests > 1 and not any(ranges[1:requests]):
        found.append("each try of the first command asked for the whole file")
    if (asked := ranges[requests] if len(ranges) > requests else None) != f"bytes={received}-":
        found.append(f"{received} bytes had been received; the repeated command asked for {asked or 'the whole file'}")
    return found


def root_gone(workspace: Workspace, moment: float) -> Injected:
    """The root of the data, a link, dangles, leads to itself or is gone, or its folder is emptied; then it is back."""
    workspace.data = "folder"
    how = workspace.draw.choice(["dangling", "circle", "gone", "emptied", "moved"])
    root, real, away = (workspace.folder / name for name in ("data", "real", "away"))

    def link(workspace: Workspace, command: Any) -> bool:
        del command
        if how in ("dangling", "circle", "gone"):
            root.unlink()
            if how != "gone":
                root.symlink_to(workspace.folder / "nowhere" if how == "dangling" else root)
        else:
            real.rename(away)
            if how == "emptied":
                real.mkdir()
        return True

    def hide(workspace: Workspace) -> None:
        (workspace.folder / "data").rename(real)
        root.symlink_to(real)

    command, before, injected = during(workspace, moment, link, then=hide)
    if not injected:
        return workspace.without_fault(command, before)
    code, stderr, wrong = workspace.ended(command)
    if code not in (0, 2) or (code == 2 and "data" not in stderr):
        wrong.append(f"{how}: ended with {code}: {stderr[-1500:]}")
    if code == 0:
        wrong += workspace.incomplete(code, stderr)
    if how in ("emptied", "moved"):
        shutil.rmtree(real, ignore_errors=True)
        away.rename(real)
    root.unlink(missing_ok=True)
    root.symlink_to(real)
    return workspace.judge(before, wrong)


@contextmanager
def serving(network: Network) -> Iterator[str]:
    """Serve a file on this machine, through a network that breaks; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, network)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/archive.tar"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Sends the file or the rest of it, with an ETag, as far as the network allows."""

    def __init__(self, network: Network, *arguments: Any) -> None:
        self.network = network
        super().__init__(*arguments)

    def do_GET(self) -> None:
        network, asked = self.network, self.headers.get("Range")
        network.ranges.append(asked)
        rest = asked is not None and self.headers.get("If-Range") == ETAG
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if rest else 0
        content = network.content[first:]
        sent = content[: min(network.piece, network.budget)]
        network.budget -= len(sent)
        if sent:
            self._send_head(first if rest else None, len(content))
            self.wfile.write(sent)
        if len(sent) < len(content) and network.reset:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.connection.close()

    def _send_head(self, first: int | None, count: int) -> None:
        total = len(self.network.content)
        self.send_response(200 if first is None else 206)
        if first is not None:
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        self.send_header("Content-Length", str(count))
        self.send_header("ETag", ETAG)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        del arguments

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):  # it was reset
            return


def _prepared(url: str, checksum: str) -> None:
    """Have this process download from here, and wait less between two tries."""
    from segbench.data.datasets import transfer

    os.environ["SEGBENCH_SBD_URL"], os.environ["SEGBENCH_SBD_MD5"] = url, checksum
    transfer.WAITS_S = tuple(0.01 for _ in transfer.WAITS_S)


def _pack_sbd(folder: Path, file: Path, *, seed: int) -> str:
    """Write ``benchmark_RELEASE`` in a folder, pack it, and return the MD5 of the archive."""
    base = folder / "benchmark_RELEASE"
    base.mkdir(parents=True)
    (build_voc_tree(folder / "voc", seed=seed) / "VOCdevkit" / "VOC2012").rename(base / "dataset")
    shutil.rmtree(folder / "voc")
    with tarfile.open(file, "w") as archive:
        archive.add(base, arcname=base.name)
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def visible(root: Path) -> dict[str, str]:
    """Return the checksum of every file below a folder, but not of hidden files, such as what a transfer keeps."""
    files = {path.relative_to(root): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {
        str(name): hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if not any(part.startswith(".") for part in name.parts)
    }
