"""suites."""

from pathlib import Path

import yaml

SUITES = Path(__file__).parents[4] / "suites"


def test_shipped_suites_are_listed_with_what_they_compare(segbench):
    listed = {one["name"]: one for one in segbench("suites", "--json").json}
    assert set(listed) == {file.stem for file in SUITES.glob("*.yaml")}
    for name, one in listed.items():
        document = yaml.safe_load((SUITES / f"{name}.yaml").read_text())
        assert one["networks"] == len(document["models"])
        assert one["description"]
    text = segbench("suites").out
    assert all(name in text for name in listed)


def test_a_listed_suite_is_planned_by_its_name(segbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = segbench("plan", "quickstart", "--json")
    assert answer.code == 0
    assert len(answer.json["runs"]) == 18
    assert answer.json["suite"] == "quickstart"
