"""``benchmarks/faults.py`` itself: what it counts as lost and as unexpected."""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import subprocess
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
def look(modules):
    """Its independent look at results."""
    return importlib.import_module("fault_kinds.look")


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
    ("fault", "lost", "expected"),
    [
        (changes_nothing, 0, True),
        (deletes_a_result, 1, True),
        (edits_a_result, 1, True),
        (breaks_the_suite, 0, False),
    ],
)
def test_a_result_that_is_deleted_or_altered_is_lost_though_the_repeated_command_restores_it(
    fixture, fault, lost, expected
):
    workspace = fixture.workspace(random.Random(0))
    try:
        found = injecting(fault)(workspace, 0.0)
    finally:
        workspace.close()
    assert found.stored == 3
    assert len(found.lost) == lost
    assert (not found.wrong) is expected


def test_a_stored_result_that_the_repeated_command_trains_again_is_lost(fixture, look, monkeypatch):
    """Its scores are the same; its record, with the times, is not."""
    workspace = fixture.workspace(random.Random(0))
    start = workspace.start

    def forgets_a_result(*arguments, **options):
        shutil.rmtree(first(workspace))
        return start(*arguments, **options)

    try:
        workspace.set_up(0)
        before = look.whole_runs(workspace.results)
        monkeypatch.setattr(workspace, "start", forgets_a_result)
        found = workspace.judge(before)
        assert workspace.differing(workspace.results) == []
    finally:
        workspace.close()
    assert list(found.lost) == [min(before)]


def test_a_command_that_ends_well_before_its_fault_is_judged_all_the_same(fixture, look):
    workspace = fixture.workspace(random.Random(0))
    try:
        workspace.set_up(1)
        command = workspace.start("--no-report")
        assert fine(workspace.without_fault(command, look.whole_runs(workspace.results)))
        run = first(workspace)
        shutil.rmtree(run)
        assert [text for text in workspace.incomplete(0, "") if run.name in text]
        assert workspace.incomplete(2, "no room") == ["ended with 2: no room"]
    finally:
        workspace.close()


def fine(found):
    return not (found.took_effect or found.lost or found.wrong)


def test_a_fault_without_effect_is_tried_again_earlier_unless_something_was_found(modules, capsys):
    faults, workspace = modules
    moments = []

    def inject(_, moment, *, wrong=()):
        moments.append(moment)
        return workspace.Injected(3, (), wrong, took_effect=len(moments) > 2)

    late = {"late": faults.Kind("late", 1, inject)}
    assert faults.main(["--jobs", "1"], kinds=late) == 0
    assert len(moments) == 3
    assert moments == sorted(moments, reverse=True)
    moments.clear()
    assert faults.main(["--jobs", "1"], kinds={"odd": faults.Kind("odd", 1, partial(inject, wrong=("a hang",)))}) == 1
    assert len(moments) == 1


def test_only_the_tracebacks_of_python_itself_are_excused_after_a_signal(modules):
    commands, endings = (importlib.import_module(f"fault_kinds.{name}") for name in ("commands", "endings"))
    ours = f'Traceback (most recent call last):\n  File "{ROOT}/segbench/cli/app.py", line 1, in main\nOSError: broken'
    tracker = 'Traceback (most recent call last):\n  File "/lib/resource_tracker.py", line 9, in main\nKeyError: 1'
    assert commands.tracebacks(f"a line\n{tracker}\nanother line\n{ours}\nthe last") == [tracker, ours]
    assert commands.tracebacks("resource_tracker: process died unexpectedly") == []
    assert endings.is_excused(signal.SIGHUP, 3, tracker)
    assert not endings.is_excused(signal.SIGHUP, 3, ours)
    assert not endings.is_excused(signal.SIGHUP, 3, ours.replace("cli/app", "resource_tracker"))
    assert not endings.is_excused(signal.SIGTERM, 3, tracker)
    assert endings.is_excused(signal.SIGINT, -signal.SIGINT, tracker)
    assert not endings.is_excused(signal.SIGINT, -signal.SIGINT, ours)


def test_a_process_that_is_left_behind_is_found_also_after_the_signal_ended_the_command(fixture, monkeypatch):
    monkeypatch.setattr("fault_kinds.workspace.gone_within", lambda session, *, seconds: False)
    endings = importlib.import_module("fault_kinds.endings")
    workspace = fixture.workspace(random.Random(0))
    try:
        workspace.set_up(1)
        command = workspace.start("--no-report", prepare=partial(os.kill, 0, signal.SIGKILL))
        code, _, wrong = workspace.ended(command, excused=partial(endings.is_excused, signal.SIGKILL))
    finally:
        workspace.close()
    assert (code, wrong) == (-signal.SIGKILL, ["its processes go on without it"])


def test_a_download_that_breaks_off_is_resumed_and_what_was_there_before_is_counted(fixture):
    """Near the end, so that the first command asks for the rest, and the second for what is still missing."""
    data = importlib.import_module("fault_kinds.data")
    workspace = fixture.workspace(random.Random(1))
    try:
        found = data.download(workspace, 0.9)
        assert (found.stored, found.lost, found.wrong) == (1, (), ())
        assert list((workspace.folder / "fetched").glob("VOCdevkit/VOC2012/JPEGImages/*.jpg"))
    finally:
        workspace.close()
    assert data.not_resumed([None, "bytes=3-", "bytes=5-"], 2, 5) == []
    assert data.not_resumed([None, None], 1, 0) == []
    assert "asked for the whole file" in data.not_resumed([None, "bytes=3-", None], 2, 5)[0]
    assert "each try" in data.not_resumed([None, None, "bytes=5-"], 2, 5)[0]


def test_a_clock_that_is_set_back_is_so_in_every_process_of_a_fresh_interpreter(modules, tmp_path):
    concurrent = importlib.import_module("fault_kinds.concurrent")
    (tmp_path / "sitecustomize.py").write_text(concurrent.SET_BACK.format(begin=0.0, seconds=7200.0))
    script = (
        "import subprocess, sys, time; from segbench.speed.gate.pytest_benchmark_json import UTC, datetime;"
        "print(time.time(), time.time_ns() / 1e9, datetime.now(UTC).timestamp(), flush=True);"
        "subprocess.run([sys.executable, '-c', 'import time; print(time.time())'])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert [time.time() - float(text) for text in done.stdout.split()] == pytest.approx([7200.0] * 4, abs=30)


def test_what_the_repeated_command_does_not_restore_is_lost(fixture):
    workspace = fixture.workspace(random.Random(0))
    try:
        workspace.set_up(1)
        workspace.write_suite(seeds=[1])
        found = workspace.judge({})
    finally:
        workspace.close()
    assert len(found.lost) == 1


def test_a_half_written_run_that_counts_as_done_is_found(fixture, look, monkeypatch):
    """Of a segbench that trusts a record without looking at its files."""
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
