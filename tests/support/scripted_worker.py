"""A worker that does no work: it answers what a file in its first folder says, in the real one's protocol."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

folder = Path(json.loads(sys.argv[1])["paths"][0])
behaviour = json.loads((folder / "behaviour.json").read_text(encoding="utf-8"))
log = folder.parent / "log.txt"
starts = sum(
    line.startswith(f"{folder.name} ") and line.endswith(" load")
    for line in (log.read_text(encoding="utf-8").splitlines() if log.exists() else [])
)
noise = random.Random(f"{folder.name} {starts}")
bias = behaviour.get("spread", 0.0) * (1 if starts % 2 else -1)
case: dict = {}


def answer(command):
    times = behaviour["seconds"]
    seconds = times[case["model"]["name"]] if isinstance(times, dict) and case else times
    return {
        "load": lambda: {"python": "3", "torch": "2"},
        "build": lambda: {
            "parameters": behaviour.get("parameters", 7),
            "output": behaviour.get("output", [1, 2, 4, 4]),
        },
        "warm_up": lambda: {"steady": behaviour.get("steady", True), "iterations": 6, "median_seconds": seconds},
        "time": lambda: {"seconds": [seconds * (1 + bias) * noise.uniform(1, 1.01)] * request["iterations"]},
    }[command]()


for line in sys.stdin:
    request = json.loads(line)
    command = request["command"]
    with log.open("a", encoding="utf-8") as written:
        written.write(f"{folder.name} {os.getpid()} {command}\n")
    if command == "quit":
        break
    case = request.get("case_document", case)
    if behaviour.get("crash_on") == command:
        sys.stderr.write("the last words\n")
        sys.stderr.flush()
        os._exit(7)
    if behaviour.get("hang_on") == command:
        time.sleep(600)
    if command == "build" and case["model"]["name"] in behaviour.get("refuses", []):
        reply = {"error": f"unknown model {case['model']['name']!r}", "refused": True}
    elif behaviour.get("fails_on") == command:
        reply = {"error": "RuntimeError: shapes do not fit (nets.py, line 3)", "refused": False}
    else:
        reply = {"ok": answer(command)}
    print(json.dumps(reply), flush=True)
