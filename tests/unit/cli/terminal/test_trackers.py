"""Claims about trackers: every event a line of JSON, and curves where TensorBoard and MLflow are installed."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from segbench.cli.terminal.trackers import EventLog, tracking
from segbench.engine.events import EpochEnded, Notice, Progress, RunEnded, RunStarted
from segbench.errors import StoreError, UsageError
from segbench.results.record import Status

EVENTS = [
    RunStarted("unet-seed0", "U-Net", 0, 1, 1),
    Progress("unet-seed0", "training", 1, 2, "steps", {"loss": float("nan")}),
    EpochEnded("unet-seed0", {"epoch": 1, "step": 2, "loss": 0.5, "validation_mean_iou": 0.25}),
    Notice("a ü <note>"),
    RunEnded("unet-seed0", "U-Net", Status.COMPLETED, None, 1.5, 0.75),
]


def tell_all(observer):
    for event in EVENTS:
        observer(event)


def test_every_event_is_a_line_of_json_beside_what_was_there(tmp_path):
    file, told = tmp_path / "new" / "events.jsonl", []
    for _ in range(2):
        with tracking(told.append, suite="s", events=file) as observer:
            tell_all(observer)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert told == EVENTS * 2
    assert [line["event"] for line in lines] == [type(event).__name__ for event in EVENTS] * 2
    assert lines[1]["fields"] == {"loss": None}
    assert lines[2]["figures"]["validation_mean_iou"] == 0.25
    assert lines[3]["text"] == "a ü <note>"
    assert lines[4]["status"] == "completed"
    assert lines[0]["time"].endswith("+00:00")


def test_a_torn_last_line_takes_no_other_with_it(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text('{"event": "RunStar')
    with tracking(print, suite="s", events=file) as observer:
        observer(EVENTS[0])
    torn, whole = file.read_text().splitlines()
    assert torn == '{"event": "RunStar'
    assert json.loads(whole)["event"] == "RunStarted"


def test_events_can_go_into_a_pipe(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    with tracking(print, suite="s", events=pipe) as observer:
        observer(EVENTS[0])
    reader.join(300)
    assert json.loads(read[0])["event"] == "RunStarted"


def test_a_line_is_in_the_file_before_the_next_event(tmp_path):
    with (tmp_path / "events.jsonl").open("w") as stream:
        EventLog(stream)(EVENTS[0])
        assert (tmp_path / "events.jsonl").read_text().count("\n") == 1


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"events\.jsonl: cannot be written"),
        tracking(print, suite="s", events=tmp_path / "file" / "events.jsonl"),
    ):
        pass


def test_a_full_disk_ends_the_event_log_and_nothing_else():
    full, told = Path("/dev/full"), []
    if not full.exists():
        pytest.skip("there is no /dev/full on this system")
    with tracking(told.append, suite="s", events=full) as observer:
        tell_all(observer)
    (lost,) = [event for event in told if event not in EVENTS]
    assert [event for event in told if event in EVENTS] == EVENTS
    assert "the file of --events cannot be written, and is told no more" in lost.text
    assert "No space left" in lost.text


def test_an_error_of_the_suite_passes_and_the_file_is_closed(tmp_path):
    file = tmp_path / "events.jsonl"

    def interrupted():
        with tracking(print, suite="s", events=file) as observer:
            observer(EVENTS[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert json.loads(file.read_text())["event"] == "RunStarted"


@pytest.mark.parametrize(
    ("name", "options"), [("tensorboard", {"tensorboard": "x"}), ("mlflow-skinny", {"mlflow": "x"})]
)
def test_a_tracker_that_is_not_installed_is_refused_with_what_to_install(name, options, tmp_path, monkeypatch):
    import sys

    for module in ("torch.utils.tensorboard", "mlflow", "mlflow.tracking"):
        monkeypatch.setitem(sys.modules, module, None)
    given = {key: tmp_path / value if key == "tensorboard" else value for key, value in options.items()}
    with pytest.raises(UsageError, match=f"pip install {name}"), tracking(print, suite="s", **given):
        pass


def test_tensorboard_holds_the_curves_and_the_score(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tracking(lambda event: None, suite="s", tensorboard=tmp_path) as observer:
        tell_all(observer)
    curves = EventAccumulator(str(tmp_path / "s" / "unet-seed0"))
    curves.Reload()
    assert set(curves.Tags()["scalars"]) == {"loss", "validation_mean_iou", "test_mean_iou"}
    assert [(point.step, point.value) for point in curves.Scalars("loss")] == [(1, 0.5)]


def test_mlflow_holds_the_curves_and_the_score(tmp_path):
    for module in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install mlflow-skinny alembic sqlalchemy")
    from mlflow.tracking import MlflowClient

    address = f"sqlite:///{tmp_path}/mlflow.db"
    with tracking(lambda event: None, suite="s", mlflow=address) as observer:
        observer(EVENTS[0])  # and once more: its machine was lost
        tell_all(observer)
    with tracking(lambda event: None, suite="s", mlflow=address) as observer:
        observer(replace(EVENTS[0], run_id="cnn-seed0"))  # and its process is interrupted
    with tracking(lambda event: None, suite="s", mlflow=address) as observer:
        for event in EVENTS[:1] + EVENTS[2:3] + EVENTS[4:]:
            observer(replace(event, run_id="cnn-seed0"))
    client = MlflowClient(tracking_uri=address)
    found = client.search_runs([client.get_experiment_by_name("s").experiment_id], order_by=["attributes.start_time"])
    assert [run.data.tags["mlflow.runName"] for run in found] == ["unet-seed0", "cnn-seed0"]  # no third one
    assert found[1].info.status == "FINISHED"
    run = found[0]
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"loss": 0.5, "validation_mean_iou": 0.25, "test_mean_iou": 0.75}
    assert run.data.tags["model"] == "U-Net"
