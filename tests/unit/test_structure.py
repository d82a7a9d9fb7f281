"""The code lies in rooms, its map shows them as they are, and nothing in it is too long."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def write(root, texts):
    """Write modules below ``root/segbench``, by their path without ``.py``."""
    for name, text in texts.items():
        file = root / "segbench" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_no_folder_function_or_module_is_above_its_limit_and_no_imports_go_in_a_circle():
    from structure import excesses, read_modules

    assert excesses(read_modules(ROOT)) == []


def test_the_figure_of_the_map_is_what_the_imports_say():
    drawn = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "structure_figure.py"], capture_output=True, text=True, check=True
    )
    assert drawn.stdout == (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")


def test_the_map_names_every_room_and_nothing_that_is_not_there():
    from structure import read_modules, rooms

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in rooms(read_modules(ROOT)):
        assert f"`{Path(room).name}`" in text or room == "segbench", room
    paths = [word.strip("`.,;:()") for word in text.split() if "/" in word and word.startswith(("`", "(`"))]
    known = ("segbench/", "suites/", "docs/", "benchmarks/")
    places = [ROOT / path if path.startswith(known) else ROOT / "segbench" / path for path in paths]
    assert len(places) > 20
    assert [place for place in places if not place.exists()] == []


def test_what_is_too_long_is_found(tmp_path):
    from structure import excesses, read_modules

    long = "def f():\n" + "    x = 1\n" * 60
    write(tmp_path, {"__init__": "", "room/__init__": "", "room/a": "x = 1\n" * 401, "room/b": long})
    write(tmp_path, {f"room/m{number}": "" for number in range(15)})
    assert excesses(read_modules(tmp_path)) == [
        "segbench/room: 17 modules, at most 16",
        "segbench.room.a: 401 lines, at most 400",
        "segbench.room.b.f: 61 lines, at most 60",
    ]


def test_a_circle_is_found_also_through_functions_and_not_through_what_checkers_alone_read(tmp_path):
    from structure import circles, read_modules

    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from segbench.a import x\n"
    write(tmp_path, {"__init__": "", "a": "from segbench.b import y\n", "b": "from segbench import c\n", "c": typed})
    assert circles(read_modules(tmp_path)) == []
    write(tmp_path, {"c": "def f():\n    from segbench.a import x\n"})
    found = circles(read_modules(tmp_path))
    assert found[0] == found[-1]
    assert set(found) == {"segbench.a", "segbench.b", "segbench.c"}
