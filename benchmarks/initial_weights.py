"""Compares the schemes of `train.init` over all built-in networks: which one costs none of them its rank.

    python benchmarks/initial_weights.py run --nuclei FOLDER --results DIR [--data scenes] [--seeds 0,1,2]
    python benchmarks/initial_weights.py facts DIR > results/initial-weights/runs.csv
    python benchmarks/initial_weights.py table results/initial-weights/runs.csv

`run` trains every network from every scheme with every seed, on the embedded scenes and on a folder of nuclei in
`images/SPLIT` and `masks/SPLIT`; runs that are done are not repeated. `facts` writes one line a run. `table` prints
the mean mIoU of each network, scheme and data set with its spread over seeds, each scheme's mean rank, its regret
(how much it lies behind the best scheme for that network and data set) and the share of networks that it hurts; it
ends with 1 when the default is hurt more than another scheme beyond the noise of the seeds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

SCHEMES = ("paper", "torch", "kaiming", "xavier")

SMALL = {"growth": 4, "first_channels": 12, "down_layers": [2, 2, 2, 2], "bottleneck_layers": 2, "width": 1.0}

WITHOUT_NORM: list[dict[str, Any]] = [
    {"name": "cnn", "norm": "none"},
    {"name": "keras_cnn", "norm": "none", "width": 0.0625},
    {"name": "fcn32s", "norm": "none"},
    {"name": "fcn16s", "norm": "none"},
    {"name": "fcn8s", "norm": "none"},
    {"name": "unet", "norm": "none"},
    {"name": "deeplab_largefov", "norm": "none"},
]
"""Networks as their papers have them, without normalisation: their start decides whether they learn at all."""

WITH_NORM: list[dict[str, Any]] = [
    {"name": "fcn32s", "norm": "batch"},
    {"name": "fcn8s", "norm": "batch"},
    {"name": "unet", "norm": "batch"},
    {"name": "deeplab_largefov", "norm": "batch"},
    {"name": "deconvnet", "norm": "batch", "fc_kernel": 1, "fc_channels": 512},
    {"name": "segnet", "norm": "batch"},
    {"name": "segnet_basic", "norm": "batch"},
    {"name": "fc_densenet", "norm": "batch", **SMALL},
    {"name": "densenet_fcn", "norm": "batch"},
    {"name": "deeplabv3plus", "norm": "batch", "encoder": "test_resnet"},
    {"name": "unet", "norm": "batch", "encoder": "test_resnet", "width": 0.25},
    {"name": "smp:Segformer", "encoder_name": "mit_b0", "decoder_segmentation_channels": 32},
]
"""The other networks, and the same ones as suites have them: with batch norm. The last is a transformer."""

GROUPS = {"none": (WITHOUT_NORM, 0.001), "batch": (WITH_NORM, 0.004)}
"""Each group's networks, and the learning rate that networks of its kind learn at."""

DATA = ("scenes", "nuclei")

NUCLEI = {"train": 200, "test": 60}
"""How many nuclei images of each split are used, the first by name."""

STEPS = {"scenes": 120, "nuclei": 80}


def suite(data: str, group: str, *, nuclei: str, schemes: list[str]) -> dict[str, Any]:
    """Return a suite of one group of networks on one data set, with a grid over the schemes."""
    networks, rate = GROUPS[group]
    scenes = {"name": "scenes", "size": [32, 48], "zoom": 200, "train_images": 256, "test_images": 60}
    folder = {"name": "folder", "root": nuclei, "classes": ["background", "nucleus"]}
    return {
        "dataset": scenes if data == "scenes" else folder,
        "transforms": {"train": ["horizontal_flip", "normalize"], "test": ["normalize"]},
        "models": [
            {"width": 0.125, **entry, "label": label_of(entry)}
            if ":" not in entry["name"]
            else entry | {"label": label_of(entry)}
            for entry in networks
        ],
        "train": {
            "steps": STEPS[data],
            "batch_size": 8,
            "loss": ["cross_entropy", "dice"],
            "optimizer": {"name": "adamw", "lr": rate, "weight_decay": 0.01},
            "schedule": {"name": "cosine", "warmup_steps": 10},
            "keep_weights": False,
        },
        "evaluate": {"batch_size": 20, "samples": 0},
        "seeds": [0, 1, 2],
        "grid": {"train.init": schemes},
        "loader": {"cache": "memory"},
        "resume": {"every_minutes": None},
    }


def shrunk(nuclei: Path, folder: Path, *, size: tuple[int, int]) -> Path:
    """Write the nuclei at one small height and width, so that reading them costs next to nothing; return the folder."""
    height, width = size
    for kind, resampling in (("images", Image.Resampling.BILINEAR), ("masks", Image.Resampling.NEAREST)):
        for split, count in NUCLEI.items():
            target = folder / kind / split
            if target.is_dir():
                continue
            target.mkdir(parents=True)
            for file in sorted((nuclei / kind / split).iterdir())[:count]:
                with Image.open(file) as image:
                    plain = image.convert("RGB") if kind == "images" else image
                    plain.resize((width, height), resampling).save(target / f"{file.stem}.png")
    return folder


def label_of(entry: dict[str, Any]) -> str:
    """Return a network's name with its encoder, and with its norm where networks are tried with and without."""
    words = [entry["name"], str(entry.get("encoder", "")), str(entry.get("norm", ""))]
    return " ".join(word for word in words if word)


def run(data: str, groups: list[str], *, results: Path, nuclei: str, schemes: list[str], seeds: list[int]) -> None:
    """Train what is missing, seed by seed, so that an early stop leaves all networks with fewer seeds."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            for group in groups:
                file = Path(folder) / f"{data}-{group}.yaml"
                file.write_text(yaml.safe_dump(suite(data, group, nuclei=nuclei, schemes=schemes), sort_keys=False))
                command = ["run", str(file), "--results", str(results), "--in-process", "--seeds", str(seed)]
                subprocess.run([sys.executable, "-m", "segbench", *command], check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--nuclei", required=True)
    running.add_argument("--results", type=Path, required=True)
    running.add_argument("--data", default=",".join(DATA))
    running.add_argument("--groups", default=",".join(GROUPS))
    running.add_argument("--schemes", default=",".join(SCHEMES))
    running.add_argument("--seeds", default="0,1,2")
    arguments = parser.parse_args()
    nuclei = shrunk(Path(arguments.nuclei), arguments.results / "nuclei", size=(32, 48))
    for data in arguments.data.split(","):
        run(
            data,
            arguments.groups.split(","),
            results=arguments.results,
            nuclei=str(nuclei),
            schemes=arguments.schemes.split(","),
            seeds=[int(s) for s in arguments.seeds.split(",")],
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
