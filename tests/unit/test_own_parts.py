"""Suites that name parts by import path: their ids, their runs, and the examples of the documents."""

import json
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import jsonschema
import pytest
import yaml
from tiny import document

from segbench import registry
from segbench.api.leaderboard import leaderboard
from segbench.config.component import LossEntry
from segbench.config.json_schema import suite_schema
from segbench.config.load import check
from segbench.config.plan import plan
from segbench.config.sections.training import Train
from segbench.engine.run.facts import derived_seed
from segbench.engine.suite.run_suite import run_suite
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.errors import SegbenchError, SuiteError
from segbench.registry import LOSSES, MODELS, OPTIMIZERS
from segbench.report.ranking.caveats import caveats
from segbench.report.runs.load import load_results
from segbench.results.record import Status
from segbench.signature import read_signature

DOCS = Path(__file__).parents[2] / "docs"


def first_run(**changes):
    return plan(check(document(**changes)))[0]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write the module ``own`` that suites name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def write(source):
        (tmp_path / "own.py").write_text(source, encoding="utf-8")
        sys.modules.pop("own", None)
        made.append("own")

    yield write
    sys.modules.pop("own", None)


# Ids.


def test_ids_of_suites_that_do_not_use_what_came_later_are_what_they_were():
    suite = {"dataset": "scenes", "models": ["unet"], "train": {"epochs": 1, "loss": ["dice", "focal"]}}
    run = plan(check(suite))[0]
    assert run.identity == "f7b778fd045843adbfec252174aae91718228121f31952facc3e45c7cab185be"
    assert run.protocol_id == "ba081813c50548be65462533102b45702e1642f8dcc1cc408c1a329d861dab80"


@pytest.mark.parametrize(
    "train",
    [
        {"loss": {"name": "dice", "class_weights": "median_frequency"}},
        {"loss": {"name": "focal", "class_weights": [1.0] * 8}},
        {"early_stopping": {}},
        {"optimizer": {"name": "adamw", "lr": 0.003, "groups": [{"parameters": "*", "lr_scale": 0.5}]}},
    ],
)
def test_what_came_later_is_another_protocol_where_it_is_used(train):
    plain = {"loss": train["loss"]["name"] if "loss" in train else "cross_entropy"}
    assert first_run(train=train).protocol_id != first_run(train=plain).protocol_id


def test_own_metrics_change_neither_identity_nor_protocol():
    plain, own = first_run(), first_run(metrics=["python:own.metric"])
    assert (own.identity, own.protocol_id) == (plain.identity, plain.protocol_id)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"loss": ["dice", "python:own.part"]}},
        {"train": {"optimizer": {"name": "python:own.part", "lr": 0.1}}},
        {"train": {"schedule": "python:own.part"}},
        {"transforms": {"train": ["python:own.part", "normalize"]}},
        {"transforms": {"test": ["python:own.part", "normalize"]}},
    ],
)
def test_changed_code_of_a_part_is_another_run_and_protocol_from_the_same_weights(changes, write):
    runs = []
    for source in ("raise 1", "raise 2", "raise 1"):
        write(source)
        run = first_run(**changes)
        runs.append((run.identity, run.protocol_id, derived_seed(run)))
    assert runs[0] == runs[2]
    assert runs[0][0] != runs[1][0]
    assert runs[0][1] != runs[1][1]
    assert runs[0][2] == runs[1][2]
    assert "own" not in sys.modules


def test_a_recipe_with_the_digest_of_a_source_is_read_back_without_it(write):
    write("part = len")
    train = first_run(train={"loss": "python:own.part"}).recipe.canonical()["train"]
    assert "python: source" in train["loss"][0]
    assert Train.model_validate(train).loss[0].options == {}


# Names.


@pytest.mark.parametrize(
    ("train", "metrics"),
    [
        ({"loss": "python:own.part"}, ["python:own.part", {"name": "python:own.other", "label": "x", "power": 2}]),
        ({"optimizer": {"name": "python:own.part", "speed": 1, "groups": [{"parameters": "a*", "lr": 0.1}]}}, []),
        ({"schedule": {"name": "python:own.part", "warmup_steps": 3}, "early_stopping": {"patience": 2}}, []),
    ],
)
def test_the_json_schema_takes_what_the_loader_takes(train, metrics):
    given = document(train=train, metrics=metrics)
    assert check(given).models
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(suite_schema())))
    assert list(validator.iter_errors(given)) == []


