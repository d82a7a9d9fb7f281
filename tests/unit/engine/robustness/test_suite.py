"""Trained networks are tested again under every condition, once; what fails is a row, and the others go on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.sections.robustness import Robustness
from segbench.config.suite import Suite
from segbench.engine.robustness.suite import open_tests, retest_networks
from segbench.engine.suite.planning import planned
from segbench.engine.suite.run_suite import run_suite
from segbench.errors import UsageError
from segbench.results.record import Status
from segbench.results.retests.store import ROBUSTNESS
from segbench.results.store import Store

BLOCK = Robustness(corruptions=("fog", "elastic_transform"), severities=(2,), images=4, train_split=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny suite of two networks, trained."""
    results = tmp_path_factory.mktemp("results")
    suite = Suite.model_validate(document(train={"epochs": 1, "keep_weights": True}, loader={"cache": "none"}))
    run_suite(suite, results=results, in_process=True)
    return suite, results


def opened(suite, results, block=BLOCK):
    """Return what is open."""
    store = Store(results, suite.name)
    return open_tests(planned(suite, store).shown, store, block), store


@pytest.mark.slow(reason="trains networks")
def test_every_network_is_tested_under_every_condition_on_equal_images(trained):
    suite, results = trained
    tests, store = opened(suite, results)
    assert tests.count == 6
    retest_networks(tests, store, device="cpu")
    found = ROBUSTNESS.scan(store.folder / ROBUSTNESS.folder)
    assert found.problems == ()
    assert {test.record.status for test in found.tests} == {Status.COMPLETED}
    digests = {(test.record.condition.key, test.record.test_digest) for test in found.tests}
    assert len(digests) == 3  # under each condition, both networks were fed the same
    fog = [test for test in found.tests if test.record.condition.key == "fog-2"]
    assert all(len(test.matrices().names) == 4 for test in fog)
    assert np.array_equal(*(test.matrices().matrices.sum(axis=2) for test in fog))  # the same labels
    assert opened(suite, results)[0].count == 0
    fog[0].matrices_file.unlink()
    assert opened(suite, results)[0].count == 1
    assert opened(suite, results, BLOCK.model_copy(update={"images": 3}))[0].count == 6


def test_runs_without_weights_are_named(trained, tmp_path):
    suite, results = trained
    store = Store(results, suite.name)
    runs = planned(suite, store).shown
    weights = store.folder / runs[0].id / "checkpoint.safetensors"
    weights.rename(tmp_path / "kept")
    try:
        tests, _ = opened(suite, results)
        assert [run.id for run in tests.without_weights] == [runs[0].id]
    finally:
        (tmp_path / "kept").rename(weights)


def test_a_network_whose_weights_are_damaged_is_a_row_and_the_other_goes_on(trained):
    suite, results = trained
    block = BLOCK.model_copy(update={"corruptions": ("contrast",), "train_split": False})
    tests, store = opened(suite, results, block)
    first = tests.batches[0].networks[0]
    whole = first.checkpoint.read_bytes()
    first.checkpoint.write_bytes(whole[: len(whole) // 2])
    try:
        retest_networks(tests, store, device="cpu")
    finally:
        first.checkpoint.write_bytes(whole)
    records = {
        test.record.run: test.record
        for test in ROBUSTNESS.scan(store.folder / ROBUSTNESS.folder).tests
        if test.record.condition.name == "contrast"
    }
    assert records[first.run.id].status is Status.FAILED
    assert records[first.run.id].reason
    assert sorted(record.status for record in records.values()) == [Status.COMPLETED, Status.FAILED]
    again, _ = opened(suite, results, block)
    assert [network.run.id for batch in again.batches for network in batch.networks] == [first.run.id]


def test_a_suite_refuses_corruptions_that_there_are_not():
    with pytest.raises(Exception, match="'rain' is none of"):
        check(document(robustness={"corruptions": ["rain"]}))


def scenes(**changes):
    return {"label": "other", "dataset": document()["dataset"] | changes}


@pytest.mark.parametrize(
    ("dataset", "block", "told"),
    [
        (
            {"things": ["disc"]},
            {"datasets": [scenes(things=["disc", "fence"])]},
            "scenes has classes that scenes has not",
        ),
        ({}, {"datasets": [scenes(), scenes(test_split="tset") | {"label": "second"}]}, r"datasets\[1\]: .*'tset'"),
    ],
    ids=["classes that stand for none", "no such split"],
)
def test_conditions_that_cannot_be_tested_are_refused_before_anything_is_trained(tmp_path, dataset, block, told):
    changes = {"dataset": dataset} if dataset else {}
    suite = Suite.model_validate(document(robustness={"corruptions": None, **block}, **changes))
    with pytest.raises(UsageError, match=told):
        run_suite(suite, results=tmp_path, in_process=True)
    assert not list(tmp_path.glob("*/*/run.json"))


def grey_images(root):
    """Write a folder of grey images, and return its entry."""
    from PIL import Image

    for number, (kind, split) in enumerate(itertools.product(("images", "masks"), ("train", "test"))):
        (root / kind / split).mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 2 if kind == "masks" else 256, (32, 32), np.uint8)
        Image.fromarray(pixels).save(root / kind / split / f"{split}.png")
    return {"name": "folder", "root": str(root), "classes": ["a", "b"], "channels": 1}


def test_a_corruption_that_is_not_for_these_images_is_refused_before_anything_is_trained(tmp_path):
    measured = [{"name": "normalize", "statistics": "measured"}]
    changes = {"dataset": grey_images(tmp_path / "data"), "transforms": {"train": measured, "test": measured}}
    changes["train"] = {"epochs": 1, "batch_size": 1, "optimizer": {"name": "adamw", "lr": 0.003}}
    whole = {**document(), **changes, "robustness": {"corruptions": ["fog", "snow"], "severities": [1]}}
    with pytest.raises(UsageError, match="snow is for 8-bit RGB images"):
        run_suite(Suite.model_validate(whole), results=tmp_path / "results", in_process=True)
    assert not list((tmp_path / "results").glob("*/*/run.json"))


def test_other_data_of_another_kind_is_refused_before_anything_is_trained(tmp_path):
    other = {"label": "grey", "dataset": grey_images(tmp_path / "data"), "classes_map": {"a": "disc", "b": None}}
    suite = Suite.model_validate(document(robustness={"corruptions": None, "datasets": [other]}))
    with pytest.raises(UsageError, match=r"datasets\[0\]: folder: its images have .*; the networks take "):
        run_suite(suite, results=tmp_path / "results", in_process=True)
    assert not list((tmp_path / "results").glob("*/*/run.json"))
