"""``benchmarks/faults.py`` itself: what it counts as lost and as told wrongly, by faults that are so."""

from __future__ import annotations

import importlib
import json
import random
import shutil
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from segbench.config.files import read_digest
from segbench.results.run_files import CHECKSUMS, RECORD_FILE, record_digest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def modules():
    """The script and its fixture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("faults"), importlib.import_module("fault_kinds.workspace")


@pytest.fixture(scope="module")
def fixture(modules, tmp_path_factory):
    """A fixture whose undisturbed suite has run."""
    made = modules[1].Fixture(tmp_path_factory.mktemp("faults"))
    made.reference()
    return made


def first(workspace):
    """The folder of the first run."""
    return min(file.parent for file in workspace.runs.glob("[!.]*/run.json"))


def deletes_a_result(workspace):
    shutil.rmtree(first(workspace))


def edits_a_result(workspace):
    """Change the matrices, and every checksum with them."""
    run = first(workspace)
    with np.load(run / "confusion.npz") as file:
        arrays = dict(file)
    arrays["prediction"] = arrays["prediction"][::-1].copy()
    np.savez_compressed(run / "confusion.npz", **arrays)
    record = json.loads((run / RECORD_FILE).read_text())
    record[CHECKSUMS]["confusion.npz"] = read_digest(run / "confusion.npz")
    record[CHECKSUMS][RECORD_FILE] = record_digest(record)
    (run / RECORD_FILE).write_text(json.dumps(record))


def changes_nothing(workspace):
    pass


def breaks_the_suite(workspace):
    (workspace.folder / "faults.yaml").write_text("models: 3\n")


def injecting(fault):
    from fault_kinds.look import whole_runs

    def inject(workspace, moment):
        workspace.set_up(0)
        before = whole_runs(workspace.results)
        assert len(before) == 3
        fault(workspace)
        return workspace.judge(before)

    return inject


@pytest.mark.parametrize(
    ("fault", "lost", "told"),
    [
        (changes_nothing, 0, True),
        (deletes_a_result, 1, True),
        (edits_a_result, 1, True),
        (breaks_the_suite, 0, False),
    ],
)
def test_a_result_that_is_deleted_or_altered_is_lost_whatever_the_repeated_command_restores(fixture, fault, lost, told):
    workspace = fixture.workspace(random.Random(0))
    try:
        found = injecting(fault)(workspace, 0.0)
    finally:
        workspace.close()
    assert found.stored == 3
    assert len(found.lost) == lost
    assert (not found.wrong) is told


def test_what_the_repeated_command_does_not_restore_is_lost(fixture):
    workspace = fixture.workspace(random.Random(0))
    try:
        workspace.set_up(1)
        workspace.write_suite(seeds=[1])
        found = workspace.judge({})
    finally:
        workspace.close()
    assert len(found.lost) == 1


def test_a_half_written_run_that_counts_as_done_is_found(fixture, monkeypatch):
    """Of a segbench that trusts a record without looking at its files."""
    look = importlib.import_module("fault_kinds.look")
    workspace = fixture.workspace(random.Random(0))
    try:
        workspace.set_up(0)
        (first(workspace) / "confusion.npz").write_bytes(b"half")
        assert look.half_done(workspace.results) == []
        monkeypatch.setattr("segbench.results.store.damage_of", lambda folder, record: None)
        assert look.half_done(workspace.results) == [first(workspace).name]
    finally:
        workspace.close()


def test_a_command_that_hangs_and_one_with_a_traceback_are_unexpected(fixture, modules, monkeypatch):
    monkeypatch.setattr(modules[1], "PATIENCE_SECONDS", 1.0)
    workspace = fixture.workspace(random.Random(0))
    try:
        workspace.set_up(3)
        code, _, wrong = workspace.ended(workspace.start(prepare=partial(time.sleep, 600)))
        assert (code, wrong) == (None, ["took longer than 1 s"])
        monkeypatch.setattr(modules[1], "PATIENCE_SECONDS", 300.0)
        code, _, wrong = workspace.ended(workspace.start(prepare=partial(divmod, 1, 0)))
        assert code == 1
        assert "a traceback" in wrong[0]
        assert "ZeroDivisionError" in wrong[0]
    finally:
        workspace.close()


def test_the_script_ends_with_1_where_a_result_was_lost(modules, capsys):
    faults, fixture = modules
    found = {"fine": (), "theft": ("a",)}
    kinds = {
        name: faults.Kind(name, 2, lambda workspace, moment, lost=lost: fixture.Injected(3, lost))
        for name, lost in found.items()
    }
    kinds["absent"] = faults.Kind("absent", 2, refuse)
    assert faults.main(["--kinds", "fine,absent", "--jobs", "1"], kinds=kinds) == 0
    assert "2 faults injected, 0 results lost, 0 not as expected" in capsys.readouterr().out
    assert faults.main(["--jobs", "1"], kinds=kinds) == 1
    told = capsys.readouterr().out
    assert "| theft | 2 | 2 | 6 | 2 | 2 of 2 |" in told
    assert "left out: no such thing here" in told
    assert "4 faults injected, 2 results lost" in told


def refuse(workspace, moment):
    from fault_kinds.workspace import NotHere

    raise NotHere("no such thing here")


def test_at_least_five_hundred_faults_are_injected_by_default(modules):
    assert sum(kind.count for kind in modules[0].KINDS.values()) >= 500
    assert sys.modules["fault_kinds.workspace"] is modules[1]
