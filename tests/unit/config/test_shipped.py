"""Suites that come with segbench are found by name, wherever it is run from."""

import shutil
from pathlib import Path

import pytest

from segbench.config import load_suite, shipped
from segbench.config.shipped import shipped_suites, suite_path
from segbench.errors import SuiteError

SUITES = Path(__file__).parents[3] / "suites"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_suite_of_the_clone_is_found_by_name_from_anywhere(elsewhere):
    names = {file.stem for file in SUITES.glob("*.yaml")}
    assert {"quickstart", "voc"} <= names == set(shipped_suites())
    assert suite_path("quickstart").samefile(SUITES / "quickstart.yaml")


@pytest.mark.parametrize("written", ["voc", "voc.yaml", "./voc", "other/voc"])
def test_a_file_of_that_name_goes_first(elsewhere, written):
    own = elsewhere / written
    own.parent.mkdir(exist_ok=True)
    shutil.copy(SUITES / "quickstart.yaml", own)
    assert suite_path(written) == Path(written)


@pytest.mark.parametrize("written", ["voc.yaml", "suites/voc", "../voc", "vocc"])
def test_a_path_and_an_unknown_name_stay_what_they_are(elsewhere, written):
    assert suite_path(written) == Path(written)


def test_a_folder_of_that_name_does_not_hide_the_suite(elsewhere):
    (elsewhere / "voc").mkdir()
    assert suite_path("voc").resolve() == (SUITES / "voc.yaml").resolve()


@pytest.mark.parametrize(
    ("given", "said"), [("quickstrat", "did you mean 'quickstart'?"), ("mine", "known: ablation, camvid, ")]
)
def test_an_unknown_name_is_told_with_the_near_one(elsewhere, given, said):
    with pytest.raises(SuiteError, match="there is no such file") as caught:
        load_suite(given)
    assert said in str(caught.value)


def test_the_package_holds_the_suites_where_it_lies_in_no_clone(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "segbench"
    (package / "suites").mkdir(parents=True)
    shutil.copy(SUITES / "voc.yaml", package / "suites")
    foreign = package.parent / "suites"
    foreign.mkdir()
    shutil.copy(SUITES / "tuned.yaml", foreign)
    monkeypatch.setattr(shipped, "_FOLDERS", (foreign, package / "suites"))
    assert shipped_suites() == {"voc": package / "suites" / "voc.yaml"}
