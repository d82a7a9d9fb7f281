"""Speed records: what identifies a case, and what is stored of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from speed_cases import case, record, restart

from segbench.errors import StoreError
from segbench.results.speed.record import Output, SpeedCase, SpeedStatus, Task, speed_model
from segbench.results.speed.store import FoundSpeeds, read_speed, scan_speeds, speed_folder, write_speed

CHANGES = {
    "task": Task.TRAINING,
    "model": {"name": "cnn", "width": 0.125},
    "classes": 5,
    "channels": 1,
    "size": (32, 40),
    "label_size": (7, 7),
    "batch_size": 2,
    "precision": "bf16",
    "casting": "weights",
    "channels_last": True,
    "mode": "compile",
    "output": Output.CLASSES,
    "device": "cuda",
    "threads": 2,
    "workers": 1,
    "recipe": {"loss": "mse"},
}


def test_every_field_but_the_label_is_tried_below():
    assert set(CHANGES) | {"label"} == set(type(case()).model_fields)


@pytest.mark.parametrize("field", CHANGES)
def test_every_field_but_the_label_is_part_of_a_cases_identity(field):
    before = case(precision="bf16") if field == "casting" else case()
    assert before.model_copy(update={field: CHANGES[field]}).identity != before.identity


def test_a_case_of_before_weights_were_cast_is_the_same_case():
    older = case(precision="bf16").model_dump(mode="json", exclude={"casting"})
    assert SpeedCase.model_validate(older).identity == case(precision="bf16").identity
    document = json.dumps({key: older[key] for key in sorted(older) if key != "label"}, separators=(",", ":"))
    assert case(precision="bf16").identity == hashlib.sha256(document.encode()).hexdigest()


def test_committed_records_keep_their_names():
    files = sorted((Path(__file__).parents[4] / "published" / "results").glob("*/speed/*.json"))
    assert files
    assert [read_speed(file).id for file in files] == [file.stem for file in files]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "fp32"),
        ({"precision": "tf32"}, "tf32"),
        ({"precision": "bf16"}, "bf16 autocast"),
        ({"precision": "fp16", "casting": "weights"}, "fp16 weights"),
        ({"precision": "bf16", "task": Task.TRAINING}, "bf16 autocast"),
    ],
)
def test_a_case_says_what_is_cast(changes, words):
    assert case(**changes).precision_label == words
    assert f" · {words} · " in case(**changes).key


@pytest.mark.parametrize("changes", [{}, {"precision": "tf32"}, {"precision": "bf16", "task": Task.TRAINING}])
def test_weights_are_cast_for_inference_in_half_precision_alone(changes):
    with pytest.raises(ValidationError, match="only for inference in bf16 or fp16"):
        case(**changes, casting="weights")


def test_a_label_is_not_part_of_the_identity_but_of_the_key():
    assert case(label="other").identity == case().identity
    assert case(label="other").key != case().key


def test_a_copied_case_has_an_identity_of_its_own():
    first = case()
    before = first.identity
    assert first.model_copy(update={"batch_size": 2}).identity != before


def test_a_key_reads_as_a_line():
    assert case().key == "inference · cnn · 32x32 · batch 1 · fp32 · eager · logits · cpu · 1 threads"
    loading = case(task=Task.LOADING, workers=2, channels_last=True)
    assert loading.key == "loading · cnn · 32x32 · batch 1 · fp32 · channels-last · 2 workers · cpu · 1 threads"


def test_a_record_comes_back_as_it_was_stored(tmp_path):
    given = record(restart(0.1, 0.2, parts_seconds={"forward": (0.1,)}), restart(0.3), channels_last=True)
    file = write_speed(speed_folder(tmp_path, "tiny"), given)
    assert file == tmp_path / "tiny" / "speed" / f"{given.id}.json"
    assert read_speed(file) == given
    assert scan_speeds(file.parent).records == (given,)


def test_an_absent_folder_holds_no_records(tmp_path):
    assert scan_speeds(tmp_path / "speed") == FoundSpeeds((), ())


def test_a_damaged_record_does_not_hide_the_others(tmp_path):
    given = record(restart(0.1))
    folder = write_speed(speed_folder(tmp_path, "tiny"), given).parent
    (folder / "a-torn.json").write_text("{", encoding="utf-8")
    found = scan_speeds(folder)
    assert found.records == (given,)
    assert [problem.startswith(f"{folder / 'a-torn.json'}: is no speed record") for problem in found.problems] == [True]


def test_a_network_is_held_without_its_weights():
    options = {"width": 0.5, "pretrained": "file.safetensors", "weights": "a.pt", "strict": False}
    assert speed_model("unet", options) == {"name": "unet", "width": 0.5, "pretrained": False}
    assert speed_model("unet", {"pretrained": False}) == {"name": "unet", "pretrained": False}
    assert speed_model("fcn8s", {"width": 1.0}) == {"name": "fcn8s", "width": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no speed record"),
        ("[]", "is no speed record"),
        ('{"schema_version": 1}', "is no speed record"),
        ('{"schema_version": 99}', "was written by a newer segbench"),
        ('{"version": "5.3.0"}', "is no speed record"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, text, message):
    file = tmp_path / "case.json"
    file.write_text(text)
    with pytest.raises(StoreError, match=message) as refusal:
        read_speed(file)
    assert str(refusal.value).startswith(str(file))


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"case\.json: cannot be read: No such file"):
        read_speed(tmp_path / "case.json")


def test_a_record_is_readable_without_segbench(tmp_path):
    given = record(restart(0.25, 0.5))
    document = json.loads(write_speed(tmp_path, given).read_text())
    assert document["restarts"][0]["host_seconds"] == [0.25, 0.5]
    assert document["case"]["size"] == [32, 32]


def test_a_record_is_measured_when_any_restart_was():
    lost = restart(status=SpeedStatus.OUT_OF_MEMORY, reason="out of memory", warmup=None)
    assert record(lost, restart(0.1)).status is SpeedStatus.MEASURED
    assert record(lost, lost).status is SpeedStatus.OUT_OF_MEMORY


@pytest.mark.parametrize("seconds", [(), (0.0, 0.0), (-1.0,), (float("inf"),)])
def test_a_measured_restart_has_times_above_0(seconds):
    with pytest.raises(ValidationError, match="host_seconds"):
        restart(*seconds)
    assert restart(0.0, 0.1).call_seconds == pytest.approx(0.05)
    assert restart(status=SpeedStatus.FAILED).call_seconds is None
