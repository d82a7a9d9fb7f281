"""The learning curve on disk."""

from __future__ import annotations

import pandas as pd

from segbench.engine.training.history import History


def test_lines_are_on_disk_as_soon_as_they_are_added(tmp_path):
    history = History(tmp_path / "history.csv")
    for epoch in range(1, 4):
        history.add({"epoch": epoch, "loss": 1 / epoch})
        assert pd.read_csv(history.file)["epoch"].tolist() == list(range(1, epoch + 1))


def test_columns_that_appear_later_are_empty_before(tmp_path):
    history = History(tmp_path / "history.csv")
    history.add({"epoch": 1, "loss": 0.5})
    history.add({"epoch": 2, "loss": 0.25, "validation_mean_iou": 0.75})
    history.add({"epoch": 3, "loss": 0.125})
    frame = pd.read_csv(history.file)
    assert list(frame.columns) == ["epoch", "loss", "validation_mean_iou"]
    assert frame["validation_mean_iou"].isna().tolist() == [True, False, True]
    assert frame["loss"].tolist() == [0.5, 0.25, 0.125]
