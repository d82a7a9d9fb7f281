"""Options that say how networks are executed and what is timed."""

from __future__ import annotations

from typing import Annotated

import typer

Precisions = Annotated[str | None, typer.Option("--precision", metavar="fp32,bf16", help="Arithmetics.")]
Casting = Annotated[str | None, typer.Option("--casting", metavar="weights,autocast", help="What bf16 and fp16 cast.")]
Modes = Annotated[
    str | None, typer.Option("--mode", metavar="eager,compile", help="eager, compile, compile:MODE, cuda_graph.")
]
Outputs = Annotated[str | None, typer.Option("--output", metavar="logits,labels", help="logits, classes, labels.")]
Tasks = Annotated[str | None, typer.Option("--task", metavar="inference,training", help="Also loading, with a suite.")]
ChannelsLast = Annotated[
    bool | None, typer.Option("--channels-last/--contiguous", help="Memory layout of images and weights.")
]
Energy = Annotated[
    bool | None, typer.Option("--energy/--no-energy", help="Whether the accelerator's energy is measured.")
]
