"""Deployments come back as they were stored; what is damaged, newer or half there is told."""

from __future__ import annotations

import json

import pytest
from deployments import EAGER, INT8, deployment, timing
from pydantic import ValidationError
from stored import matrices, write_run

from segbench.errors import StoreError
from segbench.results.deployments.record import Agreement, DeployedTo
from segbench.results.deployments.store import DEPLOYMENTS
from segbench.results.retests.record import Calibration


@pytest.fixture
def stored(tmp_path):
    """A folder of deployments with one of them."""
    run = write_run(tmp_path, "unet", hits=80)
    deployment(run, INT8, matrices(70), timings=(timing(10.0, 12.0),))
    return run.parent / DEPLOYMENTS.folder


def only(folder):
    return next(folder.glob("*/*.json"))


def test_a_deployment_comes_back_as_it_was_stored(tmp_path):
    run = write_run(tmp_path, "unet", hits=80)
    record = deployment(run, INT8, matrices(70))
    (test,) = DEPLOYMENTS.scan(run.parent / DEPLOYMENTS.folder).tests
    assert test.record == record
    assert (test.matrices().matrices == matrices(70).matrices).all()
    assert test.matrices_file.name == "onnxruntime-int8.npz"


def test_a_later_deployment_to_the_same_target_replaces_it(tmp_path):
    run = write_run(tmp_path, "unet", hits=80)
    for hits in (70, 60):
        deployment(run, EAGER, matrices(hits))
    (test,) = DEPLOYMENTS.scan(run.parent / DEPLOYMENTS.folder).tests
    assert (test.matrices().matrices == matrices(60).matrices).all()


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (EAGER, "eager-fp32"),
        (DeployedTo(runtime="eager", precision="bf16", prune=0.25, device="cpu"), "eager-bf16-pruned-0.25"),
        (DeployedTo(runtime="tensorrt", precision="int8", device="cuda"), "tensorrt-int8-cuda"),
    ],
)
def test_every_target_and_device_has_a_file_of_its_own(target, key):
    assert target.key == key


def test_times_are_the_median_over_processes(stored):
    (test,) = DEPLOYMENTS.scan(stored).tests
    (times,) = test.record.timings
    assert times.call_seconds == pytest.approx(0.011)
    assert times.images_per_second == pytest.approx(1 / 0.011)


def test_missing_matrices_are_told_with_the_command(stored):
    only(stored).with_suffix(".npz").unlink()
    found = DEPLOYMENTS.scan(stored)
    assert found.tests == ()
    assert "onnxruntime-int8.npz: is missing; 'segbench deploy' does it again" in found.problems[0]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 1, "run": 3}'])
def test_a_damaged_record_is_told_and_stops_no_other(stored, text):
    (only(stored).parent / "eager-fp32.json").write_text(text)
    found = DEPLOYMENTS.scan(stored)
    assert len(found.tests) == 1
    assert "is no record of a test" in found.problems[0]


def test_a_record_of_a_newer_segbench_is_not_read(stored):
    document = json.loads(only(stored).read_text())
    only(stored).write_text(json.dumps({**document, "schema_version": 99}))
    with pytest.raises(StoreError, match="newer segbench"):
        DEPLOYMENTS.read(only(stored))


@pytest.mark.parametrize("counts", [(0, 0), (5, 6), (5, -1)])
def test_an_agreement_is_a_share(counts):
    with pytest.raises(ValidationError):
        Agreement(pixels=counts[0], equal=counts[1])
    assert Agreement(pixels=5, equal=5).share == 1.0


@pytest.mark.parametrize("wrong", [{"pixels": (1, -1)}, {"correct": (2, 3)}, {"confidence": (0.5,)}])
def test_confidence_bins_hold_parts_of_their_pixels(wrong):
    bins = {"pixels": (1, 2), "correct": (0, 2), "confidence": (0.1, 1.5)}
    assert Calibration.model_validate(bins).correct == (0, 2)
    with pytest.raises(ValidationError):
        Calibration.model_validate(bins | wrong)
