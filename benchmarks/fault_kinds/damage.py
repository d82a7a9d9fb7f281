"""Faults of stored files: those of a finished run are cut, zeroed, flipped, deleted, or exchanged with another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from fault_kinds.look import SCORED, is_reported_as_damaged, whole_runs
from fault_kinds.workspace import Injected, Workspace

FILES = ("run.json", *SCORED)

Harm = Callable[[Workspace, Path, float], None]
"""Harms a file; the moment, 0 to 1, says where in it."""


def cut(workspace: Workspace, moment: float) -> Injected:
    """A file ends before its end."""
    return _harmed(
        workspace, moment, lambda _, file, where: file.write_bytes(_content(file)[: int(where * _size(file))])
    )


def zeroed(workspace: Workspace, moment: float) -> Injected:
    """A stretch of a file is zeros, as file systems leave it after a power cut."""

    def zero(workspace: Workspace, file: Path, where: float) -> None:
        content, begin = bytearray(_content(file)), int(where * _size(file))
        end = min(len(content), begin + workspace.draw.choice([1, 16, 512, len(content)]))
        content[begin:end] = bytes(end - begin)
        file.write_bytes(content)

    return _harmed(workspace, moment, zero)


def flipped(workspace: Workspace, moment: float) -> Injected:
    """One bit of a file is another."""

    def flip(workspace: Workspace, file: Path, where: float) -> None:
        content = bytearray(_content(file))
        content[int(where * len(content))] ^= 1 << workspace.draw.randrange(8)
        file.write_bytes(content)

    return _harmed(workspace, moment, flip)


def deleted(workspace: Workspace, moment: float) -> Injected:
    """A file is gone."""
    return _harmed(workspace, moment, lambda _, file, __: file.unlink())


def exchanged(workspace: Workspace, moment: float) -> Injected:
    """A file is that of another run, and the other run's is this one's."""

    def exchange(workspace: Workspace, file: Path, where: float) -> None:
        del where
        others = [run for run in workspace.runs.glob("[!.]*/run.json") if run.parent != file.parent]
        other = workspace.draw.choice(sorted(others)).with_name(file.name)
        mine, its = _content(file), _content(other)
        file.write_bytes(its)
        other.write_bytes(mine)

    return _harmed(workspace, moment, exchange)


def _harmed(workspace: Workspace, moment: float, harm: Harm) -> Injected:
    """Harm a file of a finished run; until it differs, as a stretch of zeros may have been zeros."""
    workspace.set_up(0)
    stored = whole_runs(workspace.results)
    run = workspace.draw.choice(sorted(stored))
    file = workspace.runs / run / FILES[workspace.draw.randrange(len(FILES))]
    untouched = {path: _content(path) for path in workspace.runs.glob("*/*.*") if path.is_file()}
    while file.exists() and _content(file) == untouched[file]:
        harm(workspace, file, moment)
        moment = workspace.draw.random()
    hit = {path.parent.name for path, content in untouched.items() if not path.exists() or _content(path) != content}
    wrong = [
        f"{file.name} of {name} is not reported as damaged"
        for name in sorted(hit)
        if not (is_reported_as_damaged(workspace.results, name) or _harmless(workspace, name, untouched))
    ]
    return workspace.judge({name: checksums for name, checksums in stored.items() if name not in hit}, wrong)


def _harmless(workspace: Workspace, run: str, untouched: dict[Path, bytes]) -> bool:
    """Return whether only the checksums of files that no table is made from were hit, such as of trained weights."""
    file = workspace.runs / run / "run.json"
    try:
        now, before = json.loads(_content(file)), json.loads(untouched[file])
    except ValueError:
        return False
    for record in (now, before):
        record["checksums"] = {name: record.get("checksums", {}).get(name) for name in ("run.json", *SCORED)}
    return now == before and all(_content(file.with_name(name)) == untouched[file.with_name(name)] for name in SCORED)


def _content(file: Path) -> bytes:
    return file.read_bytes()


def _size(file: Path) -> int:
    return file.stat().st_size
