"""Targets are read in every form that suites and commands have, and what no runtime can do is refused."""

from __future__ import annotations

import pytest

from segbench.config.load import check_part
from segbench.config.sections.deploy import PRECISIONS, Deploy, Target, read_targets
from segbench.errors import SuiteError


def targets(*given) -> list[str]:
    """Return the keys of targets."""
    return [target.key for target in check_part(Deploy, {"targets": list(given)}, key="deploy").targets]


def test_pytorch_is_always_the_first_target():
    assert targets("onnxruntime:int8", "eager") == ["eager-fp32", "onnxruntime-int8"]
    assert targets("openvino") == ["eager-fp32", "openvino-fp32"]
    assert Deploy().targets[0].key == "eager-fp32"


def test_a_target_is_written_short_or_as_a_mapping():
    assert targets({"runtime": "onnxruntime", "precision": "int8"}) == targets("onnxruntime:int8")
    assert targets({"runtime": "eager", "prune": 0.25}) == ["eager-fp32", "eager-fp32-pruned-0.25"]


@pytest.mark.parametrize("runtime", PRECISIONS)
def test_every_runtime_has_a_precision_of_its_own_by_default(runtime):
    assert check_part(Target, {"runtime": runtime}).precision == PRECISIONS[runtime][0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("onnx", r"targets\[0\].*onnxruntime"),
        ("torchao:fp32", "torchao has no fp32, only int8"),
        ("eager:int8", "eager has no int8"),
        ({"runtime": "eager", "prune": 1.0}, "less than 1"),
        ({"runtime": "eager", "prunes": 0.5}, "prune"),
    ],
)
def test_what_no_runtime_can_do_is_refused(given, told):
    with pytest.raises(SuiteError, match=told):
        check_part(Deploy, {"targets": [given]}, key="deploy")


def test_a_target_is_listed_once():
    with pytest.raises(SuiteError, match="onnxruntime fp32 is listed twice"):
        check_part(Deploy, {"targets": ["onnxruntime", "onnxruntime:fp32"]}, key="deploy")


def test_targets_of_a_command_are_read():
    given = read_targets("eager, onnxruntime:int8,eager/0.5,openvino:int8/0.25")
    assert targets(*given) == [
        *("eager-fp32", "onnxruntime-int8"),
        *("eager-fp32-pruned-0.5", "openvino-int8-pruned-0.25"),
    ]
