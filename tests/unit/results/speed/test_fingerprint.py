"""Fingerprints: every hard key that differs is named."""

from __future__ import annotations

import pytest
from speed_cases import changed_fingerprint, fingerprint

from segbench.results.speed.fingerprint import HARD_KEYS, SOFT_KEYS, differences


def test_a_machine_equals_itself():
    assert differences(fingerprint(), fingerprint(), keys=HARD_KEYS + SOFT_KEYS) == []


@pytest.mark.parametrize("key", HARD_KEYS)
def test_every_hard_key_that_changes_is_named_with_both_values(key):
    (found,) = differences(fingerprint(), changed_fingerprint(key, "other"), keys=HARD_KEYS)
    assert found.key == key
    assert str(found).startswith(f"{key}: 'some ")
    assert str(found).endswith("'other' now")


@pytest.mark.parametrize("key", SOFT_KEYS)
def test_soft_keys_are_not_among_the_hard_ones(key):
    assert differences(fingerprint(), changed_fingerprint(key, "other"), keys=HARD_KEYS) == []
    assert [found.key for found in differences(fingerprint(), changed_fingerprint(key, "other"), keys=SOFT_KEYS)] == [
        key
    ]


def test_what_a_fingerprint_lacks_is_not_the_same_as_null():
    lacking = fingerprint()
    del lacking["processor"]
    (found,) = differences(changed_fingerprint("processor", None), lacking, keys=("processor",))
    assert str(found) == "processor: None before, missing now"


def test_two_fingerprints_that_lack_a_key_do_not_differ_in_it():
    assert differences({}, {}, keys=("processor",)) == []


def test_without_an_accelerator_its_keys_are_null():
    before, now = fingerprint() | {"accelerator": None}, fingerprint()
    found = differences(before, now, keys=HARD_KEYS)
    assert [difference.key for difference in found] == [
        "accelerator.name",
        "accelerator.memory_bytes",
        "accelerator.driver",
    ]
    assert all(difference.before is None for difference in found)
