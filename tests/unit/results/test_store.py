"""Claims about the store: whole runs or none, whatever happens."""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from segbench.errors import DataError, StoreError
from segbench.results.atomic_replace import Leftover, swap
from segbench.results.files import checked_name, host_mark, replace_text, safe_name, storing, temporary_path
from segbench.results.record import Outcome, Status
from segbench.results.store import Store, read_record, readable_folder, write_record

NO_PROCESS = 999_999_999
RUN = "unet-seed0-abc"
HOSTILE = ["", ".", "..", "../x", "a/b", "/etc", ".hidden", "a\\b", "a\0b", "-rf", "a\nb", "a b", "~", "C:x"]


@pytest.fixture
def make_record(make_record):
    """Records of runs that need no matrices."""
    skipped = Outcome(status=Status.SKIPPED, reason="does not fit")
    return lambda *given, **changes: make_record(*given, **({"outcome": skipped} | changes))


def as_made(record):
    """A stored record as it was before its checksums were added."""
    return record and record.model_copy(update={"checksums": None})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results", "toy")


@pytest.fixture
def put(store, make_record):
    def put(run_id=RUN, **changes):
        with store.writing(run_id) as folder:
            write_record(folder, make_record(run_id, **changes))
        return store.folder / run_id

    return put


def hidden(store):
    return sorted(path.name for path in store.folder.iterdir() if path.name.startswith("."))


def test_a_written_run_is_found_with_its_files(store, make_record):
    assert store.find(RUN) is None
    with store.writing(RUN) as folder:
        (folder / "samples").mkdir()
        (folder / "samples" / "0.png").write_bytes(b"x")
        write_record(folder, make_record())
        assert folder.name == f".{RUN}.{host_mark()}-{os.getpid()}.tmp"
        assert store.find(RUN) is None, "it must not be there before it is whole"
    assert as_made(store.find(RUN)) == make_record()
    assert (store.folder / RUN / "samples" / "0.png").read_bytes() == b"x"
    assert hidden(store) == []


def test_writing_again_replaces_the_whole_folder(store, put):
    (put(seed=0) / "old-file").write_text("")
    put(seed=1)
    assert store.find(RUN).seed == 1
    assert not (store.folder / RUN / "old-file").exists()
    assert hidden(store) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, DataError])
def test_an_error_leaves_the_previous_run_and_no_leftovers(store, put, error):
    put(seed=4)
    with pytest.raises(error), store.writing(RUN) as folder:  # noqa: PT012
        (folder / "half").write_text("x")
        raise error("stop")
    assert store.find(RUN).seed == 4
    assert hidden(store) == []


def test_errors_about_other_files_are_not_called_store_errors(store, tmp_path):
    with pytest.raises(FileNotFoundError), store.writing(RUN):
        (tmp_path / "image.png").read_bytes()


@pytest.mark.parametrize("name", HOSTILE)
def test_names_never_lead_out_of_the_folder(store, tmp_path, name):
    with pytest.raises(StoreError, match="cannot name the folder"):
        Store(tmp_path, name)
    with pytest.raises(StoreError, match="cannot name the folder"):
        store.find(name)
    with pytest.raises(StoreError), store.writing(name):
        pytest.fail("must not be entered")
    assert not store.folder.exists()


@pytest.mark.parametrize("name", [*HOSTILE, "x" * 500, "網路", "../../etc/passwd"])
def test_any_text_becomes_a_safe_name(name):
    safe = safe_name(name)
    assert checked_name(safe, "report") == safe
    assert len(safe) <= 80


def test_a_name_too_long_for_the_file_system_is_a_store_error(store):
    with pytest.raises(StoreError, match="cannot be written"), store.writing("x" * 300):
        pytest.fail("must not be entered")


@pytest.mark.parametrize("text", ['{"schema_version": 1', "[]", "null", "{}"])
def test_a_damaged_run_is_named_and_counts_as_not_done(store, put, caplog, text):
    file = put() / "run.json"
    file.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert store.find(RUN) is None
    assert str(file) in caplog.text
    assert "is damaged" in caplog.text
    assert not any(words in caplog.text for words in ("indices must", "subscriptable"))


def test_a_record_of_another_run_counts_as_not_done(store, put, caplog):
    put("other-seed0-1").rename(store.folder / RUN)
    assert store.find(RUN) is None
    assert "'other-seed0-1'" in caplog.text


