"""What every schema version wrote is still read, with the same values; what is newer or edited is told."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from stored import rewrite

import segbench
from segbench.config.load import load_suite
from segbench.config.plan import plan
from segbench.errors import StoreError
from segbench.report.deployment.load import load_deployments
from segbench.report.robustness.load import load_retests
from segbench.report.runs.load import load_results
from segbench.results.archive.manifest import MANIFEST_VERSION, read_manifest
from segbench.results.archive.merge import merge
from segbench.results.archive.placing import Fate
from segbench.results.arrays.gallery import GALLERY_SCHEMA_VERSION, read_gallery
from segbench.results.arrays.matrices import ImageMatrices, load_matrices, save_matrices
from segbench.results.deployments.record import DEPLOYMENT_SCHEMA_VERSION
from segbench.results.deployments.store import DEPLOYMENTS
from segbench.results.record import SCHEMA_VERSION
from segbench.results.retests.record import RETEST_SCHEMA_VERSION
from segbench.results.retests.store import ROBUSTNESS
from segbench.results.speed.baseline import BASELINE_SCHEMA_VERSION, read_baseline
from segbench.results.speed.record import SPEED_SCHEMA_VERSION
from segbench.results.speed.store import read_speed
from segbench.results.store import Store, read_record

GOLDEN = Path(__file__).parents[2] / "golden"
RUN = "U-Net-seed0-95286fc630"
FILES = {
    "run": (SCHEMA_VERSION, "*/toy/*/run.json"),
    "speed": (SPEED_SCHEMA_VERSION, "*/toy/speed/*.json"),
    "baseline": (BASELINE_SCHEMA_VERSION, "*/baseline.json"),
    "retest": (RETEST_SCHEMA_VERSION, "*/toy/robustness/*/*.json"),
    "deployment": (DEPLOYMENT_SCHEMA_VERSION, "*/toy/deployments/*/*.json"),
    "gallery": (GALLERY_SCHEMA_VERSION, "*/toy/gallery/*/gallery.json"),
    "archive": (MANIFEST_VERSION, "*/toy.tar.xz"),
}
"""Of each kind: the newest version, and where its golden files are."""
READ = {
    "run": read_record,
    "speed": read_speed,
    "baseline": lambda file: read_baseline([file])[0],
    "retest": ROBUSTNESS.read,
    "deployment": DEPLOYMENTS.read,
    "gallery": read_gallery,
    "archive": lambda file: read_manifest(file.read_bytes()),
}
NAMED = ("gallery", "archive")
"""Kinds that have no environment, but name the segbench that wrote them."""
RUNS = sorted(file.parent for file in GOLDEN.glob(FILES["run"][1]))


def golden(kind):
    return sorted(GOLDEN.glob(FILES[kind][1]))


def document_of(file):
    """Return the JSON of a golden file: of an archive, its manifest."""
    if file.suffix == ".json":
        return json.loads(file.read_text(encoding="utf-8"))
    with tarfile.open(file) as archive:
        return json.load(archive.extractfile("manifest.json"))


@pytest.fixture
def newest(tmp_path):
    """A copy of the newest golden files, which may be spoilt."""
    return shutil.copytree(GOLDEN / "newest", tmp_path / "newest")


def the(folder, kind):
    """Return the first file of a kind in a copy."""
    return sorted(folder.glob(FILES[kind][1].removeprefix("*/")))[0]


@pytest.mark.parametrize("kind", FILES)
def test_every_schema_version_ever_written_has_a_golden_file(kind):
    versions = {document_of(file)["schema_version"] for file in golden(kind)}
    assert versions == set(range(1, FILES[kind][0] + 1))


def test_golden_files_are_small():
    assert max(file.stat().st_size for file in GOLDEN.rglob("*") if file.is_file()) < 50_000


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.parents[1].name)
def test_a_run_of_any_version_has_its_scores(folder):
    """All trained alike: 336 of 4066 labelled pixels are right, and the mean IoU is that of the sums of cells."""
    (row,) = load_results(folder.parent).itertuples()
    assert (row.run, row.status, row.reason) == (folder.name, "completed", None)
    assert row.pixel_accuracy == pytest.approx(336 / 4066)
    assert row.mean_iou == pytest.approx(0.0266004589)
    assert (row.parameters, row.macs, row.test_images) == (79_078, 1_907_516, 4)
    assert row.test_loss == pytest.approx(2.4056, abs=1e-4)


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.parents[1].name)
def test_void_is_unknown_in_version_1_and_known_from_version_2_on(folder):
    void = load_matrices(folder / "confusion.npz").void_predicted
    if document_of(folder / "run.json")["schema_version"] == 1:
        assert void is None
    else:
        assert void.sum() == 4 * 32 * 32 - 4066


SAME = [folder for folder in RUNS if folder.parents[1].name != "run-1-first"]
"""Runs whose identity is today's; options of networks still changed after the first one was written."""


