"""Faults of data: a network that breaks off a download, a data root that goes away and comes back."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from voc_tree import build_voc_tree, pack_voc_tree

from fault_kinds.endings import during
from fault_kinds.workspace import Injected, Workspace

RESET = struct.pack("ii", 1, 0)
"""``SO_LINGER`` by which a closed connection is reset."""


def download(workspace: Workspace, moment: float) -> Injected:
    """The connection of a download closes, or is reset, after some of its bytes, or before its first; then it is back.

    An archive that was unpacked before stands for the results.
    """
    whole, archive = workspace.folder / "whole", workspace.folder / "small.tar"
    checksum = pack_voc_tree(build_voc_tree(whole, seed=workspace.draw.randrange(100)), archive)
    root = workspace.folder / "fetched"
    (root / "benchmark_RELEASE" / "dataset").mkdir(parents=True)
    (root / "benchmark_RELEASE" / "dataset" / "train.txt").write_text("there before\n")
    before = _tree(root)
    content = archive.read_bytes()
    with serving(content, send=int(moment * len(content)), reset=workspace.draw.random() < 0.5) as server:
        url = f"http://127.0.0.1:{server.server_port}/VOC.tar"
        begin = partial(_mirrored, url, checksum)
        command = workspace.start_any("data", "download", "voc2012", "--root", str(root), prepare=begin)
        code, told, wrong = workspace.ended(command)
        if code != 2 or "try again" not in told or url not in told:
            wrong.append(f"ended with {code}: {told[-500:]}")
        lost = [] if _tree(root) == before else ["what was there before, or no more than that"]
        server.send = len(content)
        code, told, more = workspace.ended(
            workspace.start_any("data", "download", "voc2012", "--root", str(root), prepare=begin)
        )
    wrong += [f"repeated: {text}" for text in more]
    if code != 0 or _tree(root) != before | _tree(whole):
        lost.append(f"the data set after a second attempt, which ended with {code}: {told[-500:]}")
    return Injected(1, tuple(lost), tuple(wrong))


def root_gone(workspace: Workspace, moment: float) -> Injected | None:
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

    if (found := during(workspace, moment, link, then=hide)) is None:
        return None
    command, before = found
    code, told, wrong = workspace.ended(command)
    if code not in (0, 2) or (code == 2 and "data" not in told):
        wrong.append(f"{how}: ended with {code}: {told[-1500:]}")
    if how in ("emptied", "moved"):
        shutil.rmtree(real, ignore_errors=True)
        away.rename(real)
    root.unlink(missing_ok=True)
    root.symlink_to(real)
    return workspace.judge(before, wrong)


@contextmanager
def serving(content: bytes, *, send: int, reset: bool) -> Iterator[Any]:
    """Serve an archive on this machine, of which only so many bytes are sent."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.content, server.send, server.reset = content, send, reset  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        content, send = self.server.content, self.server.send
        if send:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:send])
        if send < len(content) and self.server.reset:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.connection.close()

    def log_message(self, *arguments: object) -> None:
        del arguments

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):  # it was reset
            return


def _mirrored(url: str, checksum: str) -> None:
    os.environ["SEGBENCH_VOC2012_URL"], os.environ["SEGBENCH_VOC2012_MD5"] = url, checksum


def _tree(root: Path) -> dict[str, str]:
    """Return the checksum of every file below a folder."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
