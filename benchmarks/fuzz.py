"""Feeds damaged suites, masks, lists, archives and records to their readers: each must be read or refused in words.

    python benchmarks/fuzz.py [--kinds suites,documents,masks,lists,…] [--count 2000] [--seed 0]

A suite is altered in its text (characters and lines are lost, doubled or replaced) or in its values (any becomes one of
a list that once caused trouble); nine in ten are first cut down to one or two networks, some of the sections and no
comments, which reads several times as fast. A document is such a suite as a mapping, with altered values; half of them
are given a ``--set`` line with a key or a value of that list. A file is altered in its bytes: cut off, flipped, filled
with zeros, overwritten, put together with itself. An archive is altered as it is, in the tar file within, or in one of
its files, with a manifest that agrees. Beside runs lie further tests, speed records, galleries and baselines: those of
tests/golden are altered in their bytes or, with a new checksum, in their values, and verified as `segbench results
verify` does. Leaderboards are altered alike and compared with their runs.

A reader may raise the errors that people are meant to see (``UsageError``, ``StoreError``, ``DataError``); anything
else, and anything that takes longer than ten seconds, is printed with the number that makes it again: ``--seed NUMBER
--count 1``. So is memory that has grown by more than 256 MB when one kind has been fed: what a single large image takes
is given back. Ends with 1 if there was any.
"""

from __future__ import annotations

import argparse
import copy
import gc
import io
import json
import logging
import lzma
import random
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from psutil import Process

from segbench.config.load import check, load_suite, set_options
from segbench.config.plan import digest
from segbench.data.datasets.folder import folder
from segbench.data.masks.stored import read_stored
from segbench.engine.evaluation.verification import Verifier
from segbench.errors import SegbenchError
from segbench.report.formats.json_differences import differences
from segbench.report.runs.load import load_results
from segbench.results.archive.merge import merge
from segbench.results.archive.pack import pack
from segbench.results.arrays.gallery import GALLERY_FILE, read_gallery
from segbench.results.find_runs import scan
from segbench.results.hashes import CHECKSUM, without_checksum
from segbench.results.speed.baseline import read_baseline
from segbench.results.speed.store import scan_speeds
from segbench.results.store import read_record

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from spoilt_archives import forge  # noqa: E402 - after its folder is known

SUITES = sorted((ROOT / "suites").glob("*.yaml"))
FACTS = ROOT / "published" / "results" / "quickstart"
GOLDEN = ROOT / "tests" / "golden" / "newest"
LEADERBOARD = ROOT / "published" / "reports" / "quickstart" / "leaderboard.json"
MOST_SECONDS = 10
MOST_GROWTH_MB = 256
NASTY = (
    *(None, True, False, 0, -1, 1, 10**30, -(10**30), 1e308, -1e308, 1e-320, 0.1, 2**63, 2**31),
    *("", " ", "a", "0", "-1", "null", "x" * 5_000, "\u202e", "\ud800", "\0", "../..", "/", "~", "{split}", "{x}", "{"),
    *("python:os", "python:os.system", "python:..", "torchvision:x", "smp:Unet", "http://x", "file:///etc/passwd"),
    *([], {}, [[]], [None], {"name": None}, {"name": "unet", "width": "x"}, {"": ""}, [0] * 100, {"a": {"b": {}}}),
)
LINES = (
    "? [a, b]",
    "- ",
    "a: &x [*x]",
    "<<: 3",
    "!!python/object/apply:os.system [echo]",
    "x: !!bool x",
    "x: 2024-13-45",
    "x: " + "9" * 5_000,
    "{" * 200,
    "%YAML 9.9",
    "---",
    "\t: x",
    '"\\ud800": 1',
    "x: !!binary ====",
    "x: !!set {a, b}",
    "x: .nan",
    "1: 2",
    "null: 3",
)


class TookTooLongError(BaseException):
    """An attempt took too long; no reader may take this for an error of its own, as it would a TimeoutError."""


def main() -> int:
    """Feed everything; see above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--count", type=int, default=2_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="number of the first one")
    given = parser.parse_args()
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        for kind in given.kinds.split(","):
            wrong += feed(kind, KINDS[kind](Path(name)), range(given.seed, given.seed + given.count))
    return 1 if wrong else 0


def feed(kind: str, attempt: Callable[[random.Random], Any], numbers: range) -> int:
    """Feed one kind; return how many attempts went wrong."""
    ended, places = Counter[str](), Counter[str]()
    before = Process().memory_info().rss
    for number in numbers:
        try:
            with at_most(MOST_SECONDS):
                attempt(random.Random(number))
            ended["read"] += 1
        except SegbenchError:
            ended["refused"] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            ended["wrong"] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
            places[where] += 1
            if places[where] == 1:
                print(f"  {kind} {number}: {where}: {str(error)[:100]!r}")
    gc.collect()
    grown = (Process().memory_info().rss - before) / 1e6
    print(f"{kind}: {len(numbers):,} fed, {dict(ended)}, memory grew by {grown:.0f} MB", flush=True)
    return ended["wrong"] + (grown > MOST_GROWTH_MB)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raise TookTooLongError in the block when it takes too long."""

    def ring(number: int, frame: Any) -> None:
        del number, frame
        raise TookTooLongError(f"took more than {seconds} s")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def suites(place: Path) -> Callable[[random.Random], Any]:
    """Return what loads a damaged suite."""
    file = place / "suite.yaml"
    texts = [suite.read_text(encoding="utf-8") for suite in SUITES]
    documents = [yaml.safe_load(text) for text in texts]

    def attempt(chance: random.Random) -> Any:
        number = chance.randrange(len(texts))
        document, whole = copy.deepcopy(documents[number]), chance.random() < 0.1
        if not whole:
            document = cut_down(document, chance)
        if chance.random() < 0.5:
            damaged = written(altered_values(document, chance))
        else:
            damaged = altered_text(texts[number] if whole else written(document), chance)
        file.write_bytes(damaged.encode("utf-8", "surrogatepass"))
        return load_suite(file)

    return attempt


