"""Claims about the record of a run and the file that holds it."""

from __future__ import annotations

import json
import math
import re

import pytest
from pydantic import ValidationError

from segbench.errors import DamagedRunError, StoreError
from segbench.results import store
from segbench.results.record import SCHEMA_VERSION, Outcome, RunRecord, Status
from segbench.results.store import read_record, write_record


def test_a_record_comes_back_as_it_was_written(tmp_path, make_record):
    record = make_record()
    write_record(tmp_path, record)
    stored = read_record(tmp_path / "run.json")
    assert stored.model_copy(update={"checksums": None}) == record
    assert set(stored.checksums) == {"run.json"}


def test_run_json_is_plain_json_with_its_schema_version(tmp_path, make_record):
    write_record(tmp_path, make_record())
    document = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["model"]["input_size"] == [32, 48]
    assert document["outcome"]["status"] == "completed"


def test_a_record_is_frozen_and_refuses_unknown_keys(make_record):
    record = make_record()
    with pytest.raises(ValidationError):
        record.seed = 1
    with pytest.raises(ValidationError, match="extra"):
        RunRecord.model_validate(record.model_dump() | {"mood": "good"})


def test_nan_and_infinity_become_null(tmp_path, make_record):
    write_record(tmp_path, make_record(test_loss=math.nan, environment={"x": math.inf}))
    again = read_record(tmp_path / "run.json")
    assert again.test_loss is None
    assert again.environment == {"x": None}


def test_names_in_any_script_and_undecodable_bytes_can_be_stored(tmp_path, make_record):
    broken = b"caf\xe9".decode("utf-8", "surrogateescape")
    outcome = Outcome(status=Status.FAILED, reason=f"cannot read {broken}", traceback=f"File {broken}")
    write_record(tmp_path, make_record(label="網路 \u202e|<b>", outcome=outcome, point={"a": [broken]}))
    again = read_record(tmp_path / "run.json")
    assert again.label == "網路 \u202e|<b>"
    assert again.outcome.reason == "cannot read caf\\udce9"
    assert again.point == {"a": ["caf\\udce9"]}


def test_a_record_of_a_newer_segbench_is_refused_by_name(tmp_path, make_record):
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1, "unheard": "of"}), encoding="utf-8")
    with pytest.raises(StoreError, match="written by a newer segbench") as caught:
        read_record(file)
    assert str(file) in str(caught.value)
    assert not isinstance(caught.value, DamagedRunError)


def test_an_older_record_goes_through_every_upgrade_in_turn(tmp_path, make_record, monkeypatch):
    document = json.loads(make_record().model_dump_json())
    document["schema_version"] = 1
    document["title"] = document.pop("label")
    (tmp_path / "run.json").write_text(json.dumps(document), encoding="utf-8")

    def rename(old):
        old["caption"] = old.pop("title")
        return old

    def rename_again(old):
        old["label"] = old.pop("caption")
        return old

    monkeypatch.setattr(store, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(store, "UPGRADES", {1: rename, 2: rename_again})
    record = read_record(tmp_path / "run.json")
    assert (record.label, record.schema_version) == ("unet", 3)


def test_an_older_record_without_an_upgrade_is_refused(tmp_path, make_record, monkeypatch):
    write_record(tmp_path, make_record())
    monkeypatch.setattr(store, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(StoreError, match=f"schema {SCHEMA_VERSION} can no longer be read"):
        read_record(tmp_path / "run.json")


@pytest.mark.parametrize(
    "contents",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"id": 1}', b'{"schema_version": "1"}', b'{"schema_version": true}',
     b'{"schema_version": 0}', b'{"schema_version": 1, "id": "x"}', b"[" * 100_000],
)  # fmt: skip
def test_whatever_is_no_record_is_called_damaged_with_its_path(tmp_path, contents):
    file = tmp_path / "run.json"
    file.write_bytes(contents)
    with pytest.raises(DamagedRunError, match=r"run\.json: is damaged"):
        read_record(file)


def test_a_missing_record_is_damage_and_an_unreadable_one_is_not(tmp_path):
    with pytest.raises(DamagedRunError, match="is missing"):
        read_record(tmp_path / "run.json")
    (tmp_path / "run.json").mkdir()
    with pytest.raises(StoreError, match="cannot be read") as caught:
        read_record(tmp_path / "run.json")
    assert not isinstance(caught.value, DamagedRunError)


def test_a_record_from_before_activations_were_counted_leaves_them_open(tmp_path, make_record):
    write_record(tmp_path, make_record())
    document = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    del document["model"]["activation_bytes"], document["model"]["weights_bytes"], document["checksums"]
    (tmp_path / "run.json").write_text(json.dumps(document), encoding="utf-8")
    model = read_record(tmp_path / "run.json").model
    assert (model.activation_bytes, model.weights_bytes) == (None, None)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("processes", 0),
        ("runs_at_once", -1),
        ("selected_epoch", 2**63),
        ("label", ""),
        ("seed", 2**70),
        ("model.parameters", 10**30),
        ("model.macs", -5),
        ("model.weights_share", 17.5),
        ("model.input_size", [0, 32]),
        ("data.test_images", 10**25),
        ("timings.started", "not a date"),
        ("timings.total_seconds", -1.0),
        ("timings.evaluation_images_per_second", math.inf),
    ],
)
def test_amounts_that_cannot_be_are_damage(place, value, make_record):
    document = make_record().model_dump()
    *parts, key = place.split(".")
    section = document
    for part in parts:
        section = section[part]
    section[key] = value
    with pytest.raises(ValidationError, match=re.escape(place)):
        RunRecord.model_validate(document)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"dataset": 5}, "recipe.dataset is 5, not a mapping"),
        ({"train": {"epochs": "x"}}, "recipe.train.epochs is 'x', not a whole number"),
    ],
)
def test_a_recipe_of_other_types_is_damage(recipe, said, make_record):
    with pytest.raises(ValidationError, match=said):
        make_record(recipe=recipe)
