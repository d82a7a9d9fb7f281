"""Claims about which runs are of one network."""

from __future__ import annotations

from segbench.report.runs.load import load_results
from segbench.report.runs.network_identity import disambiguate_labels, drop_copies, network_key
from segbench.results.record import Outcome, Status

FAILED = Outcome(status=Status.FAILED, reason="out of memory")


def test_telling_networks_apart_twice_changes_nothing(add, results):
    add("unet", options={"width": 1.0})
    add("unet", options={"width": 0.5, "norm": "none"})
    once = disambiguate_labels(load_results(results))
    assert set(once["model"]) == {"unet (width=1.0)", "unet (norm=none, width=0.5)"}
    assert list(disambiguate_labels(once)["model"]) == list(once["model"])


def test_a_network_is_its_label_factory_options_weights_and_code(add, results):
    add("mine", name="unet", options={"width": 0.5, "norm": None}, weights_digest="abc", source_digest="def")
    (run,) = load_results(results).itertuples()
    assert network_key(run) == ("mine", "unet", '{"norm": null, "width": 0.5}', "abc", "def")


def test_changed_code_is_another_network_and_no_copy(add, results):
    add("mine", suite="before", source_digest="old")
    add("mine", suite="after", source_digest="new")
    runs = disambiguate_labels(load_results(results))
    assert list(drop_copies(runs)["model"]) == ["mine", "mine #2"]


def test_a_copied_run_is_kept_once_and_one_on_other_test_data_is_no_copy(add, results):
    add("a", suite="one")
    add("a", suite="two")
    add("a", suite="three", test_digest="other")
    assert list(drop_copies(load_results(results))["suite"]) == ["one", "three"]


def test_failures_are_copies_when_their_test_split_is_the_same(add, results):
    for suite, mark in (("one", "x"), ("two", "x"), ("three", "y")):
        add("a", suite=suite, test_digest=None, fingerprints={"test": mark}, outcome=FAILED)
    assert sorted(drop_copies(load_results(results))["suite"]) == ["one", "three"]


def test_failures_are_copies_when_their_test_files_decode_to_the_same_pixels(add, results):
    for suite, mark, pixels in (("one", "png", "p"), ("two", "webp", "p"), ("three", "jpg", "q")):
        given = {"fingerprints": {"test": mark}, "pixel_digests": {"test": pixels}}
        add("a", suite=suite, test_digest=None, outcome=FAILED, **given)
    assert sorted(drop_copies(load_results(results))["suite"]) == ["one", "three"]
