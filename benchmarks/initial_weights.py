"""Compares the schemes of `train.init` over the built-in networks: which one costs none of them its rank.

    python benchmarks/initial_weights.py run --nuclei FOLDER --results DIR [--data scenes] [--groups none] [--seeds 0]
    python benchmarks/initial_weights.py example --nuclei FOLDER --results DIR
    python benchmarks/initial_weights.py facts DIR > published/results/initial-weights/runs.csv
    python benchmarks/initial_weights.py table published/results/initial-weights/runs.csv

`run` trains each network from each scheme with each seed, on the embedded scenes and on a folder of nuclei (2018 Data
Science Bowl) with `images/SPLIT` and `masks/SPLIT`; runs that are done are not repeated. `example` trains the U-Net
without norm alone, for 60 steps at a low learning rate. `facts` writes one line a run. `table` prints, for each
network and data set, the mean mIoU and test loss of each scheme with their standard deviation over the seeds; then
each scheme's mean rank and its regret: how much mIoU it lies behind the best scheme for the same network and data set.
It ends with 1 when another scheme is better than the default, on average over networks and data sets, by more than
twice the standard error.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from PIL import Image

from segbench.cli.terminal.output import write_table
from segbench.config.sections.training import Train
from segbench.data.files.image_folder import image_files
from segbench.metrics.scores import score
from segbench.results.arrays.matrices import load_matrices
from segbench.results.find_runs import scan
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE

CELL = ["data", "network", "learning_rate", "steps"]
"""What the schemes are compared within, seed by seed."""

SCHEMES = ("paper", "torch", "kaiming", "xavier")
DEFAULT = str(Train.model_fields["init"].default)

SMALL = {"growth": 4, "first_channels": 12, "down_layers": [2, 2, 2, 2], "bottleneck_layers": 2, "width": 1.0}
"""FC-DenseNet at the size of the others."""

WITHOUT_NORM: list[dict[str, Any]] = [
    {"name": "cnn", "norm": "none"},
    {"name": "keras_cnn", "norm": "none", "width": 0.0625},
    {"name": "fcn32s", "norm": "none"},
    {"name": "fcn8s", "norm": "none"},
    {"name": "unet", "norm": "none"},
    {"name": "deeplab_largefov", "norm": "none"},
]
"""Networks as their papers have them, without normalisation: their start decides whether they learn at all."""

WITH_NORM: list[dict[str, Any]] = [
    {"name": "fcn32s", "norm": "batch"},
    {"name": "fcn16s", "norm": "batch"},
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
"""The other networks, and some of the same ones as suites have them: with batch norm. The last is a transformer."""

GROUPS = {"none": (WITHOUT_NORM, 0.001), "batch": (WITH_NORM, 0.004)}
"""Each group's networks, and the learning rate that networks of its kind learn at."""

SIZES = {"scenes": (32, 48), "nuclei": (48, 64)}
STEPS = {"none": 200, "batch": 120}
NUCLEI = {"train": 200, "test": 60}
"""How many nuclei images of each split are used, the first by name."""
SHRINKING = 2
"""By what factor they are made smaller before their middle is cut out."""

COLUMNS = (
    *("data", "network", "init", "learning_rate", "steps", "seed", "mean_iou", "test_loss"),
    *("segbench", "torch", "processor", "cpu_capability", "threads"),
)


def main() -> int:
    arguments = _arguments()
    if arguments.command == "facts":
        write_facts(arguments.folders)
        return 0
    if arguments.command == "table":
        return print_table(pd.read_csv(arguments.facts))
    results, seeds = arguments.results, [int(seed) for seed in arguments.seeds.split(",")]
    if arguments.command == "example":
        nuclei = prepared(arguments.nuclei, results / "nuclei-whole", prepare=_whole)
        run(example(nuclei), "example", results=results, seeds=seeds)
        return 0
    nuclei = prepared(arguments.nuclei, results / "nuclei", prepare=_middle)
    for data, seed in product(arguments.data.split(","), seeds):
        for group in arguments.groups.split(","):
            run(suite(data, group, nuclei=nuclei), f"{data}-{group}", results=results, seeds=[seed])
    return 0


