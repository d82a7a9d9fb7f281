"""Claims about output that is closed, full, or of an encoding that lacks characters: no traceback, nothing misread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stored import write_run

SEGBENCH = [sys.executable, "-m", "segbench"]


def run(*arguments, shell_end="", **variables):
    """Run a command by a shell, which can close streams."""
    command = " ".join(["exec", *SEGBENCH, *arguments, shell_end])
    return subprocess.run(
        ["/bin/sh", "-c", command], env=os.environ | variables, capture_output=True, text=True, check=False
    )


def test_a_closed_standard_output_is_no_error():
    done = run("suites", shell_end=">&-")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr


def test_a_closed_standard_error_is_no_error():
    done = run("suites", shell_end="2>&-")
    assert done.returncode == 0
    assert "quickstart" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is needed")
def test_a_full_disk_behind_the_output_is_told_in_one_line():
    done = run("suites", shell_end=">/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: the output cannot be written: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is needed")
def test_a_full_disk_behind_a_short_output_is_told_too():
    """A few bytes are written when the program ends; the exit code of the command itself is then not 0 either."""
    done = run("--version", shell_end=">/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: the output cannot be written: No space left on device"]


def test_what_an_encoding_lacks_is_a_question_mark(tmp_path):
    write_run(tmp_path, "日本")
    done = run("leaderboard", str(tmp_path), PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "??" in done.stdout
    assert "Traceback" not in done.stderr