def cut_down(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return a suite of one or two networks and of some of the sections that need not be there."""
    models = chance.sample(document["models"], min(chance.randint(1, 2), len(document["models"])))
    needed = ("dataset", "models", "train")
    kept = {key: value for key, value in document.items() if key in needed or chance.random() < 0.4}
    return kept | {"models": models}


def documents(place: Path) -> Callable[[random.Random], Any]:
    """Return what checks a damaged suite given as a mapping."""
    del place
    whole = [yaml.safe_load(suite.read_text(encoding="utf-8")) for suite in SUITES]

    def attempt(chance: random.Random) -> Any:
        document = cut_down(copy.deepcopy(chance.choice(whole)), chance)
        keys = [".".join(map(str, key)) for key in keys_of(document)]
        damaged = altered_values(document, chance)
        if chance.random() < 0.5:
            value = chance.choice(NASTY)
            key = chance.choice([*keys, str(value)])
            set_options(damaged, [f"{key}={value}"])
        return check(damaged)

    return attempt


def keys_of(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys that lead to each place in a document."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*above, key)
            yield from keys_of(part, (*above, key))


def written(document: Any) -> str:
    """Return a document as YAML."""
    try:
        return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False)
    except UnicodeEncodeError:  # lone surrogates, which the writer in Python takes
        return yaml.safe_dump(document, sort_keys=False)


def altered_values(document: Any, chance: random.Random) -> Any:
    """Return a document of which some values are others."""
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        holder, key = chance.choice(list(places_of(document)) or [(document, "name")])
        holder[key] = copy.deepcopy(chance.choice(NASTY))
    return document


def places_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a document: what holds it, and its key."""
    if isinstance(value, dict | list):
        for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from places_of(part)


def altered_text(text: str, chance: random.Random) -> str:
    """Return a suite whose lines and characters are lost, doubled, replaced or joined by others."""
    lines = text.splitlines()
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(lines) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            lines[place:place] = [chance.choice(LINES)]
        elif kind == 1:
            lines[place : place + 1] = []
        elif kind == 2:
            lines[place:place] = lines[place : place + 1]
        elif place < len(lines):
            line = lines[place]
            at = chance.randrange(len(line) + 1)
            middle = chance.choice(["", ":", "{", "]", "*", "&", "\x00", "\ud800", "'", '"', "\t", "9" * 400, "#", "|"])
            lines[place] = line[:at] + middle + line[at + (kind == 3) :]
    return "\n".join(lines)


def altered_bytes(content: bytes, chance: random.Random) -> bytes:
    """Return a file that was cut off, flipped, zeroed, overwritten, or put together with itself."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        if not data:
            break
        at = chance.randrange(len(data))
        length = min(len(data) - at, chance.choice([1, 2, 4, 16, 256]))
        kind = chance.randrange(5)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[at : at + length] = bytes(length)
        elif kind == 3:
            data[at : at + length] = chance.randbytes(length)
        else:
            data[at:at] = data[at : at + length]
    return bytes(data)


def masks(place: Path) -> Callable[[random.Random], Any]:
    """Return what reads a damaged mask."""
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8) % 5
    image = Image.fromarray(pixels)
    paletted = image.convert("P")
    paletted.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    kinds = {".png": [image, paletted, image.convert("1"), image.convert("RGBA")], ".tif": [image], ".bmp": [image]}
    kinds |= {".gif": [paletted], ".pgm": [image], ".webp": [image.convert("RGB")], ".jpg": [image]}
    whole = []
    for suffix, images in kinds.items():
        for one in images:
            stream = io.BytesIO()
            one.save(stream, {".tif": "TIFF", ".jpg": "JPEG", ".pgm": "PPM"}.get(suffix, suffix[1:].upper()))
            whole.append((suffix, stream.getvalue()))

    def attempt(chance: random.Random) -> Any:
        suffix, content = chance.choice(whole)
        file = place / f"mask{suffix}"
        file.write_bytes(altered_bytes(content, chance))
        return read_stored(file)

    return attempt


def lists(place: Path) -> Callable[[random.Random], Any]:
    """Return what opens a folder by a damaged list."""
    root = place / "folder"
    for kind in ("images", "masks"):
        (root / kind / "train").mkdir(parents=True)
        for name in "abc":
            Image.new("RGB" if kind == "images" else "L", (4, 4)).save(root / kind / "train" / f"{name}.png")
    lines = "".join(f"images/train/{name}.png masks/train/{name}.png\n" for name in "abc").encode()
    tables = [lines, lines.replace(b" ", b","), lines.replace(b" ", b"\t"), b"a\nb\nc\n", b"image,mask\n" + lines]

    def attempt(chance: random.Random) -> Any:
        (root / "train.txt").write_bytes(altered_bytes(chance.choice(tables), chance))
        return folder("train", root=str(root), classes=["x", "y"], split_file="{split}.txt").problems

    return attempt


def records(place: Path) -> Callable[[random.Random], Any]:
    """Return what reads a damaged record, and a table of a damaged run."""
    run = place / "results" / "quickstart" / "run"
    run.mkdir(parents=True)
    whole = {file.name: file.read_bytes() for file in next(FACTS.glob("U-Net-*")).iterdir() if file.is_file()}
    files = [name for name in whole if name.endswith((".json", ".npz", ".csv"))]

    def attempt(chance: random.Random) -> Any:
        spoilt = chance.choice(files)
        for name, content in whole.items():
            (run / name).write_bytes(altered_bytes(content, chance) if name == spoilt else content)
        table = load_results(place / "results")
        assert len(table) == 1, "a damaged run is a row"
        return read_record(run / "run.json")

    return attempt


def archives(place: Path) -> Callable[[random.Random], Any]:
    """Return what merges a damaged archive."""
    archive, damaged = place / "whole.tar.xz", place / "damaged.tar.xz"
    pack(FACTS, archive)
    whole = archive.read_bytes()

    def alter_one(chance: random.Random) -> Callable[[Any, dict[str, bytes]], None]:
        def change(manifest: Any, contents: dict[str, bytes]) -> None:
            del manifest
            name = chance.choice(sorted(contents))
            contents[name] = altered_bytes(contents[name], chance)

        return change

    def attempt(chance: random.Random) -> Any:
        damaged.write_bytes(whole)
        kind = chance.randrange(3)
        if kind == 0:
            damaged.write_bytes(altered_bytes(whole, chance))
        elif kind == 1:
            damaged.write_bytes(lzma.compress(altered_bytes(lzma.decompress(whole), chance), preset=0))
        else:
            forge(damaged, alter_one(chance))
        with tempfile.TemporaryDirectory(dir=place) as into:
            return merge([damaged], Path(into))

    return attempt


def altered_json(content: bytes, chance: random.Random) -> bytes:
    """Return a JSON document of which some values are others, with a checksum that agrees where it had one."""
    document = altered_values(json.loads(content), chance)
    if isinstance(document, dict) and CHECKSUM in document:
        with suppress(ValueError, UnicodeEncodeError):  # NaN and lone surrogates have no hash
            document[CHECKSUM] = digest(without_checksum(document))
    return json.dumps(document).encode("utf-8", "surrogatepass")


def altered_either_way(file: Path, content: bytes, chance: random.Random) -> bytes:
    """Return a file altered in its bytes or, if it is JSON, in its values."""
    by_value = file.suffix == ".json" and chance.random() < 0.5
    return altered_json(content, chance) if by_value else altered_bytes(content, chance)


def beside(place: Path) -> Callable[[random.Random], Any]:
    """Return what verifies a suite's results of which one file is damaged, and reads what lies beside its runs."""
    suite = place / "beside" / "toy"
    shutil.copytree(GOLDEN / "toy", suite)
    baseline = shutil.copy(GOLDEN / "baseline.json", place / "baseline.json")
    whole = {file: file.read_bytes() for file in (*sorted(suite.rglob("*.[jnc]*")), Path(baseline))}

    def attempt(chance: random.Random) -> Any:
        spoilt = chance.choice(list(whole))
        spoilt.write_bytes(altered_either_way(spoilt, whole[spoilt], chance))
        try:
            verifier = Verifier({"root": str(place / "nowhere")})
            checked = [verifier.verify(found) for found in scan(suite)]
            scan_speeds(suite)
            for gallery in (suite / "gallery").iterdir():
                read_gallery(gallery / GALLERY_FILE)
            read_baseline([Path(baseline)])
            return checked
        finally:
            spoilt.write_bytes(whole[spoilt])

    return attempt


def leaderboards(place: Path) -> Callable[[random.Random], Any]:
    """Return what compares a damaged leaderboard with the whole one."""
    del place
    whole = LEADERBOARD.read_bytes()

    def attempt(chance: random.Random) -> Any:
        altered = altered_either_way(LEADERBOARD, whole, chance)
        text = altered.decode("utf-8", "surrogateescape")
        return differences(text, whole.decode(), source="leaderboard.json")

    return attempt


KINDS = {one.__name__: one for one in (suites, documents, masks, lists, records, archives, beside, leaderboards)}

if __name__ == "__main__":
    sys.exit(main())
