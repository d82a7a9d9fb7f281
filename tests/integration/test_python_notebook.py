"""The page on Python, run cell by cell as a notebook; and what only a notebook can show."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
SECONDS = 280
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
