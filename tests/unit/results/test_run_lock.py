"""Claims about the lock of a run: one process holds it, and the death of that process frees it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time

import pytest

from segbench.errors import StoreError
from segbench.results.atomic_replace import leftovers
from segbench.results.files import host_mark
from segbench.results.run_lock import is_locked
from segbench.results.store import Store

HOLD = """
import sys, time
from pathlib import Path
from segbench.results.store import Store
with Store(Path(sys.argv[1]), "toy").locking("run") as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.wait()


def test_a_run_is_locked_once_and_freed_at_the_end(tmp_path):
    store = Store(tmp_path, "toy")
    assert not is_locked(store.folder, "run")
    with store.locking("run") as mine, store.locking("run") as again, store.locking("other") as free:
        assert (mine, again, free) == (True, False, True)
        assert is_locked(store.folder, "run")
    assert not is_locked(store.folder, "run")
    with store.locking("run") as mine:
        assert mine


def test_the_lock_of_a_killed_process_is_free(tmp_path, other):
    store = Store(tmp_path, "toy")
    with store.locking("run") as mine:
        assert not mine
    other.kill()
    other.wait()
    with store.locking("run") as mine:
        assert mine


def test_what_the_holder_of_a_lock_writes_is_left_alone_whatever_its_process_number_says(tmp_path, other):
    """As in two containers of one host name, which do not see each other's processes."""
    store = Store(tmp_path, "toy")
    new = store.folder / ".run.999999999.tmp"
    new.mkdir()
    (beside,) = leftovers(store.folder)
    assert beside.in_use()
    assert store.clean() == []
    other.kill()
    other.wait()
    assert not beside.in_use()
    assert store.clean() == [new]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path):
    store = Store(tmp_path, "toy")
    store.folder.mkdir()
    store.folder.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"), store.locking("run"):
        pass


def test_a_file_system_without_locks_is_told_and_stops_nothing(tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    store = Store(tmp_path, "toy")
    with store.locking("run"):
        pass
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with store.locking("run") as mine:
        assert mine
    assert not is_locked(store.folder, "run")
    assert "cannot be locked (No locks available); let no other command do the same at once" in caplog.text


def test_an_error_that_is_no_want_of_locks_is_told_as_it_is(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output error"), Store(tmp_path, "toy").locking("run"):
        pass


def test_what_a_dead_child_left_is_removed_while_its_run_is_locked_here(tmp_path):
    store = Store(tmp_path, "toy")
    left = store.folder / f".run.{host_mark()}-999999999.tmp"
    left.mkdir(parents=True)
    with store.locking("run"):
        assert store.clean() == [left]


def test_what_was_left_before_a_restart_goes_an_hour_after_its_lock_is_free(tmp_path, monkeypatch):
    store = Store(tmp_path, "toy")
    left = store.folder / f".run.{'0' * 8}-1.tmp"
    left.mkdir(parents=True)
    with store.locking("run"):
        pass
    now = time.time()
    assert store.clean() == []
    monkeypatch.setattr(time, "time", lambda: now + 3700)
    assert store.clean() == [left]
