"""Claims about the threads of a run: the suite's number, whoever does it, and nobody else's is changed."""

from __future__ import annotations

import pytest
import torch
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.concurrency import device_type, usable_cores
from segbench.engine.launchers.local import Parallel, Sequential
from segbench.engine.suite.run_suite import run_suite
from segbench.errors import SuiteError, UsageError
from segbench.results.arrays.matrices import load_matrices
from segbench.results.run_files import CONFUSION_FILE

pytestmark = pytest.mark.slow(reason="trains several runs at once")

SMALL = {"models": ["cnn"], "train": {"epochs": 1}}


@pytest.fixture
def three_threads():
    """Give this process three threads, as ``OMP_NUM_THREADS=3`` would."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_computes_with_the_threads_of_its_suite_and_its_record_says_so(tmp_path, three_threads, threads):
    suite = check(document(**SMALL, threads=threads))
    (record,) = run_suite(suite, results=tmp_path, device="cpu", in_process=True).records
    assert record.environment["threads"] == threads
    assert torch.get_num_threads() == 3


def test_several_at_once_end_with_the_bits_of_one_after_the_other(tmp_path):
    suite = check(document(models=["cnn", "unet"], train={"epochs": 1}))
    stored = []
    for name, launcher in (("one", Sequential("cpu")), ("two", Parallel(2, devices=["cpu"], cores=64))):
        outcome = run_suite(suite, results=tmp_path / name, device="cpu", launcher=launcher)
        assert [record.environment["threads"] for record in outcome.records] == [1, 1]
        files = [outcome.store.folder_of(record.id) / CONFUSION_FILE for record in outcome.records]
        stored.append([load_matrices(file).matrices.tolist() for file in files])
    assert stored[0] == stored[1]


def test_threads_are_no_part_of_what_a_run_is():
    one, four = (plan(check(document(**SMALL, **changes))) for changes in ({}, {"threads": 4}))
    assert [(run.id, run.identity, run.protocol_id) for run in one] == [
        (run.id, run.identity, run.protocol_id) for run in four
    ]
    assert ([run.threads for run in one], [run.threads for run in four]) == ([1], [4])


@pytest.mark.parametrize("threads", [0, -1, "all", None])
def test_what_is_no_number_of_threads_is_refused_by_name(threads):
    with pytest.raises(SuiteError, match="threads"):
        check(document(threads=threads))


def test_this_process_may_use_a_core_and_a_device_is_known_by_its_kind():
    assert usable_cores() >= 1
    assert device_type("cpu") == "cpu"
    with pytest.raises(UsageError, match="--device 'abacus'"):
        device_type("abacus")