def test_a_run_of_another_identity_under_the_same_id_counts_as_not_done(store, put, make_record, caplog):
    put(identity="abc")
    assert as_made(store.find(RUN, "abc")) == make_record(identity="abc")
    assert caplog.text == ""
    assert store.find(RUN, identity="abd") is None
    assert f"is the record of another run, '{RUN}' of identity abc…" in caplog.text
    assert store.find(RUN) is not None


def test_a_newer_run_is_an_error_so_that_it_is_not_overwritten(store, put):
    file = put() / "run.json"
    file.write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(StoreError, match="newer segbench"):
        store.find(RUN)


def test_suite_and_plan_are_stored_as_given(store):
    store.write_suite("name: toy\n# ünïcode\n", {"runs": ["a"], "name": "網"})
    assert (store.folder / "suite.yaml").read_bytes() == "name: toy\n# ünïcode\n".encode()
    assert json.loads((store.folder / "suite.lock.json").read_text(encoding="utf-8")) == {"runs": ["a"], "name": "網"}
    store.write_suite("other", {})
    assert (store.folder / "suite.yaml").read_text() == "other"
    assert hidden(store) == []


def test_stale_runs_are_those_that_the_plan_no_longer_names(store, put, caplog):
    assert store.stale([RUN]) == []
    put()
    put("fcn-seed0-1")
    (put("gone-seed0-1") / "run.json").write_text("{")
    (store.folder / "speed").mkdir()
    assert [record.id for record in store.stale([RUN])] == ["fcn-seed0-1"]
    assert "gone-seed0-1" in caplog.text


def test_clean_removes_what_dead_processes_left_and_nothing_else(store, put):
    put()
    dead = store.folder / f".{RUN}.{NO_PROCESS}.tmp"
    dead.mkdir()
    (dead / "half").write_text("x")
    dead_file = store.folder / f".suite.yaml.{NO_PROCESS}.tmp"
    dead_file.write_text("")
    mine = store.folder / f".other.{os.getpid()}.tmp"
    mine.mkdir()
    notes = store.folder / ".notes"
    notes.write_text("the person's own")
    assert store.clean() == sorted([dead_file, dead])
    assert hidden(store) == sorted([mine.name, notes.name])
    assert store.find(RUN) is not None


def test_clean_does_nothing_where_there_is_nothing(store):
    assert store.clean() == []
    assert not store.folder.exists()


WEEK_SECONDS = 7 * 24 * 3600
OTHER_HOST = "0" * 8


@pytest.mark.parametrize("pid", [NO_PROCESS, 1])
def test_what_another_machine_is_writing_is_spared_for_a_week(store, put, monkeypatch, pid):
    put()
    folder = store.folder / f".other.{OTHER_HOST}-{pid}.tmp"
    folder.mkdir()
    assert store.clean() == []
    (folder / "history.csv").write_text("")
    last_change = time.time()
    monkeypatch.setattr(time, "time", lambda: last_change + WEEK_SECONDS - 60)
    assert store.clean() == []
    monkeypatch.setattr(time, "time", lambda: last_change + WEEK_SECONDS + 60)
    assert store.clean() == [folder]


def test_a_swap_of_another_machine_is_readable_and_left_to_it(store, put):
    put(seed=1).rename(store.folder / f".{RUN}.{OTHER_HOST}-{NO_PROCESS}.old")
    assert store.clean() == []
    assert store.find(RUN).seed == 1


def test_the_mark_of_a_machine_does_not_name_it():
    assert re.fullmatch("[0-9a-f]{8}", host_mark())
    assert platform.node() not in host_mark()
    path = Path("results", "run.json")
    assert Leftover.parse(temporary_path(path)) == (temporary_path(path), "run.json", host_mark(), os.getpid(), False)


@pytest.mark.parametrize("name", ["run.json", ".notes", ".run.tmp", ".run.12.bak", ".run.0123456g-12.tmp", ".12.tmp"])
def test_other_files_are_no_leftovers(name):
    assert Leftover.parse(Path(name)) is None


def test_a_later_process_of_the_same_number_does_not_keep_a_leftover(tmp_path):
    path = tmp_path / f".run.{os.getpid()}.tmp"
    path.mkdir()
    leftover = Leftover.parse(path)
    assert leftover.in_use()
    began = psutil.Process().create_time()
    facts = os.stat_result([0] * 10)

    class Old:
        parent = tmp_path

        def stat(self):
            return facts  # touched in 1970, long before this process began

    assert began > 0
    assert not leftover._replace(path=Old()).in_use()


