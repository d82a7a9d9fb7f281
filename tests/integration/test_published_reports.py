"""What is published can be computed again from the published facts."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from segbench.cli.app import app

PUBLISHED = Path(__file__).parents[2] / "published"
NAMES = sorted(page.parent.name for page in (PUBLISHED / "reports").glob("*/leaderboard.md"))

pytestmark = [
    pytest.mark.slow(reason="resamples the test images of all published results"),
    pytest.mark.skipif(not NAMES, reason="the published results are in the repository only"),
]


def segbench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", NAMES)
def test_a_published_report_is_what_its_command_writes(name, tmp_path):
    found = segbench("report", PUBLISHED / "results" / name, "--out", tmp_path)
    assert found.exit_code == 0, found.output
    committed = PUBLISHED / "reports" / name / "leaderboard.md"
    written = tmp_path / name / "leaderboard.md"
    assert written.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_with_published_results_and_their_leaderboard(name):
    leaderboard = PUBLISHED / "reports" / name / "leaderboard.json"
    found = segbench("results", "verify", PUBLISHED / "results" / name, "--no-data", "--leaderboard", leaderboard)
    assert found.exit_code == 0, found.output
