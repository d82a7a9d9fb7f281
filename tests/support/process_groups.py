"""Runs that several processes do together, as torchrun would start them."""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress
from datetime import timedelta

import forked
import torch

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine import distributed
from segbench.engine.distributed import torchrun_process_group
from segbench.engine.events import Notice
from segbench.engine.launchers.torchrun import join_runs, leading
from segbench.engine.suite.run_suite import run_suite
from segbench.engine.training.checkpointer import TrainingCheckpointer
from segbench.errors import SegbenchError
from segbench.models.build import build_network


def take_part(rank, size, port, suite, results, killed_at, seconds_to_end):
    """What each process does: the first leads the suite's runs, the others follow."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    if killed_at is not None:
        after_step = TrainingCheckpointer.after_step

        def kill(checkpointer, trainer):
            after_step(checkpointer, trainer)
            if trainer.step == killed_at:
                os._exit(9)

        TrainingCheckpointer.after_step = kill
    distributed.ROLL_CALL = timedelta(seconds=seconds_to_end)
    try:
        with torchrun_process_group("cpu") as team:
            checked = check(suite)
            if team.leads:
                with leading(team, "cpu") as launcher:
                    told = []
                    run_suite(
                        checked, results=results, device="cpu", in_process=True, launcher=launcher, observer=told.append
                    )
                (results / "said.txt").write_text("\n".join(e.text for e in told if isinstance(e, Notice)))
            else:
                join_runs(team, device="cpu")
    except SegbenchError as error:
        results.mkdir(exist_ok=True)
        (results / f"error-{rank}.txt").write_text(str(error))
        raise


def free_port():
    """Return a port that nobody listens at, below those that the system hands out: nobody is given it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port


def by_several(size, suite, results, *, killed_at=None, seconds_to_end=300):
    """Have a suite done by so many processes, which wait so long for each other to end; return how they ended."""
    port = free_port()
    context = forked.context()
    arguments = (size, port, suite, results, killed_at, seconds_to_end)
    processes = [context.Process(target=take_part, args=(rank, *arguments)) for rank in range(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert None not in codes, f"some processes never ended: {codes}"
    return codes


def apart(weights, expected, suite, *, run=0):
    """Return how far two trainings of a suite's run ended from each other, as a share of the way that training took.

    Rounding moves single weights far once it has another pixel win a max pooling; all of them together stay close.
    """
    planned = plan(check(suite))[run]
    start = build_network(planned.model, classes=8, channels=3, seed=planned.seed).state_dict()
    return distance(weights, expected) / distance(expected, start)


def distance(one, other):
    """Return the Euclidean distance of two sets of weights."""
    return sum(float((tensor - other[name]).double().square().sum()) for name, tensor in one.items()) ** 0.5