def test_a_process_that_vanishes_or_hides_is_judged_safely(tmp_path, monkeypatch):
    path = tmp_path / f".run.{os.getpid()}.tmp"
    leftover = Leftover.parse(path)
    assert not leftover.in_use(), "a leftover that is gone is in nobody's use"

    def denied(pid):
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(psutil, "Process", denied)
    assert leftover.in_use()


@pytest.mark.parametrize(("new_is_whole", "expected"), [(True, 2), (False, 1)])
def test_an_interrupted_swap_is_readable_and_then_finished(store, put, new_is_whole, expected):
    put(seed=1).rename(store.folder / f".{RUN}.{NO_PROCESS}.old")
    if new_is_whole:
        put(seed=2).rename(store.folder / f".{RUN}.{NO_PROCESS}.tmp")
    assert store.find(RUN).seed == 1
    assert not (store.folder / RUN).exists(), "looking changes nothing"
    store.clean()
    assert store.find(RUN).seed == expected
    assert hidden(store) == []


def test_many_runs_are_found_as_each_is(store, put, caplog):
    put()
    put("whole-seed0-1")
    put("swapped-seed0-1", seed=1).rename(store.folder / f".swapped-seed0-1.{NO_PROCESS}.old")
    put("whole-seed0-1", seed=3).rename(store.folder / f".whole-seed0-1.{NO_PROCESS}.old")
    put("whole-seed0-1", seed=2)
    (put("torn-seed0-1") / "run.json").write_text("{")
    known = store.find(RUN).identity
    asked = dict.fromkeys([RUN, "whole-seed0-1", "swapped-seed0-1", "torn-seed0-1", "absent-seed0-1"], known)
    assert store.find_all(asked) == {run_id: store.find(run_id) for run_id in (RUN, "whole-seed0-1", "swapped-seed0-1")}
    assert store.find_all({RUN: "of another run"}) == {}
    assert "torn-seed0-1" in caplog.text


def test_missing_runs_are_looked_for_once_for_all(store, put, monkeypatch):
    put()
    listed = []
    monkeypatch.setattr("segbench.results.store.leftovers", lambda folder: listed.append(folder) or [])
    assert store.find_all({f"absent-seed{seed}-1": "" for seed in range(100)}) == {}
    assert listed == [store.folder]


def test_a_leftover_of_a_finished_swap_is_removed(store, put):
    put(seed=1).rename(store.folder / f".{RUN}.{NO_PROCESS}.old")
    put(seed=2)
    store.clean()
    assert store.find(RUN).seed == 2
    assert hidden(store) == []


def test_writing_over_a_leftover_of_the_same_process_number_keeps_one_state(store, put):
    put(seed=1).rename(temporary_path(store.folder / RUN, "old"))
    put(seed=2)
    assert store.find(RUN).seed == 2
    assert hidden(store) == []


def test_a_failed_swap_puts_the_old_run_back(store, put, monkeypatch):
    put(seed=1)
    rename = Path.rename

    def refuse(self, target):
        if self.name.endswith(".tmp"):
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match="free some space"):
        put(seed=2)
    assert read_record(store.folder / RUN / "run.json").seed == 1
    assert hidden(store) == []


def test_files_are_on_the_disk_before_their_folder_is_renamed(store, make_record, monkeypatch):
    events, fsync, rename = [], os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda number: (events.append("fsync"), fsync(number))[1])
    monkeypatch.setattr(Path, "rename", lambda self, target: (events.append("rename"), rename(self, target))[1])
    with store.writing(RUN) as folder:
        (folder / "samples").mkdir()
        for name in ("confusion.npz", "samples/0.png"):
            (folder / name).write_bytes(b"x")
    assert events == ["fsync", "fsync", "rename"]


def test_a_rival_that_gets_in_between_is_replaced_too(tmp_path, monkeypatch):
    new, target, old = (tmp_path / name for name in ("new", "target", "old"))
    for folder in (new, target):
        folder.mkdir()
        (folder / "who").write_text(folder.name)
    rename, rivals = Path.rename, []

    def meddle(self, place):
        if self == new and not rivals:
            rivals.append(1)
            target.mkdir()
            (target / "who").write_text("rival")
        return rename(self, place)

    monkeypatch.setattr(Path, "rename", meddle)
    swap(new, target, old=old)
    assert (target / "who").read_text() == "new"


