"""The page for newcomers, typed from the first command to the last in a folder of their own."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import sysconfig

import doc_commands
import numpy as np
import pytest
from foreign_checkpoint import files
from PIL import Image

PAGE = doc_commands.ROOT / "docs" / "first-steps.md"
MOST_COMMANDS = 10
INSTALLATION, SETTING = "python3 -m venv", "export PYTHONPATH="
ENTERING = "if [ -d .venv ]; then . .venv/bin/activate; fi"
"""What a new shell does that goes on where another one stopped."""
IMAGES = 60
"""As many as need no cross-validation."""

TRIES = 3
"""A machine that begins or ends other work between two measurements has become slower or faster in truth."""


def lines_of(block):
    """Return the commands of a block as they are typed, one a line."""
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


def typed():
    """Return the page's commands, block by block."""
    text = PAGE.read_text(encoding="utf-8")
    return [lines_of(block) for block in re.findall(r"^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)]


def test_a_newcomer_needs_at_most_ten_commands():
    commands = [command for block in typed() for command in block]
    assert len(commands) <= MOST_COMMANDS
    assert commands[0].startswith(INSTALLATION)
    parts = [command for command in commands[1:] if "&&" in command or ";" in command]
    assert parts == []


@pytest.fixture
def folder(tmp_path):
    """A newcomer's folder beside a clone: sixty pictures of a bright thing on dark ground, and the page's network."""
    if not (doc_commands.ROOT / ".git").exists():
        pytest.skip("this is no clone")
    subprocess.run(["git", "clone", "-q", doc_commands.ROOT, tmp_path / "segbench"], check=True)
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/bash\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return build(tmp_path / "my-work")


def build(folder):
    """Make the folder; return it."""
    for part in ("images", "masks"):
        (folder / "my-data" / part).mkdir(parents=True)
    for number in range(IMAGES):
        rows, columns = np.mgrid[:32, :48]
        thing = (rows - 8 - number % 16) ** 2 + (columns - 8 - number % 31) ** 2 < 36 + number
        texture = (rows * 37 + columns * 91 + number * 53 + rows * columns * 13) % 97
        image = np.stack([40 + 90 * thing + texture, 60 + 40 * thing + texture, 90 + 0 * thing + texture], axis=-1)
        Image.fromarray(image.astype(np.uint8)).save(folder / "my-data" / "images" / f"{number:04}.png")
        Image.fromarray(thing.astype(np.uint8)).save(folder / "my-data" / "masks" / f"{number:04}.png")
    for name, text in files(PAGE).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run(folder, *commands):
    """Run commands in one shell, as a newcomer types them; stop at the first that fails.

    The packages that segbench needs are found beside the new environment, so that pip fetches none.
    """
    setting = next(command for block in typed() for command in block if command.startswith(SETTING))
    environment = {
        "PATH": os.pathsep.join([str(folder.parent / "bin"), os.environ["PATH"]]),
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # to pip, this says: build with the packages that are here
        "COLUMNS": "200",
    }
    script = "\n".join([ENTERING, setting, *(command for command in commands if command != setting)])
    return subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def done(folder, *commands):
    """Run commands that end without an error; return what they print."""
    found = run(folder, *commands)
    assert found.returncode == 0, f"{commands}\n{found.stdout}\n{found.stderr}"
    return found.stdout


def take_networks_of_page(suite):
    """Replace the networks of a suite by those that the page shows."""
    (shown,) = re.findall(r"^```yaml\n(models:\n.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    text, count = re.subn(r"^models:.*\n(?:  .*\n)+", shown, suite.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1
    suite.write_text(text, encoding="utf-8")


def make_slower(network):
    """Compute the layers twice, as the page suggests."""
    text = network.read_text(encoding="utf-8")
    slower = text.replace("        return self", "        self.layers(images)\n        return self")
    assert slower != text
    network.write_text(slower, encoding="utf-8")


@pytest.mark.slow(reason="trains nine networks and measures one in some thirty fresh processes, as newcomers would")
def test_a_newcomers_network_is_ranked_and_guarded_by_the_commands_of_the_page(folder):
    data, compare, (save, check) = typed()
    done(folder, *data)
    where = done(folder, "cd / && python -c 'import segbench; print(segbench.__file__)'")
    assert where.startswith(str(folder / ".venv"))
    take_networks_of_page(folder / "my-data" / "suite.yaml")
    *_, leaderboard = [done(folder, command) for command in compare]
    assert all(re.search(rf"^[123] +{name} ", leaderboard, flags=re.MULTILINE) for name in ("mine", "unet", "segnet"))
    with (folder / "reports" / "my-data" / "leaderboard.csv").open(encoding="utf-8") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert {name: row["seeds"] for name, row in rows.items()} == {"mine": "3", "unet": "3", "segnet": "3"}
    assert (folder / "reports" / "my-data" / "index.html").is_file()

    assert 0 in (run(folder, save, check).returncode for _ in range(TRIES))
    make_slower(folder / "my_network.py")
    slower = run(folder, check)
    assert slower.returncode == 1, f"{slower.stdout}\n{slower.stderr}"
    assert "regressed" in slower.stdout
