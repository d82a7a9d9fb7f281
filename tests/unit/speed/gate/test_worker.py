"""The worker's side of the conversation, in this process."""

from __future__ import annotations

import io
import json
import sys

import pytest

from segbench.speed.gate.gate_case import Activity, GateCase
from segbench.speed.gate.worker import Session, serve, without

TINY = GateCase({"name": "unet", "width": 0.05}, classes=3, size=(16, 16))
WARM_UP = {"command": "warm_up", "window_seconds": 0.001, "tolerance": 10.0, "most_seconds": 1.0}


def converse(*requests):
    replies = io.StringIO()
    serve(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def build(case):
    return {"command": "build", "case_document": case.document()}


@pytest.mark.slow(reason="times networks in processes of their own")
@pytest.mark.parametrize(
    "case",
    [
        TINY,
        GateCase(TINY.model, classes=3, size=(16, 16), batch=2, what=Activity.TRAINING, channels_last=True),
        GateCase(TINY.model, classes=3, size=(16, 16), precision="bf16"),
    ],
    ids=lambda case: case.key,
)
def test_a_case_is_built_warmed_up_and_timed(case):
    built, warm, timed = converse(build(case), WARM_UP, {"command": "time", "iterations": 4})
    assert built["ok"]["output"] == [case.batch, 3, 16, 16]
    assert built["ok"]["parameters"] > 0
    assert warm["ok"]["steady"] is True
    assert warm["ok"]["iterations"] >= 6
    assert len(timed["ok"]["seconds"]) == 4
    assert min(timed["ok"]["seconds"]) > 0


def test_a_warm_up_that_does_not_settle_ends_and_says_so():
    _, warm = converse(build(TINY), WARM_UP | {"tolerance": -1.0, "most_seconds": 0.01})
    assert warm["ok"]["steady"] is False


def test_versions_are_told():
    import torch

    (loaded,) = converse({"command": "load"})
    assert loaded["ok"]["torch"] == str(torch.__version__)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "unett"}, "did you mean 'unet'"),
        ({"name": "unet", "widht": 1}, "widht"),
        ({"name": "python:nowhere.network"}, "there is no module 'nowhere'"),
    ],
)
def test_what_an_environment_does_not_have_is_refused(model, message):
    (reply,) = converse(build(GateCase(model)))
    assert reply["refused"] is True
    assert message in reply["error"]


def test_a_fault_of_the_network_is_told_with_its_place(tmp_path, monkeypatch, capsys):
    source = "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, classes, channels):\n"
    source += "        super().__init__()\n    def forward(self, images):\n        raise RuntimeError('no luck')\n"
    (tmp_path / "faulty_nets.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (reply,) = converse(build(GateCase({"name": "python:faulty_nets.Net"}, size=(8, 8))))
    assert reply == {"error": "RuntimeError: no luck (faulty_nets.py, line 6)", "refused": False}
    assert "Traceback" in capsys.readouterr().err
    sys.modules.pop("faulty_nets", None)


def test_a_fault_ends_neither_the_conversation_nor_the_next_case():
    timed, built = converse({"command": "time", "iterations": 1}, build(TINY))
    assert timed == {"error": timed["error"], "refused": False}
    assert "ok" in built


def test_quit_ends_the_conversation():
    assert converse({"command": "quit"}, {"command": "load"}) == []


def test_a_new_case_takes_the_place_of_the_last():
    session = Session()
    session.build(build(TINY))
    first = session.workload
    session.build(build(TINY))
    assert session.workload is not first


def test_imports_from_the_working_copy_are_hidden(tmp_path):
    copy, kept = tmp_path / "copy", tmp_path / "copy" / "kept"
    paths = [str(path) for path in (copy, copy / "src", kept / "src", tmp_path / "elsewhere", sys.prefix)]
    assert without(paths, str(copy), but=[str(kept)]) == paths[2:]


def test_a_virtual_environment_in_the_working_copy_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    packages = str(tmp_path / ".venv" / "lib" / "site-packages")
    assert without([packages, str(tmp_path)], str(tmp_path), but=[]) == [packages]
