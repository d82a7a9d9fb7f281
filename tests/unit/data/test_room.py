"""Claims about room: what a control group allows counts, and a folder's disk is found before the folder is there."""

from __future__ import annotations

import shutil

import psutil

from segbench.data import room


def test_memory_is_what_the_machine_or_the_control_group_has_left(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_CGROUP", tmp_path)
    without = room.free_memory_bytes()
    assert 0 < without <= psutil.virtual_memory().total
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert room.free_memory_bytes() == 3000
    (tmp_path / "memory.current").write_text("6000\n")
    assert room.free_memory_bytes() == 0
    (tmp_path / "memory.max").write_text("max\n")
    assert room.free_memory_bytes() > 6000


def test_the_disk_is_that_of_the_nearest_folder_that_is_there(tmp_path):
    assert room.free_disk_bytes(tmp_path / "not" / "yet") <= shutil.disk_usage(tmp_path).total
    assert room.free_disk_bytes(tmp_path / "not" / "yet") > 0