def test_endless_rivalry_ends_with_an_error(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    (tmp_path / "target").mkdir()

    def vanish(self, target):
        raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(Path, "rename", vanish)
    with pytest.raises(StoreError, match="another process"):
        swap(tmp_path / "new", tmp_path / "target", old=tmp_path / "old")


CHILD = """
import sys, time
from pathlib import Path
from segbench.results.store import Store, read_record, write_record
from segbench.results import store as module
from segbench.results import atomic_replace as swap
root, previous, moment = sys.argv[1:]
store = Store(Path(root), "toy")
record = read_record(Path(previous))

def stop():
    print("ready", flush=True)
    time.sleep(60)

if moment == "between":
    original = Path.rename
    def rename(self, target):
        if self.name.endswith(".tmp"):
            stop()
        return original(self, target)
    Path.rename = rename
with store.writing(record.id) as folder:
    (folder / "confusion.npz").write_bytes(b"half")
    if moment == "writing":
        stop()
    write_record(folder, record.model_copy(update={"seed": 7}))
"""


@pytest.mark.parametrize(("moment", "expected"), [("writing", 3), ("between", 7)])
def test_a_child_killed_while_it_writes_leaves_a_readable_store(store, put, moment, expected):
    file = put(seed=3) / "run.json"
    command = [sys.executable, "-c", CHILD, str(store.folder.parent), str(file), moment]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=300)
    assert len(hidden(store)) >= 1
    assert store.find(RUN).seed == 3, "before any repair, the previous state is readable"
    store.clean()
    assert store.find(RUN).seed == expected
    assert hidden(store) == []


def test_a_zombie_counts_as_dead(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    path = tmp_path / f".run.{child.pid}.tmp"
    path.mkdir()
    deadline = time.monotonic() + 300
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Leftover.parse(path).in_use()
    child.wait()


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 64 kB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_named_and_the_previous_run_survives(tiny_disk, make_record):
    store = Store(tiny_disk, "toy")
    with store.writing(RUN) as folder:
        write_record(folder, make_record(seed=1))
    with pytest.raises(StoreError, match="No space left on device; free some space") as caught:  # noqa: SIM117
        with store.writing(RUN) as folder, (folder / "confusion.npz").open("wb") as stream:
            stream.write(b"x" * 200_000)
    assert str(tiny_disk) in str(caught.value)
    assert store.find(RUN).seed == 1
    assert hidden(store) == []
    with pytest.raises(StoreError, match="No space left"):
        store.write_suite("x" * 200_000, {})
    assert not (store.folder / "suite.yaml").exists()


def test_a_read_only_disk_is_named_and_still_readable(tiny_disk, make_record):
    store = Store(tiny_disk, "toy")
    with store.writing(RUN) as folder:
        write_record(folder, make_record(seed=1))
    (store.folder / f".{RUN}.{NO_PROCESS}.old").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(StoreError, match="Read-only file system; make it writable"), store.writing(RUN):
        pytest.fail("must not be entered")
    with pytest.raises(StoreError, match="Read-only"):
        store.write_suite("x", {})
    assert store.find(RUN).seed == 1


FILE_LIMIT = """
import resource, sys
from pathlib import Path
from segbench.errors import StoreError
from segbench.results.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with Store(Path(sys.argv[1]), "toy").writing("run") as folder:
        (folder / "confusion.npz").write_bytes(b"x" * 100_000)
except StoreError as error:
    print(error)
"""


def test_a_file_larger_than_allowed_is_a_store_error(tmp_path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    done = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert "cannot be written: File too large; free some space" in done.stdout
    assert list((tmp_path / "toy").iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_a_store_error(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(StoreError, match="cannot be written"), Store(tmp_path / "results", "toy").writing(RUN):
        pytest.fail("must not be entered")
    with pytest.raises(StoreError, match="cannot be written"):
        replace_text(tmp_path / "results" / "a", "text")


def test_the_error_of_another_folder_passes_unchanged(tmp_path):
    with pytest.raises(PermissionError), storing(tmp_path):
        raise PermissionError(errno.EACCES, "denied", "/somewhere/else")
    with pytest.raises(OSError, match="odd"), storing(tmp_path):
        raise OSError("odd")


def test_the_newest_of_several_replaced_copies_is_read(store, put):
    put(seed=1).rename(store.folder / f".{RUN}.{NO_PROCESS}.old")
    put(seed=2).rename(store.folder / f".{RUN}.{NO_PROCESS - 1}.old")
    os.utime(store.folder / f".{RUN}.{NO_PROCESS}.old", (1, 1))
    assert read_record(readable_folder(store.folder / RUN) / "run.json").seed == 2
