"""Suites from elsewhere: their code is named before it runs, can be refused, and is never run to validate them."""

from __future__ import annotations

import os
import sys

import pytest
from tiny import document

from segbench.config.foreign_code import foreign_modules, refuse_foreign_code
from segbench.config.load import check
from segbench.errors import UsageError
from segbench.import_path import NO_CODE, import_attribute
from segbench.registry import MODELS, Entry

OWN = {"models": ["unet", {"name": "python:misbehaving.pointwise", "label": "own"}]}
FOREIGN = {"train": {"loss": ["cross_entropy", "python:elsewhere.losses.mine"]}, "metrics": ["python:elsewhere.skill"]}


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv(NO_CODE, "0")


def test_a_suite_of_our_own_parts_runs_no_other_code():
    assert foreign_modules(check(document(models=["unet", "torchvision:fcn_resnet50"]))) == {}


def test_every_part_that_is_imported_from_elsewhere_is_named():
    assert foreign_modules(check(document(**OWN, **FOREIGN))) == {
        "python:misbehaving.pointwise": "misbehaving",
        "python:elsewhere.losses.mine": "elsewhere.losses",
        "python:elsewhere.skill": "elsewhere",
    }
    assert "elsewhere" not in sys.modules


def test_parts_of_other_packages_are_named_by_their_modules(monkeypatch):
    known, entries = MODELS.entries() | {"theirs": Entry("theirs", "their_package.models:Net")}, type(MODELS).entries
    monkeypatch.setattr(type(MODELS), "entries", lambda self: known if self is MODELS else entries(self))
    suite = check(document())
    named = suite.model_copy(update={"models": (suite.models[0].model_copy(update={"name": "theirs"}),)})
    assert foreign_modules(named) == {"theirs": "their_package.models"}


def test_code_from_elsewhere_is_refused_and_stays_refused():
    with pytest.raises(UsageError, match=r"--no-code: .*python:misbehaving\.pointwise \(module misbehaving\)"):
        refuse_foreign_code(check(document(**OWN)))
    assert os.environ[NO_CODE] == "1"  # which processes of runs inherit
    with pytest.raises(UsageError, match=r"python:json\.loads: is code that is not segbench's"):
        import_attribute("python:json.loads", "json.loads")
    with pytest.raises(UsageError, match="theirs: is code that is not segbench's"):
        Entry("theirs", "json:loads").load()


def test_without_such_parts_nothing_is_refused():
    refuse_foreign_code(check(document()))
    assert callable(MODELS.find("unet").entry.load())
