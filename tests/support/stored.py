"""Synthetic results folders, written in milliseconds, with names as hostile as anybody may choose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from speed_cases import record as speed_record
from speed_cases import restart

from segbench.config.plan import digest
from segbench.config.titles import id_end, id_start
from segbench.results.arrays.matrices import ImageMatrices, save_matrices
from segbench.results.record import DataFacts, ModelFacts, Outcome, RunRecord, Status, Timings
from segbench.results.speed.record import SpeedRecord, speed_model
from segbench.results.speed.store import speed_folder, write_speed
from segbench.results.store import Store, read_record, write_record

HOSTILE = (
    "a|b",
    "<script>alert(1)</script>",
    "[red]bold[/red] [link=x]",
    "**x** _y_ `z` ~~w~~",
    "$\\frac{1}{2}$",
    "_hidden",
    "../../etc/passwd",
    "網路 сеть",
    "two\nlines\x1b[31m",
    "quo\"te, com'ma",
    "=1+1",
    "right\u202eleft",
    "![i](x.png)",
)
CLASSES = ("sky", "road", "car")
VERSIONS = {"torch": "2.6", "torchvision": "0.21", "timm": "1.0", "numpy": "2.0", "pillow": "10.3"}
COMPUTED = {"threads": 1, "cpu_capability": "AVX2", "precision": "fp32"}
"""With the versions, all of an environment that scores depend on."""


def matrices(hits: int, *, images: int = 2, classes: int = len(CLASSES)) -> ImageMatrices:
    """100 labelled pixels a class and image, ``hits`` of them right, the others taken for the next class."""
    one = np.eye(classes, dtype=np.int64) * hits + np.roll(np.eye(classes, dtype=np.int64), 1, axis=1) * (100 - hits)
    return ImageMatrices(tuple(f"image{index}" for index in range(images)), np.stack([one] * images))


def some_images(hits, *, images=20, seed=0, prefix="image"):
    """Images of 100 labelled pixels a class of which about ``hits`` are right, more in some, less in others."""
    right = np.clip(np.random.default_rng(seed).normal(hits, 6, images).round().astype(np.int64), 0, 100)
    one = np.eye(3, dtype=np.int64)
    matrices = right[:, None, None] * one + (100 - right)[:, None, None] * np.roll(one, 1, axis=1)
    return ImageMatrices(tuple(f"{prefix}{index}" for index in range(images)), matrices)


def iou_of(hits: int) -> float:
    """The IoU of every class of ``matrices``: hits / (100 labelled + 100 predicted - hits)."""
    return hits / (200 - hits)


def write_run(
    root: Path, label: str = "unet", seed: int = 0, hits: int = 80, *, suite: str = "toy", **changes: Any
) -> Path:
    """Write one run below a results root; every fact has a default that ``changes`` may replace."""
    recipe = changes.pop("recipe", {"dataset": {"name": "scenes"}, "train": {"epochs": 2, "select": "last"}})
    options = changes.pop("options", {"width": 1.0})
    outcome = changes.pop("outcome", Outcome(status=Status.COMPLETED))
    counted = changes.pop("matrices", matrices(hits))
    classes = changes.pop("classes", CLASSES)
    speed = changes.pop("speed", 50.0)
    history = changes.pop("history", "epoch,step,loss,seconds\n1,4,1.5,0.1\n2,8,0.75,0.1\n")
    tuning, fold = changes.pop("tuning", None), changes.pop("fold", None)
    protocol = changes.pop("protocol", digest(recipe))
    name = changes.pop("name", "unet")
    role = {"role": tuning.role} if tuning else {}
    role |= {"fold": fold.index} if fold else {}
    network = {"name": name, "strict": True, **options}
    identity = changes.pop("identity", digest({"model": network, "seed": seed, "recipe": recipe, **role}))
    run_id = f"{id_start(label)}-{id_end(seed, fold and fold.index, identity)}"
    record = RunRecord(
        id=run_id,
        suite=suite,
        label=label,
        seed=seed,
        point=changes.pop("point", {}),
        identity=identity,
        protocol_id=protocol,
        recipe=recipe,
        outcome=outcome,
        model=ModelFacts(
            name=name,
            options=options,
            pretrained=changes.pop("pretrained", False),
            weights_digest=changes.pop("weights_digest", None),
            source_digest=changes.pop("source_digest", None),
            weights_loaded=changes.pop("weights_loaded", None),
            weights_share=changes.pop("weights_share", None),
            weights_left_out=changes.pop("weights_left_out", None),
            weights_key=changes.pop("weights_key", None),
            weights_unused=changes.pop("weights_unused", None),
            weights_moved=changes.pop("weights_moved", None),
            classes_map=changes.pop("classes_map", None),
            outputs=changes.pop("outputs", None),
            parameters=changes.pop("parameters", 31_031_685),
            macs=changes.pop("macs", 20_400_000_000),
            activation_bytes=changes.pop("activation_bytes", 118_000_000),
            weights_bytes=changes.pop("weights_bytes", 124_126_740),
            input_size=(32, 48),
        ),
        data=DataFacts(
            dataset="scenes",
            classes=classes,
            palette=((0, 0, 0),) * len(classes),
            train_images=changes.pop("train_images", 8),
            test_images=len(counted.names),
            fingerprints=changes.pop("fingerprints", {}),
            pixel_digests=changes.pop("pixel_digests", {}),
            notes=changes.pop("data_notes", ()),
            train_digest=changes.pop("train_digest", f"train-{seed}"),
            test_digest=changes.pop("test_digest", labels_digest(counted)),
        ),
        timings=Timings(
            started="2026-01-01T00:00:00+00:00",
            total_seconds=2.0,
            training_seconds=changes.pop("training_seconds", 1.5),
            evaluation_seconds=0.5,
            training_images_per_second=speed / 4,
            evaluation_images_per_second=speed,
        ),
        test_loss=changes.pop("test_loss", 0.5),
        selected_epoch=2,
        tuning=tuning,
        fold=fold,
        runs_at_once=changes.pop("runs_at_once", 1),
        environment=changes.pop(
            "environment",
            {"python": "3.11", "processor": "Example CPU", "device": "cpu", "versions": dict(VERSIONS), **COMPUTED},
        ),
    )
    assert not changes, f"unknown: {changes}"
    with Store(root, suite).writing(run_id) as folder:
        if outcome.status is Status.COMPLETED:
            save_matrices(folder / "confusion.npz", counted)
            (folder / "history.csv").write_text(history)
        write_record(folder, record)
    return root / suite / run_id


def labels_digest(counted: ImageMatrices) -> str:
    """Return a digest of the labels that matrices count; "test" where each class has 100 pixels in each image."""
    labelled = counted.matrices.sum(axis=2)
    return "test" if (labelled == 100).all() else f"test-{digest(labelled.tolist())[:8]}"


def further_facts(run: Path, matrices: ImageMatrices | None) -> dict[str, Any]:
    """What every further test of a stored run keeps."""
    record = read_record(run / "run.json")
    return {
        "run": record.id,
        "identity": record.identity,
        "label": record.label,
        "seed": record.seed,
        "fingerprint": "f",
        "images": 0 if matrices is None else len(matrices.names),
    }


def rewrite(file: Path, **facts: Any) -> None:
    """Write a record of one file with other facts, as another measurement would have written it: with its checksum."""
    document = {**json.loads(file.read_text(encoding="utf-8")), **facts}
    content = {key: value for key, value in document.items() if key != "checksum"}
    file.write_text(json.dumps({**content, "checksum": digest(content)}), encoding="utf-8")


def without_checksums(run: Path) -> None:
    """Make a run one of a version that stored no checksums."""
    file = run / "run.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    del document["checksums"]
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")


def write_speed_of(
    root: Path, label: str = "unet", *seconds: float, suite: str = "toy", options: Any = None, **changes: Any
) -> SpeedRecord:
    """Write what was measured of the network of ``write_run``: of three calls for each of ``seconds``."""
    facts = {key: changes.pop(key) for key in ("environment", "source_digest") if key in changes}
    case = {"label": label, "model": speed_model("unet", options or {"width": 1.0}), "size": (32, 48), **changes}
    restarts = [restart(*[value] * 3) for value in seconds or (0.1,)]
    written = speed_record(*restarts, **case).model_copy(update=facts)
    write_speed(speed_folder(root, suite), written)
    return written
