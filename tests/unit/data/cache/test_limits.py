"""Claims about room: what a control group allows counts, and a folder's disk is found before the folder is there."""

from __future__ import annotations

import shutil

import psutil

from segbench.data.cache import limits as room


def test_memory_is_what_the_machine_or_the_control_group_has_left(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_CGROUPS", tmp_path)
    monkeypatch.setattr(room, "_OWN_CGROUP", tmp_path / "own")
    without = room.free_memory_bytes()
    assert 0 < without <= psutil.virtual_memory().total
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert room.free_memory_bytes() == 3000
    (tmp_path / "memory.current").write_text("6000\n")
    assert room.free_memory_bytes() == 0
    (tmp_path / "memory.stat").write_text("anon 1000\ninactive_file 4000\n")
    assert room.free_memory_bytes() == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert room.free_memory_bytes() > 6000


def test_a_group_within_a_group_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_CGROUPS", tmp_path)
    monkeypatch.setattr(room, "_OWN_CGROUP", tmp_path / "own")
    job = tmp_path / "slurm" / "job_1"
    job.mkdir(parents=True)
    (tmp_path / "own").write_text("0::/slurm/job_1\n")
    for group, allowed in ((job, 7000), (job.parent, 900)):
        (group / "memory.max").write_text(f"{allowed}\n")
        (group / "memory.current").write_text("100\n")
    assert room.free_memory_bytes() == 800


def test_the_disk_is_that_of_the_nearest_folder_that_is_there(tmp_path):
    assert room.free_disk_bytes(tmp_path / "not" / "yet") <= shutil.disk_usage(tmp_path).total
    assert room.free_disk_bytes(tmp_path / "not" / "yet") > 0
