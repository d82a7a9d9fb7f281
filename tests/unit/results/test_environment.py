"""Claims about the fingerprint of a machine."""

from __future__ import annotations

import getpass
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from segbench.results import environment
from segbench.results.environment import accelerator, capture, commit, processor_name


def fake_nvml(name="NVIDIA Test 1", seen=None, fails=False):
    def by(kind):
        def handle(value):
            if seen is not None:
                seen.append((kind, value))
            return "handle"

        return handle

    def init():
        if fails:
            raise RuntimeError("no driver")

    return SimpleNamespace(
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByIndex=by("index"),
        nvmlDeviceGetHandleByUUID=by("uuid"),
        nvmlDeviceGetName=lambda handle: name,
        nvmlSystemGetDriverVersion=lambda: b"550.1",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=1024),
    )


def test_the_fingerprint_is_json_with_versions_and_machine():
    facts = json.loads(json.dumps(capture("cpu", {"cuda": "12.4"}, threads=2)))
    assert facts["versions"]["numpy"] == version("numpy")
    assert facts["python"] == platform.python_version()
    assert facts["threads"] == 2
    assert facts["device"] == "cpu"
    assert facts["cuda"] == "12.4"
    assert facts["cores"] >= 1
    assert facts["memory_bytes"] > 2**20
    assert facts["processor"]


def test_it_names_no_person_host_or_folder():
    text = json.dumps(capture("cpu"))
    assert str(Path.cwd()) not in text
    assert str(Path.home()) not in text or str(Path.home()) == "/"
    assert platform.node() not in text or len(platform.node()) < 4
    assert sys.prefix not in text
    assert getpass.getuser() == "root" or getpass.getuser() not in text


def test_extra_facts_win():
    assert capture(None, {"accelerator": "mine"})["accelerator"] == "mine"


def test_a_package_that_is_not_installed_is_null(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert capture("cpu")["versions"]["no-such-package-anywhere"] is None


def test_a_run_on_the_processor_has_no_accelerator(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    assert capture("cpu")["accelerator"] is None
    assert capture("cuda")["accelerator"]["name"] == "NVIDIA Test 1"


def test_the_accelerator_is_described_by_nvml(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(name=b"NVIDIA Test 1"))
    assert accelerator("cuda") == {"name": "NVIDIA Test 1", "driver": "550.1", "memory_bytes": 1024}


@pytest.mark.parametrize(
    ("visible", "device", "asked"),
    [("", "cuda:1", ("index", 1)), ("3,2", "cuda:1", ("index", 2)), ("GPU-a,GPU-b", "cuda", ("uuid", "GPU-a"))],
)
def test_device_numbers_count_visible_accelerators_only(monkeypatch, visible, device, asked):
    seen = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(seen=seen))
    accelerator(device)
    assert seen == [asked]


def test_no_accelerator_no_driver_and_no_library_are_null(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert accelerator("cuda") is None
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(fails=True))
    assert accelerator("cuda") is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    assert accelerator("cuda:7") is None


def test_the_commit_is_that_of_the_working_tree_and_says_when_it_was_changed(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert commit(tmp_path) is None
    git("init", "-q")
    assert commit(tmp_path) is None
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "first")
    git("tag", "v1")
    head = git("rev-parse", "HEAD")
    assert commit(tmp_path) == head
    monkeypatch.setenv("SEGBENCH_COMMIT", "what the copy was made of")
    assert commit(tmp_path) == commit(tmp_path.parent) == "what the copy was made of"
    monkeypatch.delenv("SEGBENCH_COMMIT")
    (tmp_path / "a").write_text("2")
    assert commit(tmp_path) == f"{head}-dirty"


def test_without_git_or_with_a_slow_one_there_is_no_commit(tmp_path, monkeypatch):
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 20\n")
    slow.chmod(0o755)
    monkeypatch.setattr(environment, "_COMMAND_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert commit() is None
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert commit() is None


def test_the_processor_is_named_from_what_the_system_tells(tmp_path, monkeypatch):
    told = tmp_path / "cpuinfo"
    told.write_text("processor : 0\nmodel name\t: Example CPU 9000\n")
    monkeypatch.setattr(environment, "_CPU_INFORMATION", told)
    assert processor_name() == "Example CPU 9000"
    monkeypatch.setattr(environment, "_CPU_INFORMATION", tmp_path / "missing")
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert processor_name() == platform.machine()
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(environment, "_output", lambda *command: "Example M9")
    assert processor_name() == "Example M9"


def test_cores_are_counted_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert capture("cpu")["cores"] == os.cpu_count()
