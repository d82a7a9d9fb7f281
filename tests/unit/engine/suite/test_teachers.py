"""Claims about students whose teacher is trained before, fails, is missing, or left no weights."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.events import RunEnded, RunStarted, ignore
from segbench.engine.launchers.local import Job, Parallel
from segbench.engine.run.record import build_record
from segbench.engine.suite.run_suite import run_suite
from segbench.engine.suite.selection import RunOrder, ordered
from segbench.engine.suite.teachers import generations, teacher_problem
from segbench.engine.training.checkpointer import TrainingCheckpointer
from segbench.errors import RunInterrupted, StoreError
from segbench.results.data_identity import DataIdentity
from segbench.results.record import DataFacts, Outcome, RunRecord, Status, Timings

TEACHER = {"name": "cnn", "label": "teacher", "width": 0.0625}
STUDENT = {"name": "python:misbehaving.pointwise", "label": "student"}
QUICK = {"dataset": {"size": [16, 16], "train_images": 8, "test_images": 2, "validation_split": None}, "defaults": {}}


def suite_of(*models, teacher="teacher", train=None, **changes):
    recipe = {"epochs": 1, "distill": {"teacher": teacher}} | (train or {})
    return check(document(models=list(models or (TEACHER, STUDENT)), train=recipe, **QUICK | changes))


def run(suite, folder, *, observer=ignore, **options):
    return run_suite(suite, results=folder, device="cpu", in_process=True, observer=observer, **options)


def outcomes(found):
    return {record.label: record.outcome for record in found.records}


def weights_of(folder, label):
    (file,) = folder.glob(f"tiny/{label}-*/checkpoint.safetensors")
    return file


FAILING = {
    "diverges": ("diverging", Status.FAILED, "failed: the loss became nan"),
    "raises": ("raising", Status.FAILED, "failed: RuntimeError: the flux capacitor is empty"),
    "does not fit": ("too_many_classes", Status.SKIPPED, "was skipped: "),
}


@pytest.mark.parametrize(("network", "status", "reason"), FAILING.values(), ids=FAILING)
def test_a_student_whose_teacher_fails_is_a_row_with_that_reason(tmp_path, network, status, reason):
    bad = {"name": f"python:misbehaving.{network}", "label": "teacher"}
    alone = {"name": "python:misbehaving.pointwise", "label": "alone"}
    found = run(suite_of(bad, STUDENT, alone, teacher={"student": "teacher"}), tmp_path)
    ended = outcomes(found)
    assert ended["alone"].status is Status.COMPLETED
    assert (ended["teacher"].status, ended["student"].status) == (status, status)
    assert ended["student"].reason.startswith("its teacher teacher, seed 0 (teacher-seed0-")
    assert reason in ended["student"].reason
    assert not found.complete
    (stored,) = tmp_path.glob("tiny/student-*/run.json")
    assert json.loads(stored.read_text())["outcome"]["reason"] == ended["student"].reason


def test_a_failure_goes_down_a_chain_of_teachers(tmp_path):
    models = [STUDENT, {**TEACHER, "label": "middle"}, {"name": "python:misbehaving.raising", "label": "first"}]
    found = run(suite_of(*models, teacher={"student": "middle", "middle": "first"}), tmp_path)
    ended = outcomes(found)
    assert [ended[label].status for label in ("first", "middle", "student")] == [Status.FAILED] * 3
    assert "its teacher middle, distilled from first, seed 0" in ended["student"].reason
    assert "the flux capacitor is empty" in ended["student"].reason


def test_a_student_whose_teacher_is_not_trained_is_a_row_and_is_trained_with_it_later(tmp_path):
    suite = suite_of()
    first = run(suite, tmp_path, models=["student"])
    assert outcomes(first)["student"].status is Status.FAILED
    assert "is not trained yet: do its run, too" in outcomes(first)["student"].reason
    later = run(suite, tmp_path)
    assert {label: outcome.status for label, outcome in outcomes(later).items()} == dict.fromkeys(
        ("teacher", "student"), Status.COMPLETED
    )


@pytest.mark.slow(reason="trains chains of networks in every order")
@pytest.mark.parametrize("order", list(RunOrder))
def test_a_student_starts_after_its_teacher_has_ended_in_any_order_and_beside_other_runs(tmp_path, order):
    told = []
    chain = {"student": "middle", "middle": "teacher"}
    suite = suite_of(STUDENT, {**TEACHER, "label": "middle", "width": 0.125}, TEACHER, teacher=chain)
    launcher = Parallel(2, devices=["cpu"], cores=2)
    found = run(suite, tmp_path, observer=told.append, order=order, launcher=launcher)
    assert found.complete
    places = {(type(event), event.run_id.split("-")[0]): place for place, event in enumerate(told)
              if isinstance(event, RunStarted | RunEnded)}  # fmt: skip
    assert places[RunEnded, "teacher"] < places[RunStarted, "middle"]
    assert places[RunEnded, "middle"] < places[RunStarted, "student"]


def test_runs_are_ordered_by_generation_first():
    chain = {"student": "middle", "middle": "teacher"}
    runs = plan(suite_of(STUDENT, {**TEACHER, "label": "middle"}, TEACHER, teacher=chain, seeds=[0, 1]))
    seconds = {one.id: 3.0 - one.generation for one in runs}
    failed = [one.id for one in runs if one.generation == 0]
    found = ordered(runs[::-1], RunOrder.CHEAPEST, seconds=seconds, failed=failed)
    assert [one.generation for one in found] == [0, 0, 1, 1, 2, 2]
    jobs = [Job(one, number, 6) for number, one in enumerate(runs[::-1], 1)]
    assert [[job.run.generation for job in group] for group in generations(jobs)] == [[0, 0], [1, 1], [2, 2]]


def test_a_student_of_a_teacher_that_was_stopped_is_left_and_done_by_the_next_command(tmp_path, monkeypatch):
    suite = suite_of()

    def stop(checkpointer, trainer):
        checkpointer.save(trainer)
        raise RunInterrupted("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(TrainingCheckpointer, "after_step", stop)
        stopped = run(suite, tmp_path)
    assert stopped.records == ()
    assert [one.model.label for one in stopped.left] == ["teacher", "student"]
    assert run(suite, tmp_path).complete


def test_a_teacher_without_weights_is_told_before_anything_runs(tmp_path):
    plain = check(document(models=[TEACHER, STUDENT], train={"epochs": 1, "keep_weights": False}, **QUICK))
    run(plain, tmp_path, models=["teacher"])
    told = []
    with pytest.raises(StoreError, match=r"checkpoint\.safetensors: is missing; teacher is a teacher") as error:
        run(suite_of(), tmp_path, observer=told.append)
    assert not [event for event in told if isinstance(event, RunStarted)]
    (folder,) = tmp_path.glob("tiny/teacher-*")
    assert f"delete the folder {folder.name}" in str(error.value)
    shutil.rmtree(folder)
    assert run(suite_of(), tmp_path).complete


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a suite of which two networks are trained, one of them a teacher, and the results folder."""
    folder = tmp_path_factory.mktemp("trained")
    other = {"name": "cnn", "label": "other", "width": 0.125}
    suite = suite_of(TEACHER, other, STUDENT, teacher={"student": "teacher"})
    run(suite, folder, models=["teacher", "other"])
    return suite, folder


