"""Claims about finding stored runs."""

from __future__ import annotations

import pytest

from segbench.errors import StoreError
from segbench.results.find_runs import scan
from segbench.results.store import Store, write_record


@pytest.fixture
def root(tmp_path, make_record):
    for suite, run in (("a", "x-seed0-1"), ("a", "y-seed0-1"), ("b", "x-seed0-1")):
        with Store(tmp_path, suite).writing(run) as folder:
            write_record(folder, make_record(run, suite=suite))
    Store(tmp_path, "a").write_suite("", {})
    (tmp_path / "a" / "speed").mkdir()
    (tmp_path / "a" / "speed" / "case.json").write_text("{}")
    return tmp_path


def names(found):
    return [f"{run.folder.parent.name}/{run.folder.name}" for run in found]


def test_a_root_a_suite_and_a_run_may_be_named(root):
    assert names(scan(root)) == ["a/x-seed0-1", "a/y-seed0-1", "b/x-seed0-1"]
    assert names(scan(str(root / "a"))) == ["a/x-seed0-1", "a/y-seed0-1"]
    assert names(scan(root / "b" / "x-seed0-1")) == ["b/x-seed0-1"]


def test_a_run_named_twice_is_found_once(root):
    assert len(scan(root, root / "a", root / "b" / ".." / "a" / "x-seed0-1")) == 3


def test_records_come_with_their_folder(root):
    found = scan(root / "b")[0]
    assert found.record.suite == "b"
    assert found.problem is None


def test_runs_that_cannot_be_read_are_found_with_the_reason(root, make_record):
    (root / "a" / "x-seed0-1" / "run.json").write_text("{")
    half = root / "a" / "z-seed0-1"
    half.mkdir()
    (half / "history.csv").write_text("epoch\n")
    broken = {run.folder.name: run.problem for run in scan(root / "a") if run.record is None}
    assert set(broken) == {"x-seed0-1", "z-seed0-1"}
    assert "is damaged" in broken["x-seed0-1"]
    assert "is missing" in broken["z-seed0-1"]


def test_what_is_being_written_is_no_run_but_what_is_being_replaced_is(root):
    (root / "a" / "x-seed0-1").rename(root / "a" / ".x-seed0-1.999999999.old")
    (root / "a" / ".w-seed0-1.999999999.tmp").mkdir()
    (root / "a" / ".w-seed0-1.999999999.tmp" / "history.csv").write_text("")
    assert [run.record.id for run in scan(root / "a")] == ["y-seed0-1", "x-seed0-1"]


def test_an_empty_folder_holds_no_runs(tmp_path):
    assert scan(tmp_path) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="there is no such folder"):
        scan(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_listed_is_an_error(root, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(StoreError, match="cannot be listed: Permission denied"):
        scan(root)


def test_a_folder_that_links_to_itself_ends(root):
    (root / "loop").symlink_to(root)
    assert len(scan(root)) == 3
