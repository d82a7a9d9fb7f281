"""Tells how often the regression gate errs on this machine, and how often what others do would have erred.

    python benchmarks/gate_selftest.py --facts decisions.jsonl [--gates 40] [--busy 0,1]

Every gate compares two small U-Nets in two folders, as `segbench regress ab` compares them in two revisions: one did
not change, the other computes its first level and its scores more often than it has to, which is a true
slowdown of about 10 % in its forward pass. So each gate gives one A/A decision and one of a real slowdown. Right after
it, pytest-benchmark measures the same two networks in processes of its own and compares them with the stored run of the
gate before. `--busy 1` keeps another
process computing convolutions all the while.

Every decision is appended to the facts as it is made; the same command goes on where it stopped, and with as many
gates as are there it prints the table alone. Ends with 1 if the gate misses what is asked of it: at most 1 false alarm,
at least 38 of 40 slowdowns found.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.cli.terminal.output import duration, write_table
from segbench.speed.gate.compare import CaseResult, compare
from segbench.speed.gate.decision import percent
from segbench.speed.gate.environments import Environment
from segbench.speed.gate.gate_case import GateCase
from segbench.speed.gate.interleaved import Settings

SIZE = (64, 64)
CLASSES = 8
WIDTH = 0.125
THRESHOLD = 0.10

LEAST_GATES = 40
MOST_FALSE_ALARMS = 1
LEAST_FOUND = 38 / 40

NETWORK = """\
from torch import nn

from segbench.models.networks.unet import unet


