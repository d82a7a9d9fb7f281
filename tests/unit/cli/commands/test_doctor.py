"""doctor."""

import sys
from importlib.metadata import PackageNotFoundError, version

import psutil

from segbench.cli.commands import doctor as module


def test_the_machine_is_described(segbench, monkeypatch, tmp_path):
    monkeypatch.setenv("SEGBENCH_DATA", str(tmp_path))
    facts = segbench("doctor", "--json").json
    assert facts["memory_bytes"] == psutil.virtual_memory().total
    assert facts["versions"]["torch"]
    assert facts["devices"][0]["device"] == "cpu"
    assert facts["datasets"]["scenes"]["found"]


def test_what_is_missing_comes_with_where_it_was_looked_for_and_how_to_get_it(segbench, monkeypatch, tmp_path):
    monkeypatch.setenv("SEGBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    facts = segbench("doctor", "--json").json
    for name in ("camvid", "voc2012"):
        assert not facts["datasets"][name]["found"]
        assert str(tmp_path / name) in facts["datasets"][name]["detail"]
    assert "segbench data download voc2012" in facts["datasets"]["voc2012"]["detail"]
    assert facts["optional"]["pynvml"] == {
        "found": False,
        "detail": "for driver, energy, clocks and throttling of NVIDIA accelerators; pip install nvidia-ml-py",
    }


def test_data_that_is_there_is_found(segbench, monkeypatch, voc_tree):
    monkeypatch.setenv("SEGBENCH_DATA", str(voc_tree.parent))
    answer = segbench("doctor")
    assert answer.code == 0
    words = " ".join(answer.out.split())
    assert f"found voc2012: {voc_tree}" in words
    assert "missing camvid: no data found" in words
    assert "missing sbd: no labels of SBD found" in words
    assert "'segbench data download sbd'" in words
    assert f"found SEGBENCH_DATA: {voc_tree.parent}" in words
    assert all(len(line) <= 100 for line in answer.out.splitlines() if str(voc_tree.parent) not in line)


def test_folders_that_are_named_but_absent_are_told(segbench, monkeypatch, tmp_path):
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path / "absent"))
    monkeypatch.delenv("SEGBENCH_DATA", raising=False)
    folders = segbench("doctor", "--json").json["folders"]
    assert folders["SEGBENCH_WEIGHTS"] == {"found": False, "detail": f"{tmp_path / 'absent'}: there is no such folder"}
    assert folders["SEGBENCH_DATA"]["detail"].startswith("not set; names the folder of all data sets")


def test_the_version_of_every_dependency_is_told(monkeypatch):
    declared = ["numpy>=1.26", "absent-package", "pyyaml>=6.0", "ruff>=0.11; extra == 'test'"]
    monkeypatch.setattr(module, "requires", lambda name: declared)
    assert module._declared_versions() == {
        "numpy": version("numpy"),
        "absent-package": None,
        "pyyaml": version("pyyaml"),
    }

    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "requires", not_installed)
    assert module._declared_versions() == {}


def test_a_broken_torch_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "torch cannot be imported" in module._devices()[0]["problem"]


def test_sizes_are_shown_in_gigabytes():
    shown = module._flat({"versions": {"a": None}, "memory_bytes": 25_300_000_000, "devices": [{"device": "mps"}]})
    assert shown == {"a": "not installed", "memory": "25.3 GB", "mps": "usable"}