def suite(data: str, group: str, *, nuclei: Path) -> dict[str, Any]:
    """Return a suite of one group of networks on one data set, with a grid over the schemes."""
    networks, rate = GROUPS[group]
    scenes = {"name": "scenes", "size": list(SIZES["scenes"]), "zoom": 200, "train_images": 256, "test_images": 60}
    folder = {"name": "folder", "root": str(nuclei), "classes": ["background", "nucleus"]}
    return {
        "dataset": scenes if data == "scenes" else folder,
        "transforms": {"train": ["horizontal_flip", "normalize"], "test": ["normalize"]},
        "models": [narrow(entry) | {"label": label_of(entry)} for entry in networks],
        "train": {
            "steps": STEPS[group],
            "batch_size": 8,
            "loss": ["cross_entropy", "dice"],
            "optimizer": {"name": "adamw", "lr": rate, "weight_decay": 0.01},
            "schedule": {"name": "cosine", "warmup_steps": 10},
            "keep_weights": False,
        },
        "evaluate": {"batch_size": 20, "samples": 0},
        "seeds": [0, 1, 2],
        "grid": {"train.init": list(SCHEMES)},
        "loader": {"cache": "memory"},
        "resume": {"every_minutes": None},
    }


def example(nuclei: Path) -> dict[str, Any]:
    """Return the suite of the U-Net without norm at a low learning rate."""
    document = suite("nuclei", "none", nuclei=nuclei)
    recipe = {"steps": 60, "batch_size": 4, "loss": ["cross_entropy"], "schedule": "constant"}
    return document | {"models": [{"name": "unet", "width": 0.125}], "train": document["train"] | recipe}


