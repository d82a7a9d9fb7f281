"""Injects faults into commands on small suites, and counts the results that are lost: there may be none.

    python benchmarks/faults.py [--kinds kill-parent,disk-full,...] [--count-scale 1.0] [--seed 0] [--jobs 2]

The suite trains three networks in about a second; most faults are injected while one or two of its runs are missing,
at moments that are spread over its whole duration. Commands run in forked processes, whose runs are forked from them;
one in ten of those that get signals, and four in ten of some kinds, start in a fresh interpreter, with the fork server
that a user's command has. After each injection the results folder is inspected independently, by its own reading of
records, checksums and matrices. A result is lost if it was stored before the fault and is no longer there bit for bit,
after the fault or after the same command, repeated without the fault; or if the repeated command does not end with the
bits of an undisturbed suite. A command that ended before its fault is checked too, and the fault injected
again, earlier.
As expected means: the exit code and the words of the documentation, no traceback, no process left, no hang, and
nothing half written that counts as done or is ranked.

Ends with 1 if a result was lost or an outcome was not as expected; prints which, with the kind and number that make it
again: ``--kinds KIND --only NUMBER``. Kinds that a machine does not allow, such as mounting without being root, are
left out with the reason.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
import forked
from fault_kinds import concurrent, damage, data, disks, endings, networks
from fault_kinds.workspace import Fixture, Injected, NotHere, Workspace

from segbench.results.environment import capture

MOST_TRIES = 10
"""How often a fault is tried that came after the command's end, or did not hinder it; each time, earlier."""

EARLIER = 0.75
TITLES = ["fault", "injected", "commands repeated", "results stored before", "results lost", "as expected"]

Injection = Callable[[Workspace, float], Injected]
"""Injects a fault at a moment, 0 to 1, and looks what comes of it, also where the command ended before the fault."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        title: Its name in the table.
        count: How many are injected by default.
        inject: Injects one.
    """

    title: str
    count: int
    inject: Injection


KINDS = {
    "kill-parent": Kind("kill -9 of the command", 40, endings.killed_parent),
    "kill-all": Kind("kill -9 of all its processes", 25, endings.killed_all),
    "kill-child": Kind("kill -9 of a process of a run or check", 40, endings.killed_child),
    "sigterm": Kind("SIGTERM", 30, endings.terminated),
    "sighup": Kind("SIGHUP", 20, endings.hung_up),
    "ctrl-c": Kind("Ctrl-C", 30, endings.interrupted),
    "ctrl-c-twice": Kind("Ctrl-C twice", 30, endings.interrupted_twice),
    "disk-full": Kind("full disk", 30, disks.full),
    "file-limit": Kind("limit on the size of files", 20, disks.limited),
    "read-only": Kind("read-only results", 20, disks.read_only),
    "two-commands": Kind("two commands at once", 15, concurrent.two_commands),
    "copied": Kind("results copied in mid-run", 20, concurrent.copied),
    "clock": Kind("clock set back", 20, concurrent.clock_set_back),
    "memory": Kind("memory runs out", 12, networks.out_of_memory),
    "nan": Kind("NaN in training", 10, networks.not_finite),
    "hang": Kind("network that hangs", 6, networks.hanging),
    "odd": Kind("network that forks, exits or raises anything", 33, networks.odd),
    "download": Kind("download that breaks off", 30, data.download),
    "root": Kind("data root that goes away", 30, data.root_gone),
    "cut": Kind("file of a run cut", 30, damage.cut),
    "zeroed": Kind("file of a run zeroed in part", 30, damage.zeroed),
    "flipped": Kind("file of a run with a flipped bit", 40, damage.flipped),
    "deleted": Kind("file of a run deleted", 15, damage.deleted),
    "exchanged": Kind("files of two runs exchanged", 20, damage.exchanged),
}