def _truncated(file, other):
    file.write_bytes(file.read_bytes()[:-9])


def _tensors(file):
    return {name: tensor.clone() for name, tensor in load_file(file).items()}  # the file is mapped into memory


def _pickled(file, other):
    torch.save(_tensors(file), file)


def _without_metadata(file, other):
    save_file(_tensors(file), file)


def _of_another_network(file, other):
    shutil.copyfile(other, file)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_truncated, "cannot be read"),
        (_pickled, "cannot be read"),
        (_without_metadata, "cannot be read"),
        (_of_another_network, "is not the network of the teacher"),
    ],
)
def test_wrong_weights_of_a_teacher_make_the_student_a_row_that_says_so(trained, tmp_path, spoil, told):
    suite, folder = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    spoil(weights_of(tmp_path, "teacher"), weights_of(tmp_path, "other"))
    ended = outcomes(run(suite, tmp_path))["student"]
    assert ended.status is Status.FAILED
    assert told in ended.reason
    assert "teacher-seed0-" in ended.reason


def test_the_record_names_the_teacher_and_its_weights(tmp_path):
    suite = suite_of(TEACHER, STUDENT, {**STUDENT, "label": "second"}, seeds=[0, 1])
    found = run(suite, tmp_path)
    taught = {(record.label, record.seed): record.teacher for record in found.records}
    assert taught["teacher", 0] is None
    runs = {(one.model.label, one.seed): one for one in plan(suite)}
    for seed in (0, 1):
        teacher = runs["teacher", seed]
        facts = [taught[label, seed] for label in ("student", "second")]
        assert facts[0] == facts[1]
        assert (facts[0].label, facts[0].run, facts[0].identity) == ("teacher", teacher.id, teacher.identity)
    assert taught["student", 0].weights_digest != taught["student", 1].weights_digest