def test_two_metrics_of_one_name_need_labels():
    assert [metric.label for metric in check(document(metrics=["python:a.b.kappa"])).metrics] == ["kappa"]
    with pytest.raises(SuiteError, match=r"metrics\[1\]\.label: two metrics are called 'kappa'"):
        check(document(metrics=["python:a.kappa", "python:b.kappa"]))


def test_parts_from_elsewhere_are_known_as_such(monkeypatch):
    assert OPTIMIZERS.is_foreign("python:a.b")
    assert not OPTIMIZERS.is_foreign("timm:adopt")
    assert not MODELS.is_foreign("unet")


ADDED = '''
def added(classes: int, *, share: float = 0.5):
    """A loss."""
    return lambda logits, labels: share * logits.sum()
'''


def test_a_package_adds_losses_by_an_entry_point(write, monkeypatch):
    write(ADDED)
    point = EntryPoint("added", "own:added", "segbench.losses")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "segbench.losses" else [])
    registry._installed.cache_clear()
    read_signature.cache_clear()
    try:
        assert LOSSES.is_foreign("added")
        entry = LossEntry.model_validate({"name": "added", "share": 0.25})
        (term,) = build_loss([entry], classes=3).losses
        assert term.name == "added"
        with pytest.raises(ValueError, match="did you mean 'share'"):
            LossEntry.model_validate({"name": "added", "shares": 1})
    finally:
        registry._installed.cache_clear()
        read_signature.cache_clear()


# Runs.

BAD = """
def loss(logits, labels): return logits.mean(dim=0)
def noise(image, label):
    import random
    return image + random.randrange(200), label
def schedule(step): return float("nan")
def optimizer(params): return None
def metric(matrix): return matrix[50]
"""


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"train": {"loss": "python:own.loss"}}, r"train\.loss: python:own\.loss returned a tensor of shape"),
        ({"transforms": {"train": ["python:own.noise", "normalize"]}}, "the same seed gave two images"),
        (
            {"train": {"schedule": "python:own.schedule"}},
            r"train\.schedule: python:own\.schedule gives a learning",
        ),
        (
            {"train": {"optimizer": "python:own.optimizer"}},
            r"train\.optimizer: python:own\.optimizer returned None",
        ),
        ({"metrics": ["python:own.metric"]}, r"metrics\[0\]: python:own\.metric failed on a matrix of shape \(8, 8\)"),
    ],
)
def test_a_part_that_fails_ends_the_command_before_any_run(changes, problem, write, tmp_path):
    write(BAD)
    with pytest.raises(SegbenchError, match=problem):
        run_suite(check(document(**changes)), results=tmp_path / "results", device="cpu", in_process=True)
    assert not list((tmp_path / "results").glob("*/*/run.json"))


LATE = """
from torch.nn import functional as F
calls = []
def loss(logits, labels):
    calls.append(1)
    if len(calls) > 4:
        raise OverflowError("after a while")
    return F.cross_entropy(logits, labels, ignore_index=255)
"""


def test_a_part_that_fails_in_training_is_a_failed_run_with_a_reason_and_no_traceback(write, tmp_path):
    write(LATE)
    suite = check(document(train={"loss": "python:own.loss"}, models=["cnn"]))
    (record,) = run_suite(suite, results=tmp_path / "results", device="cpu", in_process=True).records
    assert record.outcome.status is Status.FAILED
    assert record.outcome.traceback is None
    assert re.search(
        r"python:own\.loss failed .* OverflowError: after a while \(.*own\.py, line 7\)", record.outcome.reason
    )


# Documents.


def blocks(language):
    text = (DOCS / "add-a-part.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def test_the_examples_of_the_document_run(tmp_path, monkeypatch):
    source = "\n\n".join(blocks("python"))
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "parts.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (written,) = [yaml.safe_load(block) for block in blocks("yaml")]
    suite = document(models=["cnn"], **written)
    done = run_suite(check(suite), results=tmp_path / "results", device="cpu", in_process=True)
    assert [record.outcome.status for record in done.records] == [Status.COMPLETED]
    runs = load_results(tmp_path / "results")
    board = leaderboard(runs)
    assert -1 <= board["metric_kappa"][0] <= 1
    assert len(runs["own_class_metrics"][0]["specificity"]) == 8
    assert not any("metric" in note for note in caveats(runs))
    sys.modules.pop("my_package.parts", None)
    read_signature.cache_clear()
    assert read_signature("my_package.parts:half_and_half_loss").parameters[0].help