class SmallUNet(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.network = unet(classes, channels, width={width})

    def forward(self, images):
        for _ in range({more}):
            features = self.network.down[0](images)
            for _ in range(2):
                self.network.score(features)
        return self.network(images)
"""

BENCHMARK = """\
import sys

import torch

sys.path.insert(0, {folder!r})
from {module} import SmallUNet


def test_forward(benchmark):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network, images = SmallUNet({classes}, 3).eval(), torch.randn(1, 3, *{size})
    with torch.inference_mode():
        benchmark(network, images)
"""

BUSY = """\
import torch

torch.set_num_threads(1)
images, weights = torch.randn(4, 16, 128, 128), torch.randn(16, 16, 3, 3)
while True:
    torch.nn.functional.conv2d(images, weights, padding=1)
"""


@dataclass(frozen=True)
class Detector:
    """One way of deciding.

    Attributes:
        title: What it is called.
        alarms: By gate: whether it calls the unchanged network slower.
        finds: By gate: whether it calls the slower network slower.
        undecided: Decisions of the gate that were inconclusive: of the unchanged, of the slower network.
    """

    title: str
    alarms: list[bool]
    finds: list[bool]
    undecided: tuple[int, int] = (0, 0)


def main() -> int:
    arguments = _arguments()
    facts = _read(arguments.facts)
    for busy in map(int, arguments.busy.split(",")):
        done = {one["gate"] for one in facts if one["busy"] == busy}
        missing = [gate for gate in range(arguments.gates) if gate not in done]
        with tempfile.TemporaryDirectory() as folder, _others(busy):
            bench = Bench(Path(folder), busy)
            for gate in missing:
                facts.append(bench.gate(gate))
                with arguments.facts.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(facts[-1]) + "\n")
    return report(facts)


class Bench:
    """The networks in their folders, and the last stored run of pytest-benchmark."""

    def __init__(self, folder: Path, busy: int) -> None:
        self.folder, self.busy = folder, busy
        self.stored: Path | None = None
        for side, slower in (("base", False), ("head", True)):
            (folder / side).mkdir()
            for module, changed in (("unchanged", False), ("slower_one", slower)):
                text = NETWORK.format(width=WIDTH, more=int(changed))
                (folder / side / f"{module}.py").write_text(text, encoding="utf-8")

    def gate(self, number: int) -> dict[str, Any]:
        """Decide once about both networks, by every detector."""
        if self.stored is None:
            self.stored, _ = self._pytest_benchmark("unchanged", None)
        start = time.monotonic()
        result = compare(
            *(Environment(side, paths=(self.folder / side,)) for side in ("base", "head")),
            cases=[
                GateCase({"name": f"python:{module}.SmallUNet", "label": module}, CLASSES, 3, SIZE)
                for module in ("unchanged", "slower_one")
            ],
            settings=Settings(seed=number),
        )
        seconds = time.monotonic() - start
        stored = self.stored
        slower, alarmed_slower = self._pytest_benchmark("slower_one", stored)
        self.stored, alarmed_unchanged = self._pytest_benchmark("unchanged", stored)
        found = {
            "gate": number,
            "busy": self.busy,
            "seconds": seconds,
            "unchanged": _decided(result.cases[0]),
            "slower": _decided(result.cases[1]),
            "pytest_benchmark": {
                "stored": _statistics(stored),
                "unchanged": {**_statistics(self.stored), "failed": alarmed_unchanged},
                "slower": {**_statistics(slower), "failed": alarmed_slower},
            },
            "machine": {
                "processor": result.machine["processor"],
                "cores": result.machine["cores"],
                "torch": result.machine["versions"]["torch"],
            },
        }
        _tell(found)
        return found

    def _pytest_benchmark(self, module: str, stored: Path | None) -> tuple[Path, bool]:
        """Measure the head's network in a process of its own; return the file, and whether comparing failed."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        text = BENCHMARK.format(folder=str(self.folder / "head"), module=module, classes=CLASSES, size=SIZE)
        (place / "test_speed.py").write_text(text, encoding="utf-8")
        written = place / "run.json"
        command = [sys.executable, "-m", "pytest", "-q", f"--rootdir={place}", "-c", os.devnull, "test_speed.py"]
        command += [f"--benchmark-json={written}", f"--benchmark-storage={place}"]
        if stored is not None:
            command += [f"--benchmark-compare={stored}", f"--benchmark-compare-fail=mean:{THRESHOLD:.0%}"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        alarmed = "Performance has regressed" in done.stdout + done.stderr
        if not written.is_file() or (done.returncode != 0) != alarmed:
            raise SystemExit(f"pytest-benchmark failed:\n{done.stdout}{done.stderr}")
        return written, alarmed


def report(facts: list[dict[str, Any]]) -> int:
    good = True
    for busy in sorted({one["busy"] for one in facts}):
        gates = [one for one in facts if one["busy"] == busy]
        found = detectors(gates)
        own = found[0]
        load = "beside another process at work" if busy else "with nothing added beside it"
        print(f"\n{load}: {len(gates)} A/A, {len(gates)} slower")
        titles = ["detector", "false alarms", "undecided", "slowdowns found", "undecided"]
        write_table(titles, [_row(one) for one in found], right=titles[1:], whole=["detector"])
        for line in (_slowdown(gates), _noise(gates), _cost(gates)):
            print(line)
        good &= (
            len(gates) >= LEAST_GATES
            and sum(own.alarms) <= MOST_FALSE_ALARMS
            and sum(own.finds) >= LEAST_FOUND * len(gates)
        )
    machine = facts[-1]["machine"]
    print(f"\n{machine['processor']}, {machine['cores']} cores, torch {machine['torch']}, 1 thread")
    return 0 if good else 1


def detectors(gates: list[dict[str, Any]]) -> list[Detector]:
    """Return what every detector made of the same networks."""

    def verdicts(network: str, verdict: str) -> list[bool]:
        return [one[network]["verdict"] == verdict for one in gates]

    def stored(network: str, figure: str) -> list[bool]:
        pairs = ((one["pytest_benchmark"][network], one["pytest_benchmark"]["stored"]) for one in gates)
        return [now[figure] > (1 + THRESHOLD) * then[figure] for now, then in pairs]

    undecided = sum(verdicts("unchanged", "inconclusive")), sum(verdicts("slower", "inconclusive"))
    failed = ([one["pytest_benchmark"][network]["failed"] for one in gates] for network in ("unchanged", "slower"))
    return [
        Detector("segbench regress ab", verdicts("unchanged", "regressed"), verdicts("slower", "regressed"), undecided),
        Detector(f"pytest-benchmark, compare-fail=mean:{THRESHOLD:.0%}", *failed),
        Detector(f"stored median, over {THRESHOLD:.0%}", stored("unchanged", "median"), stored("slower", "median")),
        Detector(f"stored minimum, over {THRESHOLD:.0%}", stored("unchanged", "min"), stored("slower", "min")),
    ]


def _row(one: Detector) -> list[str]:
    return [
        one.title,
        f"{sum(one.alarms)} of {len(one.alarms)}",
        str(one.undecided[0]),
        f"{sum(one.finds)} of {len(one.finds)}",
        str(one.undecided[1]),
    ]


def _slowdown(gates: list[dict[str, Any]]) -> str:
    """Tell the slowdown that was really there: the mean of all restarts, which no decision has selected."""
    values = [value for one in gates for value in one["slower"]["log_ratios"]]
    error = statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return f"true slowdown: {percent(math.exp(mean))} ± {100 * error:.1f} % (mean of {len(values)} restarts, its error)"


def _noise(gates: list[dict[str, Any]]) -> str:
    values = [value for one in gates for value in one["unchanged"]["log_ratios"]]
    spread, mean = statistics.stdev(values), statistics.fmean(values)
    return f"unchanged: {percent(math.exp(mean))} on average, restarts scatter by {100 * spread:.1f} % ({len(values)})"


def _cost(gates: list[dict[str, Any]]) -> str:
    seconds = [one["seconds"] for one in gates]
    return (
        f"a gate of both, confirmation included: median {duration(statistics.median(seconds))}, "
        f"most {duration(max(seconds))}"
    )


def _decided(one: CaseResult) -> dict[str, Any]:
    decision = one.decision
    return {
        "verdict": str(decision.verdict),
        "first_verdict": str(one.first.verdict),
        "ratio": decision.ratio,
        "restarts": len(one.restarts) + len(one.confirming_restarts),
        "log_ratios": [restart.log_ratio for restart in (*one.restarts, *one.confirming_restarts)],
    }


def _statistics(file: Path) -> dict[str, float]:
    (benchmark,) = json.loads(file.read_text(encoding="utf-8"))["benchmarks"]
    return {name: benchmark["stats"][name] for name in ("mean", "median", "min", "stddev", "rounds")}


def _tell(found: dict[str, Any]) -> None:
    parts = [f"{name} {found[name]['verdict']} {percent(found[name]['ratio'])}" for name in ("unchanged", "slower")]
    print(f"gate {found['gate']}, {found['seconds']:.0f} s: {', '.join(parts)}", file=sys.stderr, flush=True)


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


@contextmanager
def _others(count: int) -> Iterator[None]:
    """Keep so many other processes computing for as long as the block lasts."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    if hasattr(os, "sched_setaffinity"):  # on a core of their own, the last ones
        for core, process in zip(sorted(os.sched_getaffinity(0), reverse=True), processes, strict=False):
            os.sched_setaffinity(process.pid, {core})
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, required=True, metavar="FILE", help="where the decisions are kept")
    parser.add_argument("--gates", type=int, default=40, metavar="N", help="decisions of each kind, by default 40")
    parser.add_argument("--busy", default="0,1", metavar="0,1", help="other processes at work, one series for each")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
