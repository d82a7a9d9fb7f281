"""Claims about the lock of a run: one process holds it, and the death of that process frees it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from segbench.errors import StoreError
from segbench.results.atomic_replace import leftovers
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
