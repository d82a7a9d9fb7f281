from pathlib import Path

import pytest

from segbench.data.paths import candidates, locate, user_cache_folder, user_data_folder
from segbench.errors import MissingDataError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("SEGBENCH_DATA", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path / "share" / "segbench"


def test_an_explicit_root_is_the_only_candidate(home, monkeypatch):
    monkeypatch.setenv("SEGBENCH_DATA", "/elsewhere")
    assert candidates("camvid", "/given") == (Path("/given"),)


def test_the_variable_goes_before_the_users_folder(home, monkeypatch):
    assert candidates("camvid", None) == (home / "camvid",)
    monkeypatch.setenv("SEGBENCH_DATA", "/elsewhere")
    assert candidates("camvid", None) == (Path("/elsewhere/camvid"), home / "camvid")


def test_the_first_candidate_that_holds_the_data_is_taken(home, monkeypatch, tmp_path):
    monkeypatch.setenv("SEGBENCH_DATA", str(tmp_path / "data"))
    (home / "camvid").mkdir(parents=True)
    assert locate("camvid", None, holds=Path.is_dir, remedy="") == home / "camvid"
    (tmp_path / "data" / "camvid").mkdir(parents=True)
    assert locate("camvid", None, holds=Path.is_dir, remedy="") == tmp_path / "data" / "camvid"


def test_missing_data_says_where_it_looked_and_what_to_do(home, monkeypatch):
    monkeypatch.setenv("SEGBENCH_DATA", "/elsewhere")
    with pytest.raises(MissingDataError) as caught:
        locate("camvid", None, holds=Path.is_dir, remedy="Fetch it.")
    message = str(caught.value)
    assert all(part in message for part in ("/elsewhere/camvid", str(home / "camvid"), "SEGBENCH_DATA", "Fetch it."))
    assert "\n" not in message


@pytest.mark.parametrize(
    ("platform", "variables", "data", "cache"),
    [
        ("linux", {}, ".local/share/segbench", ".cache/segbench"),
        ("darwin", {}, "Library/Application Support/segbench", "Library/Caches/segbench"),
        ("win32", {"LOCALAPPDATA": "HOME/AppData/Local"}, "AppData/Local/segbench", "AppData/Local/segbench"),
    ],
)
def test_each_platform_has_its_usual_folders(monkeypatch, tmp_path, platform, variables, data, cache):
    for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value.replace("HOME", str(tmp_path)))
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_data_folder() == tmp_path / data
    assert user_cache_folder() == tmp_path / cache