@dataclass(frozen=True)
class Tally:
    """All injections of one kind."""

    kind: Kind
    found: Sequence[Injected]
    absent: str = ""

    @property
    def lost(self) -> int:
        """How many results were lost."""
        return sum(len(one.lost) for one in self.found)

    @property
    def as_expected(self) -> int:
        """How many injections were as expected."""
        return sum(not one.wrong for one in self.found)

    @property
    def row(self) -> list[object]:
        """The kind's row of the table."""
        outcome = f"{self.as_expected} of {len(self.found)}" if not self.absent else f"left out: {self.absent}"
        stored, repeated = (sum(getattr(one, name) for one in self.found) for name in ("stored", "repeated"))
        return [self.kind.title, len(self.found), repeated, stored, self.lost, outcome]


def main(arguments: Sequence[str] | None = None, *, kinds: dict[str, Kind] | None = None) -> int:
    """Inject everything; see above."""
    kinds = kinds or KINDS
    given = _arguments(kinds, arguments)
    begun = time.monotonic()
    forked.heed_signals()
    with tempfile.TemporaryDirectory(prefix="segbench-faults-") as name:
        fixture = Fixture(Path(name))
        tallies = [tally(fixture, kind, kinds[kind], given) for kind in given.kinds.split(",")]
    return verdict(tallies, seconds=time.monotonic() - begun, jobs=given.jobs)


def tally(fixture: Fixture, name: str, kind: Kind, given: argparse.Namespace) -> Tally:
    """Inject all faults of a kind."""
    count = max(1, round(kind.count * given.count_scale))
    numbers = range(count) if given.only is None else [given.only]
    try:
        with ThreadPoolExecutor(given.jobs) as pool:
            found = list(pool.map(partial(injected, fixture, name, kind, count, given.seed), numbers))
    except NotHere as reason:
        return Tally(kind, (), str(reason))
    done = Tally(kind, found)
    print(_line(done.row), file=sys.stderr, flush=True)
    return done


def injected(fixture: Fixture, name: str, kind: Kind, count: int, seed: int, number: int) -> Injected:
    """Inject one fault, at its own of as many moments as there are injections."""
    draw = random.Random(f"{seed} {name} {number}")
    moment = (number % count + draw.random()) / count
    for _ in range(MOST_TRIES):
        workspace = fixture.workspace(draw)
        try:
            found = kind.inject(workspace, moment)
        finally:
            workspace.close()
        if found.took_effect or found.lost or found.wrong:
            for text in (*(f"LOST {run}" for run in found.lost), *found.wrong):
                print(f"{name} {number}: {text}", file=sys.stderr, flush=True)
            return found
        moment *= EARLIER
    raise SystemExit(f"{name} {number}: the command ended {MOST_TRIES} times before the fault")


def verdict(tallies: Sequence[Tally], *, seconds: float, jobs: int) -> int:
    """Write the table, the sum and the machine; return the exit code."""
    print("\n".join(map(_line, (TITLES, ["---", *["---:"] * 4, "---"], *(each.row for each in tallies)))))
    count, lost = sum(len(each.found) for each in tallies), sum(each.lost for each in tallies)
    wrong = count - sum(each.as_expected for each in tallies)
    machine = capture("cpu")
    print(
        f"\n{count} faults injected, {lost} results lost, {wrong} not as expected\n"
        f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}, "
        f"{jobs} at a time, {seconds / 60:.0f} min"
    )
    return 1 if lost or wrong else 0


def _line(cells: Sequence[object]) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def _arguments(kinds: dict[str, Kind], arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(kinds))
    parser.add_argument("--count-scale", type=float, default=1.0, help="of how many are injected of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of moments and choices")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="inject the fault of this number alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="injections at a time")
    given = parser.parse_args(arguments)
    if unknown := set(given.kinds.split(",")) - kinds.keys():
        parser.error(f"--kinds: unknown {', '.join(sorted(unknown))}; known: {', '.join(kinds)}")
    return given


if __name__ == "__main__":
    logging.getLogger("segbench").setLevel(logging.ERROR)  # a damaged run is logged at each look
    sys.exit(main())
