"""Claims about saved states: whole or not there, the last two, and never one that was altered."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from segbench.errors import StoreError
from segbench.results.files import temporary_path
from segbench.results.store import Store
from segbench.results.training_states import KEPT, StateFolder


@pytest.fixture
def states(tmp_path):
    return StateFolder(tmp_path / ".run.resume")


def write(states, step, text="content"):
    with states.writing(step) as file:
        file.write_text(f"{text} {step}")


def test_the_last_two_are_kept_newest_first(states):
    for step in (5, 10, 15):
        write(states, step)
    assert [state.step for state in states.files()] == [15, 10]
    assert len(states.files()) == KEPT
    assert all(state.intact for state in states.files())
    assert states.files()[0].path.read_text() == "content 15"


def test_states_of_later_steps_do_not_push_a_new_one_out(states):
    for step in (20, 30, 5):
        write(states, step)
    assert [state.step for state in states.files()] == [5]
    write(states, 10)
    assert [state.step for state in states.files()] == [10, 5]


def test_what_a_dead_process_was_writing_is_swept_away(states):
    write(states, 1)
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], check=True, capture_output=True)
    mine = temporary_path(states.folder / "step-000000002")
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}.", f"-{int(child.stdout)}."))
    dead.write_text("half")
    write(states, 3)
    assert not dead.exists()
    assert [state.step for state in states.files()] == [3, 1]


def test_nothing_saved_is_an_empty_list_and_can_be_removed(states):
    assert states.files() == []
    states.remove()


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content + b"x",
        lambda content: bytes([content[0] ^ 1]) + content[1:],
    ],
)
def test_what_was_torn_or_altered_is_not_intact(states, harm):
    write(states, 1)
    write(states, 2)
    newest = states.files()[0]
    newest.path.write_bytes(harm(newest.path.read_bytes()))
    assert [state.intact for state in states.files()] == [False, True]


def test_a_state_that_is_not_finished_is_not_there(states):
    def interrupted():
        with states.writing(2) as file:
            file.write_text("half")
            raise KeyboardInterrupt

    write(states, 1)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [state.step for state in states.files()] == [1]
    assert len(list(states.folder.iterdir())) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(states):
    states.folder.mkdir()
    states.folder.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        write(states, 1)


def test_a_full_disk_is_told_and_leaves_the_states_before(states):
    write(states, 1)
    with pytest.raises(StoreError, match="No space left"), states.writing(2):
        raise OSError(28, "No space left on device")
    assert [state.step for state in states.files()] == [1]


def test_states_lie_in_a_hidden_folder_beside_the_run(tmp_path):
    store = Store(tmp_path, "suite")
    assert store.states_of("unet-seed0").folder == tmp_path / "suite" / ".unet-seed0.resume"
    write(store.states_of("unet-seed0"), 1)
    assert store.clean() == []
    assert store.saved() == ["unet-seed0"]
    with pytest.raises(StoreError):
        store.states_of("../x")