def narrow(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a built-in network at an eighth of the paper's width, where it names none."""
    return entry if ":" in entry["name"] else {"width": 0.125, **entry}


def label_of(entry: dict[str, Any]) -> str:
    """Return a network's name with its encoder and its norm."""
    words = [entry["name"], str(entry.get("encoder", "")), str(entry.get("norm", ""))]
    return " ".join(word for word in words if word)


def prepared(nuclei: Path, folder: Path, *, prepare: Callable[[Image.Image, int], Image.Image]) -> Path:
    """Write the nuclei as small PNGs, so that reading them costs little; return the folder."""
    for kind, resampling in (("images", Image.Resampling.BILINEAR), ("masks", Image.Resampling.NEAREST)):
        for split, count in NUCLEI.items():
            target = folder / kind / split
            if target.is_dir():
                continue
            target.mkdir(parents=True)
            for file in image_files(nuclei / kind / split)[:count]:
                with Image.open(file) as image:
                    plain = image.convert("RGB") if kind == "images" else image
                    prepare(plain, resampling).save(target / f"{file.stem}.png")
    return folder


def _middle(image: Image.Image, resampling: int) -> Image.Image:
    """Return the middle of an image that was made smaller."""
    height, width = SIZES["nuclei"]
    smaller = image.resize((image.width // SHRINKING, image.height // SHRINKING), resampling)
    left, top = (smaller.width - width) // 2, (smaller.height - height) // 2
    return smaller.crop((left, top, left + width, top + height))


def _whole(image: Image.Image, resampling: int) -> Image.Image:
    """Return the whole image at the example's size."""
    return image.resize((96, 64), resampling)


def run(document: dict[str, Any], name: str, *, results: Path, seeds: Sequence[int]) -> None:
    """Run what is missing of these seeds; ``main`` goes seed by seed, so that an early end leaves whole seeds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.yaml"
        file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        command = ["run", str(file), "--results", str(results), "--in-process", "--seeds", ",".join(map(str, seeds))]
        subprocess.run([sys.executable, "-m", "segbench", *command], check=True)


def write_facts(folders: Sequence[Path]) -> None:
    """Write one line of CSV for each completed run, in order, to the standard output."""
    lines = [
        facts(found.record, found.folder) for found in scan(*folders) if found.record is not None and done(found.record)
    ]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(lines, key=lambda line: (line[0], line[1], SCHEMES.index(line[2]), *line[3:6])))


def done(record: RunRecord) -> bool:
    """Tell whether a run was trained and scored."""
    return record.outcome.status is Status.COMPLETED


def facts(record: RunRecord, folder: Path) -> list[Any]:
    """Return a run's line."""
    train, environment = record.recipe["train"], record.environment
    mean_iou = score(load_matrices(folder / CONFUSION_FILE).total).mean_iou
    return [
        "scenes" if record.recipe["dataset"]["name"] == "scenes" else "nuclei",
        *(record.label, train.get("init", "paper"), train["optimizer"]["lr"], train["steps"], record.seed),
        *(f"{mean_iou:.4f}", f"{record.test_loss:.4f}"),
        *(environment["versions"][package] for package in ("segbench", "torch")),
        *(environment[key] for key in ("processor", "cpu_capability", "threads")),
    ]


def print_table(runs: pd.DataFrame) -> int:
    """Print what each scheme reaches; return 1 when another is better than the default, else 0."""
    cells = runs.groupby([*CELL, "init"])
    for column, title in (("mean_iou", "mIoU"), ("test_loss", "test loss")):
        print(title)
        _print_cells(cells[column])
    trainings = runs.set_index([*CELL, "seed", "init"])["mean_iou"].unstack().dropna()
    complete = trainings.groupby(CELL).mean()
    print(
        f"{len(complete)} networks and data sets of {2 * len(WITHOUT_NORM + WITH_NORM)}, "
        f"{len(trainings)} pairs of them with a seed, have runs from all schemes; these are compared:"
    )
    regret = complete.rsub(complete.max(axis=1), axis=0)
    ranks = complete.round(3).rank(axis=1, ascending=False).mean()
    leads = {scheme: complete[DEFAULT] - complete[scheme] for scheme in complete if scheme != DEFAULT}
    lines = []
    for scheme in sorted(complete, key=SCHEMES.index):
        worst, own = regret[scheme].idxmax(), regret[scheme]
        lead = f"{leads[scheme].mean():+.3f} ± {leads[scheme].sem():.3f}" if scheme in leads else "the default"
        figures = (f"{ranks[scheme]:.2f}", f"{own.mean():.3f}", f"{own.max():.3f} ({worst[1]} on {worst[0]})")
        lines.append([scheme, *figures, lead])
    write_table(["init", "mean rank", "mean regret", "worst regret", "default's lead ± s.e."], lines, whole=["init"])
    return int(any(lead.mean() < -2 * lead.sem() for lead in leads.values()))


def _print_cells(column: Any) -> None:
    """Print mean and standard deviation over seeds, a column a scheme."""
    means, spreads, counts = (getattr(column, name)().unstack() for name in ("mean", "std", "count"))
    schemes = [scheme for scheme in SCHEMES if scheme in means]
    rows = []
    for cell in means.index:
        found = ((frame.loc[cell, scheme] for frame in (means, spreads, counts)) for scheme in schemes)
        rows.append([*map(str, cell), *(f"{mean:.3f} ± {spread:.3f} ({count:g})" for mean, spread, count in found)])
    write_table(["data", "network", "lr", "steps", *schemes], rows, whole=["network"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_ in (("run", "train what is missing"), ("example", "train the U-Net without norm")):
        training = commands.add_parser(name, help=help_)
        training.add_argument("--nuclei", type=Path, required=True)
        training.add_argument("--results", type=Path, required=True)
        training.add_argument("--seeds", default="0,1,2")
        if name == "run":
            training.add_argument("--data", default=",".join(SIZES))
            training.add_argument("--groups", default=",".join(GROUPS))
    commands.add_parser("facts", help="write runs as CSV").add_argument("folders", type=Path, nargs="+")
    commands.add_parser("table", help="print the comparison").add_argument("facts", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
