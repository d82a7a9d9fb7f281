"""doctor --networks."""

import json

import pytest
from tiny import document

from segbench.cli.terminal.network_table import COLUMNS, NetworkTable, loader_line, summary_line
from segbench.engine.doctor.record import NetworkCheck

pytestmark = pytest.mark.slow(reason="tries networks in processes of their own")


@pytest.fixture
def suite_of(tmp_path):
    def write(*models, **changes):
        changes = {"defaults": {}, "train": {"batch_size": 4}} | changes
        path = tmp_path / "tried.yaml"
        path.write_text(json.dumps(document(models=list(models), **changes)), encoding="utf-8")
        return path

    return write


CNN = {"name": "cnn", "width": 0.0625}


def misbehaving(name):
    return {"name": f"python:misbehaving.{name}", "label": name}


def test_sound_networks_and_their_loader_pass(segbench, suite_of, tmp_path):
    file = tmp_path / "found" / "networks.json"
    answer = segbench("doctor", "--networks", suite_of(CNN), "--device", "cpu", "--json", file)
    assert answer.code == 0, answer.out
    assert answer.out.splitlines()[-1] == "1 network: all ok"
    assert "loader: " in answer.out
    assert max(map(len, answer.out.splitlines())) <= COLUMNS
    found = json.loads(file.read_text(encoding="utf-8"))
    assert (found["verdict"], found["finished"], found["device"]) == ("ok", True, "cpu")
    assert found["networks"][0]["verdict"] == "ok"
    assert found["networks"][0]["training_step_ms"] > 0
    assert found["loader"]["images_per_second"] > 0
    assert found["limits"]["logits_relative_error"] == 1e-4
    assert found["machine"]["versions"]["torch"]


def test_a_network_whose_process_dies_is_named_and_the_next_one_is_still_tried(segbench, suite_of):
    answer = segbench("doctor", "--networks", suite_of(misbehaving("aborting"), CNN), "--device", "cpu")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert any(line.startswith("aborting ") and "PROBLEM" in line for line in lines)
    assert any(line.startswith("cnn ") and " ok " in line for line in lines)
    assert "  - building: the run's process was killed by SIGABRT" in lines  # where its outputs are tried
    assert "2 networks: 1 ok, 1 with a problem: aborting: building:" in answer.out


def test_a_network_that_never_ends_is_stopped_and_the_rest_is_not_tried(segbench, suite_of):
    suite = suite_of(misbehaving("endless"), CNN)
    answer = segbench("doctor", "--networks", suite, "--device", "cpu", "--seconds", 10, "--json")
    assert answer.code == 1
    endless, cnn = answer.json["networks"]
    assert endless["problems"][0].endswith("stopped: out of time")
    assert cnn["problems"] == ["not tried: out of time"]
    assert answer.json["loader"]["problem"] == "not tried: out of time"
    assert answer.json["verdict"] == "problem"


def test_missing_data_is_a_problem_of_the_loader_and_the_networks_are_tried_anyway(segbench, tmp_path):
    suite = document(models=[CNN], defaults={}) | {"dataset": {"name": "camvid", "root": str(tmp_path / "absent")}}
    (tmp_path / "suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
    answer = segbench("doctor", "--networks", tmp_path / "suite.yaml", "--device", "cpu")
    assert answer.code == 1
    assert "loader: PROBLEM: " in answer.out
    assert "1 network: all ok; and the loader has a problem" in answer.out


def test_models_and_keys_can_be_chosen_in_the_catalogue_too(segbench):
    arguments = ("--models", "unet", "--set", "defaults.width=0.0625", "--device", "cpu", "--json")
    found = segbench("doctor", "--networks", *arguments).json
    assert [network["label"] for network in found["networks"]] == ["unet"]
    assert found["loader"] is None


def test_what_only_networks_take_is_refused_without_them(segbench, suite_of):
    for arguments in ([suite_of(CNN)], ["--seconds", 5], ["--device", "cpu"], ["--json", "file.json"]):
        answer = segbench("doctor", *arguments)
        assert answer.code == 2
        assert "goes with --networks" in answer.err


def test_a_suite_after_json_is_a_suite_and_no_file(segbench, suite_of):
    suite = suite_of(CNN)
    before = suite.read_bytes()
    answer = segbench("doctor", "--networks", "--device", "cpu", "--models", "absent", "--json", suite)
    assert answer.code == 2
    assert "unknown model of this suite: 'absent'" in answer.err
    assert suite.read_bytes() == before


FULL = NetworkCheck(
    "DeepLabV3+ resnet50 (ImageNet), a long name",
    training_step_ms=12345.6,
    training_images_per_second=123456.0,
    training_peak_bytes=76_543_000_000,
    inference_ms=12345.6,
    logits_relative_error=1e-7,
    precision_logits_relative_error=0.01,
    same_bits=False,
)


def test_lines_stay_within_80_columns_and_say_everything():
    table = NetworkTable([FULL.label])
    (line,) = table.lines(FULL)
    assert len(line) <= COLUMNS
    assert line.split()[-8:] == ["ok", "12,346", "123,456", "12,346", "76,543", "1e-07", "1e-02", "differ"]
    wrong = NetworkCheck("a", problems=("numbers: " + "word " * 40,), nondeterministic_operator="op_cuda")
    lines = table.lines(wrong)
    assert "PROBLEM" in lines[0]
    assert "op_cuda refuses it" in lines[-1]
    assert max(len(part) for line in lines for part in line.splitlines()) <= COLUMNS


def test_the_summary_names_every_network_with_a_problem():
    wrong = NetworkCheck("a", problems=("building: no",)), NetworkCheck("b", problems=("numbers: NaN",))
    text = " ".join(summary_line([*wrong, NetworkCheck("c")], loads=False).split())
    assert text == "3 networks: 1 ok, 2 with a problem: a: building: no; b: numbers: NaN; and the loader has a problem"


def test_the_loader_says_what_it_is():
    text = loader_line(problem=None, images_per_second=512.4, first_batch_seconds=0.42, workers=8, batch_size=4)
    assert text == "loader: 512 img/s in batches of 4, 8 workers, first batch after 0.4 s"
