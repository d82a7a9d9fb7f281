"""Claims about recomputing what can be recomputed of stored runs."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from predictions import replace_prediction
from retests import FOG, NOISE, retest
from stored import some_images, write_run

from segbench.engine.evaluation.verification import Check, Verdict, Verifier
from segbench.metrics.boundary import boundary_counts
from segbench.results.arrays.details import BOUNDARY, ImageDetails, save_details
from segbench.results.arrays.matrices import load_matrices, save_matrices
from segbench.results.find_runs import scan
from segbench.results.record import Outcome, Status
from segbench.results.store import read_record, write_record


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
    replace_prediction(folder, 0)


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


def test_data_that_is_not_here_says_nothing_about_a_run(data, sealed):
    data["root"] += "-elsewhere"
    outcome = verified(data, sealed)
    assert outcome.wrong == {}
    for check in (Check.DATA, Check.LABELS, Check.PREDICTIONS):
        assert outcome.findings[check].verdict is Verdict.UNKNOWN
        assert "-elsewhere" in outcome.findings[check].reason


def test_other_images_with_the_same_labels_are_told(data, sealed):
    Image.fromarray(np.full((5, 6, 3), 9, np.uint8)).save(f"{data['root']}/images/test/2.png")
    outcome = verified(data, sealed)
    assert outcome.findings[Check.DATA].reason == "the files here are not those that it was tested on"
    assert outcome.findings[Check.LABELS].verdict is Verdict.VERIFIED


def test_other_labels_are_wrong_whatever_hash_of_the_data_a_record_claims(data, sealed):
    invented_pixel(data, sealed)
    document = json.loads((sealed / "run.json").read_text())
    document["data"]["fingerprints"]["test"] = "f" * 64
    del document["checksums"]
    (sealed / "run.json").write_text(json.dumps(document))
    seal(sealed)
    outcome = verified(data, sealed)
    assert set(outcome.wrong) == {Check.LABELS, Check.PREDICTIONS}
    assert "either they were edited, or the files here are not those" in outcome.wrong[Check.LABELS]


@pytest.mark.parametrize("gone", ["confusion.npz", "run.json", "history.csv"])
def test_a_checksum_that_was_removed_is_wrong(data, sealed, gone):
    document = json.loads((sealed / "run.json").read_text())
    del document["checksums"][gone]
    (sealed / "run.json").write_text(json.dumps(document))
    outcome = verified(data, sealed)
    assert set(outcome.wrong) == {Check.FILES}
    assert f"{gone}: has no checksum in run.json" in outcome.wrong[Check.FILES]


def test_a_copy_under_another_name_is_wrong(data, sealed):
    copy = sealed.rename(sealed.with_name("another-name"))
    assert "is the record of another run" in verified(data, copy).wrong[Check.FILES]


@pytest.mark.parametrize("named", [None, {}, {"name": "nowhere"}])
def test_a_record_that_names_no_data_set_cannot_be_compared_with_data(data, tmp_path, named):
    folder = write_run(tmp_path / "results", recipe={"dataset": named} if named is not None else {"train": None})
    outcome = verified(data, folder)
    assert outcome.findings[Check.LABELS].verdict is Verdict.UNKNOWN


def png_of(width, height):
    stream = BytesIO()
    Image.new("1", (width, height)).save(stream, format="PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (png_of(30_000, 20_000), "has 7|another size|cannot be read"),
        (png_of(5, 5), "another size than its label"),
        (bytes(100_000), "100,000 bytes for 30 pixels"),
        (b"no picture", "cannot be read"),
    ],
)
def test_predictions_of_another_size_are_refused_before_they_are_decoded(data, sealed, content, problem):
    replace_prediction(sealed, 0, content)
    seal(sealed)
    outcome = verified(data, sealed)
    assert set(outcome.wrong) == {Check.PREDICTIONS}
    assert re.search(problem, outcome.wrong[Check.PREDICTIONS])


def test_edited_boundaries_are_told_by_the_predictions(data, sealed):
    labels = [np.asarray(Image.open(f"{data['root']}/masks/test/{index}.png")) for index in range(3)]
    with zipfile.ZipFile(sealed / "predictions.zip") as archive:
        predictions = [np.asarray(Image.open(BytesIO(archive.read(name)))) for name in archive.namelist()]
    counts = [boundary_counts(*pair, num_classes=2)._asdict() for pair in zip(labels, predictions, strict=True)]
    arrays = {f"{BOUNDARY}{name}": np.stack([count[name] for count in counts]) for name in counts[0]}
    names = load_matrices(sealed / "confusion.npz").names
    save_details(sealed / "details.npz", ImageDetails(names, arrays))
    seal(sealed)
    assert verified(data, sealed).wrong == {}
    for whole in ("predicted", "predicted_near"):  # a part of the whole, as it has to be
        arrays[f"{BOUNDARY}{whole}"] = arrays[f"{BOUNDARY}{whole}"] + 1
    save_details(sealed / "details.npz", ImageDetails(names, arrays))
    seal(sealed)
    assert set(verified(data, sealed).wrong) == {Check.PREDICTIONS}


def test_data_is_not_opened_if_it_is_not_wanted(data, sealed):
    Path(data["root"], "masks", "test", "1.png").write_bytes(b"no picture")
    outcome = verified(data, sealed, with_data=False)
    assert outcome.findings[Check.FILES].verdict is Verdict.VERIFIED
    assert outcome.findings[Check.LABELS].verdict is Verdict.UNKNOWN


def test_what_cannot_be_recomputed_is_named(data, run, tmp_path):
    folder, _ = run
    (folder / "predictions.zip").unlink()
    found = verified(data, folder).findings
    assert "without checksums" in found[Check.FILES].reason
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
    record = next(beside.glob("*.json"))
    document = json.loads(record.read_text())
    record.write_text(json.dumps({key: value for key, value in document.items() if key != "checksum"}))
    assert verdicts(verified(data, sealed))[Check.TESTS] is Verdict.UNKNOWN, "an edit would not be told"
    first, second = sorted(beside.glob("*.npz"))
    first.write_bytes(second.read_bytes())
    assert set(verified(data, sealed).wrong) == {Check.TESTS}
