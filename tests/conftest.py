"""Fixtures that several packages' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from voc_tree import build_voc_tree

# Tests run side by side, one process a core; more threads than cores make each wait for the others.
os.environ["OMP_NUM_THREADS"] = "1"
# Some hundred processes would otherwise compile the package anew, each for two seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items):
    """Have every test that is left out of the fast command say why."""
    unexplained = {item.nodeid for item in items for mark in item.iter_markers("slow") if not mark.kwargs.get("reason")}
    if unexplained:
        raise pytest.UsageError(f"write @pytest.mark.slow(reason=…) at {', '.join(sorted(unexplained))}")


@pytest.fixture
def voc_tree(tmp_path):
    """Return the root of a small VOC 2012 tree."""
    return build_voc_tree(tmp_path / "voc2012")


@pytest.fixture
def camvid_root():
    """Return the real CamVid, or skip the test."""
    shared = os.environ.get("SEGBENCH_DATA")
    if not shared or not (Path(shared) / "camvid" / "train").is_dir():
        pytest.skip("needs CamVid: set SEGBENCH_DATA to a folder that holds camvid/")
    return Path(shared) / "camvid"
