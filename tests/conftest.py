"""Fixtures that several packages' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from voc_tree import build_voc_tree

# Tests run side by side, one process a core; more threads than cores make each wait for the others.
os.environ["OMP_NUM_THREADS"] = "1"


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
