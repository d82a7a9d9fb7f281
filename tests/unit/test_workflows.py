"""What the workflows on GitHub run is pinned, may do little, and is kept up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
if not WORKFLOWS:
    pytest.skip("an unpacked package has no workflows", allow_module_level=True)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+")


def problems(text):
    """Return the actions of other repositories that are not pinned by hash, with their version beside it."""
    used = re.findall(r"^\s*-?\s*['\"]?uses['\"]?:\s*(.+?)\s*$", text, flags=re.MULTILINE)
    return [name for name in used if not name.startswith("./") and not PINNED.fullmatch(name)]


def steps(file):
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [step for job in document.get("jobs", {"runs": document.get("runs")}).values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", [*WORKFLOWS, *ACTIONS], ids=lambda file: file.name)
def test_every_action_is_pinned_by_its_hash_with_the_version_beside_it(workflow):
    text = workflow.read_text(encoding="utf-8")
    assert problems(text) == []
    assert len(re.findall(PINNED, text)) == sum(not step.get("uses", "./").startswith("./") for step in steps(workflow))


def test_an_action_of_ones_own_exists_where_a_workflow_uses_it():
    own = {step["uses"] for file in WORKFLOWS for step in steps(file) if step.get("uses", "").startswith("./")}
    assert own == {f"./{file.parent.relative_to(ROOT)}" for file in ACTIONS}


def test_one_version_of_an_action_has_one_hash_everywhere():
    pins = {pin for file in [*WORKFLOWS, *ACTIONS] for pin in re.findall(PINNED, file.read_text(encoding="utf-8"))}
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)


@pytest.mark.parametrize(
    "line",
    [
        "- uses: actions/checkout@v4",
        "- uses: actions/checkout@main  # v4.3.1",
        "- uses: actions/checkout@34e114876b0b11c390a56381ad16ebd13914f8d5",
        "- uses: actions/checkout@34e114876b0b11c390a56381ad16ebd13914f8d  # v4.3.1",
        "- uses: actions/checkout@34e114876b0b11c390a56381ad16ebd13914f8d5  # v4",
        "uses: 'docker://alpine:3'",
        "  uses: other/repository/.github/workflows/shared.yml@main",
    ],
)
def test_what_can_be_moved_is_found(line):
    assert problems(f"steps:\n  {line}\n") != []
    assert problems("steps:\n  - uses: ./local\n") == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_may_only_read_the_repository(workflow):
    document = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert document["permissions"] == {"contents": "read"}
    assert [job for job in document["jobs"].values() if "permissions" in job] == []
    assert "pull_request_target" not in document[True]  # YAML's name of `on`


def test_the_pinned_packages_are_audited_every_week_and_when_they_change():
    document = yaml.safe_load((ROOT / ".github/workflows/audit.yml").read_text(encoding="utf-8"))
    assert document[True]["schedule"]
    assert {"constraints.txt", "pyproject.toml"} <= set(document[True]["pull_request"]["paths"])
    commands = [step["run"] for step in steps(ROOT / ".github/workflows/audit.yml") if "run" in step]
    assert commands[-1] in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "--strict" in commands[-1]


def test_pins_are_moved_by_dependabot():
    document = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))
    updates = {update["package-ecosystem"]: update for update in document["updates"]}
    assert {"github-actions", "pip"} <= set(updates)
    assert set(updates["github-actions"]["directories"]) == {
        "/",
        *(f"/{file.parent.relative_to(ROOT)}" for file in ACTIONS),
    }