@pytest.mark.parametrize("folder", SAME, ids=lambda folder: folder.parents[1].name)
def test_a_stored_suite_of_any_version_plans_the_run_that_is_stored_beside_it(folder):
    (run,) = plan(load_suite(folder.parent / "suite.yaml"))
    assert run.id == folder.name == RUN
    assert Store(folder.parents[1], "toy").find(run.id, run.identity) is not None


def test_speed_records_of_version_1_are_read():
    found = {record.case.task: record for record in map(read_speed, (GOLDEN / "speed-1/toy/speed").glob("*.json"))}
    assert [len(one.host_seconds) for one in found["inference"].restarts] == [35, 18]
    assert [len(one.host_seconds) for one in found["training"].restarts] == [10, 10]
    assert found["training"].restarts[0].host_seconds[0] > 0.0133
    (row,) = load_results(GOLDEN / "speed-1").itertuples()
    assert len(row.speed) == 2
    assert row.speed_problems == ()


def test_a_baseline_of_version_1_is_read():
    (record,) = read_baseline([GOLDEN / "speed-1/baseline.json"])
    assert record.case.model["width"] == 0.05
    assert [len(one.host_seconds) for one in record.restarts] == [27, 23]
    assert record.restarts[0].host_seconds[0] == 0.0018160219988203607


def test_a_retest_of_version_1_is_read():
    (run,) = load_retests(GOLDEN / "retest-1/toy").runs
    found = ROBUSTNESS.read(GOLDEN / "retest-1/toy/robustness" / RUN / "fog-3.json")
    assert list(run.conditions) == ["fog-3"]
    assert (found.record.images, found.record.weights) == (4, None)
    assert sum(found.record.calibration.pixels) == found.matrices().matrices.sum() == 4066
    assert sum(found.record.calibration.correct) == 540 + 134 + 25 + 5


def test_deployments_of_version_1_are_read():
    found = load_deployments(GOLDEN / "deployment-1/toy")
    assert found.problems == ()
    pruned = DEPLOYMENTS.read(GOLDEN / "deployment-1/toy/deployments" / RUN / "eager-fp32-pruned-0.5.json").record
    assert (pruned.agreement.equal, pruned.agreement.pixels) == (318, 4096)
    assert (pruned.pruning.parameters_before, pruned.pruning.parameters) == (79_078, 19_227)


def test_a_gallery_of_version_1_is_read():
    gallery = read_gallery(GOLDEN / "gallery-1/toy/gallery/e2f978ae/gallery.json")
    names = {image.role: image.name for image in gallery.images}
    assert names == {"hardest": "test-00000", "median": "test-00003", "easiest": "test-00002"}
    assert gallery.images[0].scores == {RUN: pytest.approx(0.0363326)}


@pytest.mark.parametrize("file", golden("archive"), ids=lambda file: file.parent.name)
def test_an_archive_of_any_version_is_merged(file, tmp_path):
    assert {placed.fate for placed in merge([file], tmp_path).placed} == {Fate.ADDED}
    (row,) = load_results(tmp_path / "toy").itertuples()
    assert (row.run, row.status) == (RUN, "completed")
    assert row.mean_iou == pytest.approx(0.0266004589)
    tests = len(load_retests(tmp_path / "toy").runs)
    assert tests == (0 if file.parent.name == "archive-1" else 1)


@pytest.mark.parametrize("kind", FILES)
def test_a_newer_version_is_refused_with_the_segbench_to_install(kind, newest, tmp_path):
    document = document_of(the(newest, kind))
    document["schema_version"] = 99
    file = tmp_path / "new.json"
    for one in document.get("records", [document]):
        if kind in NAMED:
            one["segbench"] = "7.1.0"
        else:
            one["environment"]["versions"]["segbench"] = "7.1.0"
    file.write_text(json.dumps(document))
    with pytest.raises(StoreError, match=r"newer segbench, 7\.1\.0 \(schema 99, .*install segbench 7\.1\.0 or a newer"):
        READ[kind](file)