def test_a_weight_of_0_gives_the_network_without_a_teacher_bit_for_bit(tmp_path):
    dropping = {"name": "unet", "label": "student", "width": 0.0625, "dropout": 0.5}
    distill = [None, {"teacher": "teacher", "weight": 0.0}]
    changes = QUICK | {"grid": {"train.distill": distill}, "dataset": {**QUICK["dataset"], "size": [32, 32]}}
    found = run(check(document(models=[TEACHER, dropping], train={"epochs": 2}, **changes)), tmp_path)
    plain, taught = [
        load_file(tmp_path / "tiny" / record.id / "checkpoint.safetensors")
        for record in found.records
        if record.label == "student"
    ]
    assert plain.keys() == taught.keys()
    assert all(torch.equal(tensor, taught[name]) for name, tensor in plain.items())


def record_of(run, *, outcome=None, **data):
    counts = {"train_images": 8, "test_images": 2, "classes": (), "palette": ()}
    facts = DataFacts(dataset="scenes", **counts, **{"fingerprints": {"train": "a"}, **data})
    ended = outcome or Outcome(status=Status.COMPLETED)
    return build_record(
        run, ended, timings=Timings(started="2026-01-01T00:00:00+00:00", total_seconds=1.0), environment={}, data=facts
    )


def test_a_teacher_of_other_data_does_not_teach():
    student = plan(suite_of())[1]
    record = record_of(student.teacher)
    assert teacher_problem(student, record, DataIdentity({"train": "a"}, {})) is None
    assert teacher_problem(student, record, None) is None
    problem = teacher_problem(student, record, DataIdentity({"train": "b"}, {}))
    assert problem.status is Status.FAILED
    assert "was trained on other data: do its run again, too" in problem.reason
    same_pixels = record_of(student.teacher, pixel_digests={"train": "p"})
    assert teacher_problem(student, same_pixels, DataIdentity({"train": "b"}, {"train": "p"})) is None


def test_a_record_whose_teacher_was_edited_is_damaged(tmp_path):
    from segbench.results.hashes import wrong_hash

    student = plan(suite_of(TEACHER, {**TEACHER, "label": "student", "width": 0.125}))[1]
    record = record_of(student)
    assert wrong_hash(record) is None
    edited = record.model_copy(update={"teacher": record.teacher.model_copy(update={"identity": "0" * 64})})
    assert "network, recipe or seed was edited" in wrong_hash(edited)
    recipe = json.loads(json.dumps(record.recipe))
    recipe["train"]["distill"]["weight"] = 0.25
    assert "its recipe was edited" in wrong_hash(record.model_copy(update={"recipe": recipe}))


def test_records_of_earlier_versions_have_no_teacher():
    document = record_of(plan(suite_of())[0]).model_dump(mode="json")
    del document["teacher"]
    assert RunRecord.model_validate(document).teacher is None
