"""doctor."""

import sys

import psutil

from segbench.cli import doctor as module


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
        "detail": "for name and driver of NVIDIA accelerators in results; pip install nvidia-ml-py",
    }


def test_data_that_is_there_is_found(segbench, monkeypatch, voc_tree):
    monkeypatch.setenv("SEGBENCH_DATA", str(voc_tree.parent))
    answer = segbench("doctor")
    assert answer.code == 0
    assert f"found    voc2012: {voc_tree}" in answer.out
    assert "missing  camvid: no data found" in answer.out


def test_a_broken_torch_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "torch cannot be imported" in module._devices()[0]["problem"]


def test_sizes_are_shown_in_gigabytes():
    shown = module._flat({"versions": {"a": None}, "memory_bytes": 25_300_000_000, "devices": [{"device": "mps"}]})
    assert shown == {"a": "not installed", "memory": "25.3 GB", "mps": "usable"}
