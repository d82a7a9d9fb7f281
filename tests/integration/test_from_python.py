"""The page on Python, run cell by cell as a notebook; and what only a notebook or a script can show."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from segbench.data.base import IGNORE_INDEX
from segbench.data.scenes.dataset import scenes

ROOT = Path(__file__).parents[2]
SECONDS = 800
"""Limit for a cell on a loaded machine; the whole page takes half a minute on an idle one."""


def cells_of(page):
    return re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def executed(sources, folder):
    """Run cells in a kernel, in a folder; return them with their outputs."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    return notebook.cells


def shown(cell, kind="text/plain"):
    """Return what a cell shows in one form: the results, displays and printed lines together."""
    texts = [output.data.get(kind, "") for output in cell.outputs if "data" in output]
    printed = [output.text for output in cell.outputs if output.output_type == "stream"]
    return "\n".join([*texts, *printed])


@pytest.fixture
def surroundings(monkeypatch, tmp_path):
    """The environment of a kernel that finds this segbench, and computes on one thread."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def labelled_pixels(split, **options):
    dataset = scenes(split, **options)
    return sum(int((dataset.read(index).label != IGNORE_INDEX).sum()) for index in range(len(dataset)))


def last(cells, text):
    """Return the last cell whose source holds a text."""
    return next(cell for cell in reversed(cells) if text in cell.source)


@pytest.mark.slow(reason="runs notebooks, each in a kernel that imports torch")
@pytest.mark.usefixtures("surroundings")
def test_every_example_of_the_page_on_python_runs_in_a_notebook(tmp_path):
    sources = cells_of((ROOT / "docs" / "python.md").read_text(encoding="utf-8"))
    cells = executed(sources, tmp_path)
    assert len(cells) == len(sources) > 10
    assert shown(cells[0]) == "(['U-Net', 'cnn'], 1)"
    assert "4 runs done, 0 done before, 0 left" in shown(cells[1])
    runs = last(cells, "load_results")
    assert shown(runs).count("completed") == 8
    assert "<table" in shown(runs, "text/html")
    ranked = last(cells, "leaderboard(runs)")
    assert "Protocol" in shown(ranked, "text/html")
    for label in ("U-Net", "cnn", "Pointwise", "Pointwise, wide"):
        assert label in shown(ranked, "text/html")
    assert shown(last(cells, "class_iou(runs)")).count("background") == 1
    matrix = shown(last(cells, "confusion_matrix")).splitlines()
    assert matrix[0].startswith("prediction")
    counted = [int(number) for row in matrix[2:] for number in row.split()[1:]]
    assert sum(counted) == 2 * labelled_pixels("test", size=(32, 32), train_images=8, test_images=4)  # of two seeds
    assert "accuracy-parameters" in shown(last(cells, "figure_names()"))
    drawn = last(cells, "segbench.figure(")
    assert drawn.outputs[-1].data["image/png"]
    assert (tmp_path / "class-iou.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow(reason="runs notebooks, each in a kernel that imports torch")
@pytest.mark.usefixtures("surroundings")
def test_a_changed_cell_is_another_network_and_the_same_cell_is_done_before(tmp_path):
    network = """
from torch import nn
import segbench
DEPTH = 1
def layers(channels, width):
    return nn.Sequential(*[nn.Conv2d(channels if not n else width, width, 1) for n in range(DEPTH)])
class Net(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.layers = nn.Sequential(layers(channels, 4), nn.Conv2d(4, classes, 1))
    def forward(self, images):
        return self.layers(images)
"""
    run = """
suite = segbench.load_suite({
    "name": "cells", "dataset": {"name": "scenes", "size": [16, 16], "train_images": 4, "test_images": 2},
    "transforms": {"train": ["normalize"], "test": ["normalize"]}, "models": [Net],
    "train": {"steps": 1, "batch_size": 2}, "seeds": [0]})
segbench.run_suite(suite)
"""
    first = executed([network, run, run, "DEPTH = 2", run, network, run], tmp_path)
    told = [shown(cell) for cell in first if cell.source == run]
    assert [re.findall(r"(\d+) runs done, (\d+) done before", text)[-1] for text in told] == [
        *(("1", "0"), ("0", "1"), ("1", "0"), ("0", "1"))
    ]
    assert "Net is defined in this notebook or prompt alone: its runs are done in this process" in told[0]
    assert "Net, seed 0: completed after" in first[1].outputs[0].data["text/html"]
    assert "all runs" not in first[1].outputs[0].data["text/html"]  # bars are gone when all is done
    (again,) = executed([network + run], tmp_path)  # another session
    assert "0 runs done, 1 done before" in shown(again)


SCRIPT = """
import segbench
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.layer = nn.Conv2d(channels, classes, 1)

    def forward(self, images):
        return self.layer(images)

if __name__ == "__main__":
    suite = segbench.load_suite({
        "name": "script", "dataset": {"name": "scenes", "size": [16, 16], "train_images": 4, "test_images": 2},
        "models": [Net], "train": {"steps": 1, "batch_size": 2}, "seeds": [0],
        "transforms": {"train": ["normalize"], "test": ["normalize"]}})
    print(segbench.run_suite(suite).complete)
"""


@pytest.mark.slow(reason="starts Python, which imports torch in two processes")
@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("way", ["file", "standard input"])
def test_a_network_of_a_script_runs_however_the_script_is_started(tmp_path, way):
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments, given = (["script.py"], None) if way == "file" else (["-"], SCRIPT)
    command = [sys.executable, *arguments]
    done = subprocess.run(command, input=given, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
    assert ("in this process" in done.stderr) == (way == "standard input")


@pytest.mark.slow(reason="starts Python, which imports torch in two processes")
@pytest.mark.usefixtures("surroundings")
def test_a_script_without_the_guard_is_told_of_it(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "a script has to call run_suite below 'if __name__ == \"__main__\":'" in done.stderr.splitlines()[-1]