@pytest.mark.parametrize("named", [None, 7, "1 && rm -r /", "7" * 99, segbench.__version__])
def test_a_newer_version_that_names_no_segbench_of_use_needs_the_newest(named, tmp_path):
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"schema_version": 99, "environment": {"versions": {"segbench": named}}}))
    with pytest.raises(StoreError, match=r"newer segbench \(schema 99, this one reads up to \d\): install the newest"):
        read_record(file)


EDITS = {
    "a score of the run": ("run", lambda facts: facts.update(test_loss=0.5)),
    "the recipe of the run": ("run", lambda facts: facts["recipe"]["train"]["optimizer"].update(lr=0.5)),
    "the environment of the run": ("run", lambda facts: facts["environment"].update(processor="another")),
    "a time": ("speed", lambda facts: facts["restarts"][0].update(host_seconds=[0.001])),
    "a time of a baseline": ("baseline", lambda facts: facts["records"][0]["restarts"][0].update(host_seconds=[0.001])),
    "calibration of a retest": ("retest", lambda facts: facts["calibration"]["correct"].__setitem__(1, 1659)),
    "agreement of a deployment": ("deployment", lambda facts: facts["agreement"].update(equal=4096)),
    "a score of a gallery": ("gallery", lambda facts: facts["images"][0].update(mean_iou=0.9)),
    "an identity in an archive": ("archive", lambda facts: facts["runs"][0].update(identity="0" * 64)),
}


def edit(file, change, target=None):
    document = document_of(file)
    change(document)
    (target or file).write_text(json.dumps(document, indent=1))


@pytest.mark.parametrize("what", EDITS)
def test_what_was_edited_by_hand_is_told(what, newest, tmp_path):
    kind, change = EDITS[what]
    file = the(newest, kind)
    edit(file, lambda facts: None, tmp_path / "same.json")
    if kind not in ("retest", "deployment"):  # which need their matrices beside them
        READ[kind](tmp_path / "same.json")
    target = tmp_path / "edited.json" if kind == "archive" else file
    edit(file, change, target)
    with pytest.raises(StoreError, match=r"edited|altered"):
        READ[kind](target)


@pytest.mark.parametrize("what", [what for what, (kind, _) in EDITS.items() if kind == "run"])
def test_an_edited_run_is_a_damaged_row_and_not_done(what, newest):
    edit(the(newest, "run"), EDITS[what][1])
    (row,) = load_results(newest).itertuples()
    assert row.status == "damaged"
    assert "edited" in row.reason
    assert Store(newest, "toy").find(RUN) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["recipe"]["train"]["optimizer"].update(lr=0.5),
        lambda facts: facts.update(protocol_id="0" * 64),
        lambda facts: facts.update(seed=1),
        lambda facts: facts["model"]["options"].update(width=1.0),
    ],
)
@pytest.mark.parametrize("folder", ["run-1-first", "run-1-last", "run-2-first"])
def test_the_recipe_of_a_run_from_before_checksums_is_told_by_its_hash(folder, change, tmp_path):
    edit(the(shutil.copytree(GOLDEN / folder, tmp_path / "old"), "run"), change)
    (row,) = load_results(tmp_path / "old").itertuples()
    assert row.status == "damaged"
    assert "was edited: the hash is" in row.reason


def test_edited_matrices_are_a_damaged_row(newest):
    file = newest / "toy" / RUN / "confusion.npz"
    known = load_matrices(file)
    save_matrices(file, ImageMatrices(known.names, known.matrices * 2, known.void_predicted))
    (row,) = load_results(newest).itertuples()
    assert row.status == "damaged"
    assert "changed after it was written, by its checksum" in row.reason


def test_edited_further_tests_and_times_are_left_out_and_told_beside_the_table(newest):
    for what in ("a time", "calibration of a retest", "agreement of a deployment"):
        kind, change = EDITS[what]
        edit(the(newest, kind), change)
    (row,) = load_results(newest).itertuples()
    assert row.status == "completed"
    assert row.speed == ()
    problems = [*row.speed_problems, *load_retests(newest / "toy").problems, *load_deployments(newest / "toy").problems]
    told = [problem for problem in problems if "was edited after it was written, by its checksum" in problem]
    assert len(told) == 3


def test_another_measurement_with_its_checksum_is_not_edited(newest):
    file = the(newest, "retest")
    rewrite(file, seconds=1.0)
    assert ROBUSTNESS.read(file).record.seconds == 1.0
