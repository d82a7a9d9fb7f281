"""Claims about recomputing what can be recomputed of stored runs."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from retests import FOG, NOISE, retest
from stored import some_images, write_run

from segbench.engine.evaluation.predictions import PredictionArchive, prediction_picture
from segbench.engine.evaluation.verification import Check, Verdict, Verifier
from segbench.results.arrays.matrices import load_matrices, save_matrices
from segbench.results.find_runs import scan
from segbench.results.record import Outcome, Status
from segbench.results.store import read_record, write_record

COLOURS = ((0, 0, 0), (9, 9, 9))


@pytest.fixture
def sealed(run):
    """The run with checksums, as it is stored today."""
    folder, _ = run
    write_record(folder, read_record(folder / "run.json"))
    return folder


def verified(data, folder, **options):
    (found,) = scan(folder)
    return Verifier({"root": data["root"]}, **options).verify(found)


def verdicts(outcome):
    return {check: found.verdict for check, found in outcome.findings.items()}


def seal(folder):
    """Write new checksums, as someone who edits a file on purpose would."""
    document = json.loads((folder / "run.json").read_text())
    document.pop("checksums", None)
    (folder / "run.json").write_text(json.dumps(document))
    write_record(folder, read_record(folder / "run.json"))


def test_a_run_as_it_was_stored_is_verified_in_all_that_it_has(data, sealed):
    outcome = verified(data, sealed)
    assert verdicts(outcome) == dict.fromkeys(Check, Verdict.VERIFIED) | {Check.TESTS: Verdict.UNKNOWN}
    assert outcome.wrong == {}


def moved_pixel(data, folder):
    stored = load_matrices(folder / "confusion.npz")
    matrices = stored.matrices.copy()
    row, column = np.argwhere(matrices[1] > 0)[0]
    matrices[1, row, column] -= 1
    matrices[1, row, 1 - column] += 1
    save_matrices(folder / "confusion.npz", replace(stored, matrices=matrices))


def invented_pixel(data, folder):
    stored = load_matrices(folder / "confusion.npz")
    save_matrices(folder / "confusion.npz", replace(stored, matrices=stored.matrices + np.eye(2, dtype=np.int64)))


def other_prediction(data, folder):
    with zipfile.ZipFile(folder / "predictions.zip") as archive:
        pictures = [archive.read(name) for name in archive.namelist()]
    with Image.open(BytesIO(pictures[0])) as image:
        pictures[0] = prediction_picture(1 - np.asarray(image), COLOURS)
    with PredictionArchive(folder / "predictions.zip", COLOURS) as archive:
        for picture in pictures:
            archive.add(picture)


@pytest.mark.parametrize(
    ("edit", "wrong"),
    [
        (moved_pixel, {Check.PREDICTIONS}),
        (invented_pixel, {Check.LABELS, Check.PREDICTIONS}),
        (other_prediction, {Check.PREDICTIONS}),
    ],
)
def test_what_was_edited_together_with_its_checksum_is_told_by_the_data(data, sealed, edit, wrong):
    edit(data, sealed)
    assert set(verified(data, sealed).wrong) == {Check.FILES}
    seal(sealed)
    assert set(verified(data, sealed).wrong) == wrong


def test_an_edited_recipe_is_a_wrong_record(data, sealed):
    document = json.loads((sealed / "run.json").read_text())
    document["recipe"]["train"] = {"epochs": 1}
    del document["checksums"]
    (sealed / "run.json").write_text(json.dumps(document))
    outcome = verified(data, sealed)
    assert set(outcome.wrong) == {Check.RECORD}
    assert "recipe was edited" in outcome.wrong[Check.RECORD]


def other_labels(data):
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(f"{data['root']}/masks/test/2.png")


def lost_data(data):
    data["root"] += "-elsewhere"


@pytest.mark.parametrize(
    ("change", "reason"), [(other_labels, "not those that it was tested on"), (lost_data, "-else")]
)
def test_other_data_or_none_says_nothing_about_a_run(data, sealed, change, reason):
    change(data)
    outcome = verified(data, sealed)
    assert outcome.wrong == {}
    for check in (Check.DATA, Check.LABELS, Check.PREDICTIONS):
        assert outcome.findings[check].verdict is Verdict.UNKNOWN
        assert reason in outcome.findings[check].reason


def test_data_is_not_opened_if_it_is_not_wanted(data, sealed):
    Path(data["root"], "masks", "test", "1.png").write_bytes(b"no picture")
    outcome = verified(data, sealed, with_data=False)
    assert outcome.findings[Check.FILES].verdict is Verdict.VERIFIED
    assert outcome.findings[Check.LABELS].verdict is Verdict.UNKNOWN


def test_what_cannot_be_recomputed_is_named(data, run, tmp_path):
    folder, _ = run
    (folder / "predictions.zip").unlink()
    found = verified(data, folder).findings
    assert "stored no checksums" in found[Check.FILES].reason
    assert "not kept" in found[Check.PREDICTIONS].reason
    pretrained = write_run(tmp_path / "results", "p", pretrained=True, identity="0" * 64)
    assert "files of weights" in verified(data, pretrained).findings[Check.RECORD].reason
    failed = write_run(tmp_path / "results", "x", outcome=Outcome(status=Status.FAILED, reason="no"))
    assert "not completed" in verified(data, failed).findings[Check.LABELS].reason


def test_matrices_of_a_further_test_that_were_exchanged_are_wrong(data, sealed):
    for condition, hits in ((FOG, 60), (NOISE, 50)):
        retest(sealed, condition, some_images(hits))
    assert verdicts(verified(data, sealed))[Check.TESTS] is Verdict.VERIFIED
    beside = sealed.parent / "robustness" / sealed.name
    first, second = sorted(beside.glob("*.npz"))
    first.write_bytes(second.read_bytes())
    assert set(verified(data, sealed).wrong) == {Check.TESTS}
