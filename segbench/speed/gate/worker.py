"""Worker script that runs one network in the environment under test; it exchanges JSON lines on its standard streams.

It is started by its path, with the interpreter and import paths of the environment under test. That environment may
have an older segbench, without this package's other modules. So the script imports only the standard library, torch and
segbench's network builder.

Each line it reads is a request, ``{"command": "build", ...}``. Each gets a one-line answer: ``{"ok": {...}}`` or
``{"error": message, "refused": true or false}``. A refusal means that this environment does not have the case (unknown
network or option, impossible image size). Any other error is a fault.
"""

from __future__ import annotations

import gc
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import cycle
from pathlib import Path
from typing import Any, TextIO

LEAST_BATCHES = 4
MOST_BATCHES = 64
"""Number of input batches used in turn, so that they exceed a GPU's L2 cache."""

LEAST_IN_A_WINDOW = 3


class Workload:
    """A network with its inputs and the step to time."""

    def __init__(self, case: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(case["threads"])
        torch.manual_seed(0)
        tf32 = case["precision"] == "tf32"
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        self.case, self.device = case, _device(case["device"])
        self.layout = torch.channels_last if case["channels_last"] else torch.contiguous_format
        self.network = _network(case).to(self.device).to(memory_format=self.layout)
        self.images = cycle(self._batches())
        self.step = self._training_step() if case["what"] == "training" else self._inference_step()

    def synchronize(self) -> None:
        """Wait until the device is idle."""
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)

    def seconds(self) -> float:
        """Return the seconds of one iteration."""
        start = time.perf_counter()
        self.step()
        self.synchronize()
        return time.perf_counter() - start

    def _batches(self) -> list[Any]:
        import torch

        case, count = self.case, LEAST_BATCHES
        shape = (case["batch"], case["channels"], *case["size"])
        if self.device.type == "cuda":
            cache = getattr(torch.cuda.get_device_properties(self.device), "L2_cache_size", 0)
            count = min(MOST_BATCHES, max(count, math.ceil(2 * cache / (4 * math.prod(shape)))))
        images = (torch.randn(shape, device=self.device) for _ in range(count))
        return [batch.contiguous(memory_format=self.layout) for batch in images]

    def _autocast(self) -> AbstractContextManager[Any]:
        import torch

        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(self.case["precision"])
        return torch.autocast(self.device.type, dtype=kind) if kind is not None else nullcontext()

    def _inference_step(self) -> Callable[[], Any]:
        import torch

        self.network.eval()

        def step() -> Any:
            with torch.inference_mode(), self._autocast():
                return self.network(next(self.images))

        return step

    def _training_step(self) -> Callable[[], Any]:
        import torch

        self.network.train()
        case = self.case
        labels = torch.randint(0, case["classes"], (case["batch"], *case["size"]), device=self.device)
        optimizer = torch.optim.SGD(self.network.parameters(), lr=1e-6, momentum=0.9)

        def step() -> Any:
            optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                logits = self.network(next(self.images))
                loss = torch.nn.functional.cross_entropy(logits, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return logits

        return step


class Session:
    """Handles requests; holds one workload at a time."""

    def __init__(self) -> None:
        self.workload: Workload | None = None

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """Import slow packages and return their versions; initialises the GPU only if a case needs it."""
        import torch

        from segbench.models.build import build_network  # noqa: F401 - slow to import, so both sides do it in parallel

        accelerators = [name for name in request.get("devices", ()) if name.startswith("cuda")]
        return {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "capability": torch.backends.cpu.get_cpu_capability(),
            "accelerator": torch.cuda.get_device_name(_device(accelerators[0])) if accelerators else None,
        }

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        """Replace the last workload by a new case's and run it once."""
        self.workload = None
        gc.collect()
        _give_back_memory()
        self.workload = Workload(request["case_document"])
        start = time.perf_counter()
        output = self.workload.step()
        self.workload.synchronize()
        parameters = sum(parameter.numel() for parameter in self.workload.network.parameters())
        first_seconds = time.perf_counter() - start
        return {"parameters": parameters, "output": list(output.shape), "first_seconds": first_seconds}

    def warm_up(self, request: dict[str, Any]) -> dict[str, Any]:
        """Repeat until the medians of two consecutive windows agree, or the time limit is reached."""
        start = time.perf_counter()
        before, steady, iterations = math.inf, False, 0
        while True:
            window = self._window(request["window_seconds"])
            median, iterations = statistics.median(window), iterations + len(window)
            steady = abs(median - before) <= request["tolerance"] * min(median, before)
            late = before < math.inf and time.perf_counter() - start >= request["most_seconds"]
            if steady or late:
                return {"steady": steady, "iterations": iterations, "median_seconds": median}
            before = median

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run one round and return the seconds of each iteration."""
        workload = self._ready()
        return {"seconds": [workload.seconds() for _ in range(request["iterations"])]}

    def _window(self, seconds: float) -> list[float]:
        workload = self._ready()
        window: list[float] = []
        while len(window) < LEAST_IN_A_WINDOW or sum(window) < seconds:
            window.append(workload.seconds())
        return window

    def _ready(self) -> Workload:
        if self.workload is None:
            raise RuntimeError("no case is built")
        return self.workload


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answer requests until the input ends or a request says quit."""
    session = Session()
    commands = {"load": session.load, "build": session.build, "warm_up": session.warm_up, "time": session.time}
    for line in requests:
        request = json.loads(line)
        if request["command"] == "quit":
            return
        try:
            reply: dict[str, Any] = {"ok": commands[request["command"]](request)}
        except Exception as error:  # any error of the network is sent to the client
            reply = _told(error)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def without(paths: list[str], hidden: str, *, but: list[str]) -> list[str]:
    """Return import paths without those of a working copy, which must not supply modules that a revision lacks.

    Args:
        paths: The import paths.
        hidden: The working copy's folder.
        but: Paths that are always kept. Paths of the interpreter and its virtual environment are kept too.
    """
    kept = [Path(path).resolve() for path in (sys.prefix, sys.base_prefix, *but)]

    def stays(path: str) -> bool:
        place = Path(path).resolve()
        return not place.is_relative_to(hidden) or any(place.is_relative_to(folder) for folder in kept)

    return [path for path in paths if stays(path)]


def _device(name: str) -> Any:
    """Return a device and make it the current one; a CUDA device without a number is the current device."""
    import torch

    kind, _, number = name.partition(":")
    if kind != "cuda":
        return torch.device(name)
    device = torch.device("cuda", int(number) if number else torch.cuda.current_device())
    torch.cuda.set_device(device)
    return device


def _give_back_memory() -> None:
    """Release unused GPU memory, which the other side's process needs."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _network(case: dict[str, Any]) -> Any:
    from segbench.config.component import ModelEntry
    from segbench.models.build import build_network

    entry = ModelEntry.model_validate(case["model"])
    return build_network(entry, classes=case["classes"], channels=case["channels"], seed=0)


def _told(error: Exception) -> dict[str, Any]:
    import traceback

    kind = type(error)
    refused = kind.__module__ == "segbench.errors" or kind.__name__ == "ValidationError"
    if refused:
        return {"error": str(error), "refused": True}
    sys.stderr.write("".join(traceback.format_exception(error)))
    sys.stderr.flush()
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in frames)
    return {"error": f"{kind.__name__}: {error}{where}", "refused": False}


def _own_streams() -> tuple[TextIO, TextIO]:
    """Reserve the standard streams for the protocol; other output goes to standard error."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def main() -> None:
    """Set up imports as given by the argument, a JSON object, and serve."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent process
    requests, replies = _own_streams()
    given = json.loads(sys.argv[1])
    own = Path(__file__).resolve().parent
    paths = [path for path in sys.path if path and Path(path).resolve() != own]
    if given["hidden"] is not None:
        paths = without(paths, given["hidden"], but=given["paths"])
    sys.path[:] = paths
    serve(requests, replies)
    os._exit(0)  # skips torch's clean-up, which takes a second per restart


if __name__ == "__main__":
    main()
