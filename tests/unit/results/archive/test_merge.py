"""Claims about merging: what is there stays, what is wrong is refused whole, and nothing lands outside."""

from __future__ import annotations

import cProfile
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import psutil
import pytest
from spoilt_archives import forge, members_of, recompress, sealed, write_members, write_true_run
from stored import without_checksums, write_speed_of

from segbench.config.plan import digest
from segbench.errors import ArchiveError, StoreError, UsageError
from segbench.results.archive.container import END
from segbench.results.archive.members import Kind
from segbench.results.archive.merge import merge
from segbench.results.archive.pack import pack
from segbench.results.archive.placing import Fate
from segbench.results.archive.units import Extra
from segbench.results.arrays.matrices import load_matrices, save_matrices
from segbench.results.files import temporary_path
from segbench.results.record import Outcome, Status
from segbench.results.store import Store


@pytest.fixture
def results(tmp_path):
    root = tmp_path / "results"
    for seed in range(3):
        write_true_run(root, seed=seed, hits=70 + seed)
    write_speed_of(root)
    (root / "toy" / "suite.yaml").write_text("name: toy\r\n")
    (root / "toy" / "suite.lock.json").write_text("{}\n")
    (root / "toy" / "data.json").write_text('{"f1": {"images": 3}}\n')
    return root


@pytest.fixture
def archive(results, tmp_path):
    file = tmp_path / "a.tar.xz"
    pack(results, file)
    return file


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def touched(folder: Path) -> dict[Path, tuple[int, int]]:
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


def fates(merged, kind=Kind.RUN):
    return dict(Counter(one.fate for one in merged.placed if one.kind is kind))


def run_of(root, seed):
    (run,) = root.glob(f"toy/*-seed{seed}-*")
    return run


# what comes out


@pytest.mark.parametrize("into", ["there", "there/toy"])
def test_what_is_merged_is_what_was_packed_byte_for_byte(results, archive, tmp_path, into):
    merged = merge([archive], tmp_path / into)
    assert fates(merged) == {Fate.ADDED: 3}
    assert tree(tmp_path / "there") == tree(results)


def test_parts_merge_in_any_order(results, tmp_path):
    parts = list(pack(results, tmp_path / "a.tar.xz", max_bytes=6_000).archives)
    assert len(parts) == 3
    for number, order in enumerate(permutations(parts)):
        assert merge(order, tmp_path / str(number)).absent == ()
        assert tree(tmp_path / str(number)) == tree(results)


def test_a_part_alone_brings_what_it_holds(results, tmp_path):
    parts = list(pack(results, tmp_path / "a.tar.xz", max_bytes=6_000).archives)
    for part in reversed(parts):
        assert merge([part], tmp_path / "there").absent == (((parts.index(part) + 1,), 3),)
    assert tree(tmp_path / "there") == tree(results)


def test_merging_again_changes_nothing(archive, tmp_path):
    merge([archive], tmp_path / "there")
    before = touched(tmp_path / "there")
    merged = merge([archive, archive], tmp_path / "there")
    assert fates(merged) == {Fate.SAME: 6}
    assert fates(merged, Kind.SPEED) == {Fate.SAME: 2}
    assert touched(tmp_path / "there") == before


def void_row(folder, void):
    """Write a run's matrices anew with a void row, or without one, and return the file."""
    file = folder / "confusion.npz"
    save_matrices(file, replace(load_matrices(file), void_predicted=void))
    return file


def test_a_void_row_comes_with_an_archive_and_is_added_where_it_is_not_known(results, tmp_path):
    here, archive = tmp_path / "there", tmp_path / "without.tar.xz"
    without_checksums(run_of(results, 1))
    pack(results, archive)
    merge([archive], here)
    void = np.arange(6, dtype=np.int64).reshape(2, 3)
    counted = void_row(run_of(results, 1), void).read_bytes()
    pack(results, tmp_path / "counted.tar.xz")
    merged = merge([tmp_path / "counted.tar.xz"], here)
    assert fates(merged) == {Fate.SAME: 2, Fate.EXTENDED: 1}
    (extended,) = merged.of(Fate.EXTENDED)
    assert extended.note == "with its void row"
    assert (run_of(here, 1) / "confusion.npz").read_bytes() == counted
    assert tree(here) == tree(results)
    again = merge([archive], here)  # without it
    assert fates(again) == {Fate.SAME: 3}
    assert (run_of(here, 1) / "confusion.npz").read_bytes() == counted


def test_two_void_rows_that_differ_are_a_conflict(results, tmp_path):
    without_checksums(run_of(results, 0))
    void_row(run_of(results, 0), np.zeros((2, 3), np.int64))
    pack(results, tmp_path / "a.tar.xz")
    here = tmp_path / "there"
    merge([tmp_path / "a.tar.xz"], here)
    void_row(run_of(here, 0), np.ones((2, 3), np.int64))
    merged = merge([tmp_path / "a.tar.xz"], here)
    assert fates(merged) == {Fate.SAME: 2, Fate.CONFLICT: 1}
    assert load_matrices(run_of(here, 0) / "confusion.npz").void_predicted.sum() == 6


def test_a_damaged_void_row_is_left_out_of_an_archive(results, tmp_path):
    without_checksums(run_of(results, 0))
    file = void_row(run_of(results, 0), np.ones((2, 3), np.int64))
    with np.load(file) as stored:
        arrays = {key: stored[key] for key in stored.files} | {"void_prediction": np.full(6, 99, np.int32)}
    np.savez_compressed(file, **arrays)
    packed = pack(results, tmp_path / "a.tar.xz")
    assert len(packed.problems) == 1
    assert "void_prediction holds a value outside its range" in packed.problems[0]


def test_a_suites_folder_stands_for_its_suite_and_for_no_other(archive, tmp_path):
    write_true_run(tmp_path / "there", "segnet", suite="other")
    with pytest.raises(UsageError, match=r"is the folder of suite 'other', and the archives hold toy"):
        merge([archive], tmp_path / "there" / "other")
    merge([archive], tmp_path / "there")
    assert {folder.name for folder in (tmp_path / "there").iterdir()} == {"other", "toy"}
    assert fates(merge([archive], tmp_path / "there" / "toy")) == {Fate.SAME: 3}


def test_what_is_there_stays_and_a_conflict_is_named(results, archive, tmp_path):
    there = tmp_path / "there"
    kept = write_true_run(there, seed=1, hits=50, environment={"versions": {"torch": "2.7"}})
    before = tree(kept)
    merged = merge([archive], there)
    assert fates(merged) == {Fate.ADDED: 2, Fate.CONFLICT: 1}
    (conflict,) = merged.of(Fate.CONFLICT)
    assert conflict.name == f"toy/{kept.name}"
    assert conflict.note == "other confusion.npz, run.json"
    assert (conflict.here.confusion[0, 0], conflict.there.confusion[0, 0]) == (100, 142)
    assert tree(kept) == before


@pytest.mark.parametrize(
    ("here", "there", "fate"),
    [
        (Status.FAILED, Status.COMPLETED, Fate.REPLACED),
        (Status.SKIPPED, Status.COMPLETED, Fate.REPLACED),
        (Status.COMPLETED, Status.FAILED, Fate.KEPT),
        (Status.SKIPPED, Status.FAILED, Fate.KEPT),
        (Status.COMPLETED, Status.COMPLETED, Fate.SAME),
        (Status.FAILED, Status.FAILED, Fate.SAME),
    ],
)
def test_a_result_takes_the_place_of_none_and_never_the_other_way_round(tmp_path, here, there, fate):
    kept = write_true_run(tmp_path / "here", outcome=Outcome(status=here))
    packed = write_true_run(tmp_path / "there", outcome=Outcome(status=there))
    before, other = tree(kept), tree(packed)
    pack(tmp_path / "there", tmp_path / "a.tar.xz")
    assert fates(merge([tmp_path / "a.tar.xz"], tmp_path / "here")) == {fate: 1}
    assert tree(kept) == (other if fate is Fate.REPLACED else before)


def test_a_damaged_run_is_replaced(results, archive, tmp_path):
    merge([archive], tmp_path / "there")
    (run_of(tmp_path / "there", 0) / "confusion.npz").write_bytes(b"torn")
    (run_of(tmp_path / "there", 1) / "run.json").write_text("{")
    assert fates(merge([archive], tmp_path / "there")) == {Fate.REPLACED: 2, Fate.SAME: 1}
    assert tree(tmp_path / "there") == tree(results)


def test_predictions_are_added_to_facts_and_weights_stay(results, archive, tmp_path):
    merge([archive], tmp_path / "there")
    run, there = run_of(results, 0), run_of(tmp_path / "there", 0)
    (there / "checkpoint.safetensors").write_bytes(b"weights")
    (run / "predictions.zip").write_bytes(b"predictions")
    (run / "samples").mkdir()
    (run / "samples" / "0.png").write_bytes(b"sample")
    pack(results, tmp_path / "b.tar.xz", extras={Extra.PREDICTIONS})
    merged = merge([tmp_path / "b.tar.xz"], tmp_path / "there")
    assert fates(merged) == {Fate.EXTENDED: 1, Fate.SAME: 2}
    assert tree(there) == tree(run) | {"checkpoint.safetensors": b"weights"}
    assert fates(merge([archive], tmp_path / "there")) == {Fate.SAME: 3}


def test_states_go_on_elsewhere_unless_the_run_is_done_or_as_far_there(tmp_path):
    for root, step in (("a", 10), ("b", 5), ("c", 20)):
        write_true_run(tmp_path / root, "segnet")
        with Store(tmp_path / root, "toy").states_of("unet-seed9-0123456789").writing(step) as file:
            file.write_text(f"state {step}")
    pack(tmp_path / "a", tmp_path / "a.tar.xz", extras={Extra.STATES})
    for root, newest, fate in (
        ("b", 10, Fate.ADDED),
        ("c", 20, Fate.KEPT),
        ("d", 10, Fate.ADDED),
        ("a", 10, Fate.SAME),
    ):
        assert fates(merge([tmp_path / "a.tar.xz"], tmp_path / root), Kind.STATES) == {fate: 1}
        states = Store(tmp_path / root, "toy").states_of("unet-seed9-0123456789").files()
        assert states[0].intact
        assert states[0].path.read_text() == f"state {newest}"


def test_checks_of_data_merge_by_split_and_a_suite_that_is_there_stays(results, archive, tmp_path):
    home = tmp_path / "there" / "toy"
    home.mkdir(parents=True)
    (home / "data.json").write_text('{"f0": {"images": 1}}\n')
    (home / "suite.yaml").write_text("name: toy\nseeds: [1]\n")
    merged = merge([archive], tmp_path / "there")
    assert json.loads((home / "data.json").read_text()) == {"f0": {"images": 1}, "f1": {"images": 3}}
    assert (home / "suite.yaml").read_text() == "name: toy\nseeds: [1]\n"
    assert not (home / "suite.lock.json").exists()
    assert fates(merged, Kind.SUITE) == {Fate.KEPT: 1}
    (home / "data.json").write_text('{"f1": {"images": 4}}\n')
    (conflict,) = merge([archive], tmp_path / "there").of(Fate.CONFLICT)
    assert "data.json" in conflict.name
    assert json.loads((home / "data.json").read_text()) == {"f1": {"images": 4}}


def test_counts_of_an_earlier_segbench_agree_and_get_what_is_missing_there(results, tmp_path):
    split = {"dataset": "scenes", "images": 3, "void_pixels": 7}
    (results / "toy" / "data.json").write_text(json.dumps({"f1": split | {"pixel_digest": "ab"}}))
    pack(results, tmp_path / "a.tar.xz")
    home = tmp_path / "there" / "toy"
    home.mkdir(parents=True)
    (home / "data.json").write_text(json.dumps({"f1": split | {"sizes": {"3x4": 3}}}))
    assert merge([tmp_path / "a.tar.xz"], tmp_path / "there").of(Fate.CONFLICT) == []
    assert json.loads((home / "data.json").read_text()) == {
        "f1": split | {"sizes": {"3x4": 3}, "pixel_digest": "ab"},
    }
    before = touched(home)
    merge([tmp_path / "a.tar.xz"], tmp_path / "there")
    assert touched(home) == before
    (home / "data.json").write_text(json.dumps({"f1": split | {"images": 4}}))
    assert len(merge([tmp_path / "a.tar.xz"], tmp_path / "there").of(Fate.CONFLICT)) == 1
    assert json.loads((home / "data.json").read_text()) == {"f1": split | {"images": 4}}


def test_a_speed_record_of_other_samples_is_a_conflict(archive, tmp_path):
    record = write_speed_of(tmp_path / "there", "unet", 0.2)
    file = tmp_path / "there" / "toy" / "speed" / f"{record.id}.json"
    before = file.read_bytes()
    (conflict,) = merge([archive], tmp_path / "there").of(Fate.CONFLICT)
    assert re.search(r"\d images/s here, \S+ in the archive", conflict.note)
    assert file.read_bytes() == before


# what is refused


def first_run(contents):
    return next(name.rpartition("/")[0] for name in contents if name.endswith("run.json"))


def with_record(**changes):
    """Alter the first run's record."""

    def change(_, contents):
        name = first_run(contents) + "/run.json"
        contents[name] = json.dumps(json.loads(contents[name]) | changes).encode()

    return change


def renamed(_, contents):
    folder = first_run(contents)
    for name in [name for name in contents if name.startswith(folder)]:
        contents[name.replace(folder, "toy/unet-seed0-0123456789")] = contents.pop(name)
    _["runs"][0]["id"] = "unet-seed0-0123456789"


def other_identity(document, contents):
    with_record(identity="0" * 64)(document, contents)


def plant(name, content=b"x"):
    return lambda _, contents: contents.update({name: content})


def in_first_run(name):
    return lambda _, contents: plant(f"{first_run(contents)}/{name}")(_, contents)


def append(archive, member, content=b"x", listed=True):
    """Add a member of any kind; ``listed`` puts its name and content into the manifest."""
    (head, manifest), *rest = members_of(archive)
    if listed:
        import hashlib

        document = json.loads(manifest)
        entry = {"path": member.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        document["files"].append(entry)
        manifest = sealed(document)
    write_members(archive, [(head, manifest), *rest, (member, content)])


def link(name, kind, target):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def flip(archive, offset=-300):
    content = bytearray(archive.read_bytes())
    content[offset] ^= 0x40
    archive.write_bytes(content)


def tamper_record(archive):
    def change(content):
        at = content.index(b'"seed": 0')
        content[at + 8 : at + 9] = b"5"

    recompress(archive, change)


def tamper_manifest(archive):
    def change(content):
        at = content.index(b'"part": 1') if b'"part": 1' in content else content.index(b'"part":1')
        content[at : at + 9] = content[at : at + 9].replace(b"1", b"2")

    recompress(archive, change)


def cut(share):
    return lambda archive: archive.write_bytes(archive.read_bytes()[: int(len(archive.read_bytes()) * share)])


def bomb(archive):
    """A member of 3 GB of zeros that the manifest lists: a few hundred kilobytes."""
    (head, manifest), *rest = members_of(archive)
    document = json.loads(manifest)
    size = 3 * 10**9
    document["files"].append({"path": "toy/suite.yaml", "size": size, "sha256": "0" * 64})
    document["files"] = [file for file in document["files"] if file["path"] != "toy/suite.yaml" or file["size"] == size]
    write_members(archive, [(head, sealed(document)), *rest])


def unlisted_bomb(archive):
    """After all members, 8 MB of zeros that no manifest lists."""
    archive.write_bytes(archive.read_bytes()[: -len(END)] + lzma.compress(bytes(8 * 10**6), preset=0) + END)


def header_bomb(archive):
    """A pax header of 36 MB, which tarfile would hold in memory."""
    (head, manifest), *_ = members_of(archive)
    head.pax_headers = {"comment": "x" * 36 * 10**6}
    write_members(archive, [(head, manifest)])


def hidden_header_bomb(archive):
    """A pax header of 1 MB in an archive that lists more than that, so that its total would cover it."""

    def plant_bulk(_, contents):
        contents[first_run(contents) + "/predictions.zip"] = bytes(2 * 10**6)

    forge(archive, plant_bulk)
    members = members_of(archive)
    members[1][0].pax_headers = {"comment": "x" * 10**6}
    write_members(archive, members)


def listed_run(**changes):
    """Add a run to the manifest, without any file."""
    return lambda document, _: document["runs"].append(document["runs"][0] | changes)


def npz_bomb(document, contents):
    """A matrix file that expands ten thousand times."""
    import io
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("names.npy", bytes(30 * 10**6))
    contents[first_run(contents) + "/confusion.npz"] = stream.getvalue()
    record = json.loads(contents[first_run(contents) + "/run.json"])
    del record["checksums"]
    contents[first_run(contents) + "/run.json"] = json.dumps(record).encode()


def state_of(text):
    return plant("toy/.unet-seed9-0123456789.resume/step-000000001-" + "0" * 32 + ".state", text)


HOSTILE = {
    "path traversal": (lambda a: forge(a, plant("toy/../../../evil")), r"'\.\.' cannot name the folder of a run"),
    "path traversal in a run": (
        lambda a: forge(a, lambda _, c: plant(f"{first_run(c)}/../../../evil")(_, c)),
        "no file that an archive of results may hold",
    ),
    "absolute path": (lambda a: forge(a, plant("/tmp/evil")), "cannot name the folder"),
    "windows path": (lambda a: forge(a, plant("toy/run-seed0-0123456789/..\\evil")), "may hold"),
    "hidden file": (lambda a: forge(a, plant("toy/.bashrc")), "cannot name|may hold"),
    "stray file": (lambda a: forge(a, plant("toy/evil.py")), "may hold"),
    "unlisted traversal": (lambda a: append(a, tarfile.TarInfo("../evil"), listed=False), "is not listed"),
    "unlisted absolute": (lambda a: append(a, tarfile.TarInfo("/tmp/evil"), listed=False), "is not listed"),
    "symbolic link": (
        lambda a: append(a, link("toy/unet-seed0-0123456789/run.json", tarfile.SYMTYPE, "/etc/passwd")),
        "has files but is not among the runs",
    ),
    "listed symbolic link": (
        lambda a: append(a, link("toy/speed/x.json", tarfile.SYMTYPE, "/etc/passwd"), b""),
        "is a link, a device or a folder",
    ),
    "hard link": (
        lambda a: append(a, link("toy/speed/x.json", tarfile.LNKTYPE, "toy/suite.yaml"), b""),
        "is a link, a device or a folder",
    ),
    "device": (lambda a: append(a, link("toy/speed/x.json", tarfile.CHRTYPE, ""), b""), "is a link, a device"),
    "fifo": (lambda a: append(a, link("toy/speed/x.json", tarfile.FIFOTYPE, ""), b""), "is a link, a device"),
    "folder": (lambda a: append(a, link("toy/speed/x.json", tarfile.DIRTYPE, ""), b""), "is a link, a device"),
    "duplicate": (lambda a: append(a, tarfile.TarInfo("toy/suite.yaml"), listed=False), "is in the archive twice"),
    "listed twice": (lambda a: append(a, tarfile.TarInfo("toy/suite.yaml")), "is listed twice"),
    "not listed": (lambda a: append(a, tarfile.TarInfo("toy/speed/x.json"), listed=False), "is not listed"),
    "missing": (
        lambda a: write_members(a, members_of(a)[:-1]),
        r"'toy/speed/\S+.json': is listed in manifest.json but missing",
    ),
    "tampered record": (tamper_record, "run.json': was altered: its SHA-256"),
    "tampered manifest": (tamper_manifest, "manifest.json: (is damaged|was altered)"),
    "flipped bit": (flip, "is damaged|was altered|is cut off"),
    "cut in the middle": (cut(0.5), "is cut off"),
    "cut at the end": (lambda a: a.write_bytes(a.read_bytes()[:-8]), "is cut off"),
    "empty": (lambda a: a.write_bytes(b""), "is cut off"),
    "no archive": (lambda a: a.write_text("hello" * 100), "is damaged or no archive of results"),
    "bomb": (bomb, r"would expand from [\d,]+ to 3,000,0\S+ bytes"),
    "unlisted bomb": (unlisted_bomb, "expands to more than its manifest lists"),
    "header bomb": (header_bomb, "expands to more than its manifest lists"),
    "hidden header bomb": (hidden_header_bomb, "expands to more than its manifest lists"),
    "bomb in a matrix file": (lambda a: forge(a, npz_bomb), "out of all proportion"),
    "wrong id": (lambda a: forge(a, renamed), "is the record of another run"),
    "wrong identity": (
        lambda a: forge(a, other_identity),
        "its network, recipe or seed was edited: .* identity says 0000",
    ),
    "wrong protocol id": (
        lambda a: forge(a, with_record(protocol_id="0" * 64)),
        "its recipe was edited: .* protocol_id says 0000",
    ),
    "other recipe": (lambda a: forge(a, with_record(recipe={"train": {"epochs": 9}})), "its recipe was edited"),
    "other recipe, hash mended": (
        lambda a: forge(a, with_record(recipe={"epochs": 9}, protocol_id=digest({"epochs": 9}))),
        "its network, recipe or seed was edited: .* identity says",
    ),
    "newer record": (lambda a: forge(a, with_record(schema_version=99)), "was written by a newer segbench"),
    "newer archive": (
        lambda a: forge(a, lambda d, _: d.update(schema_version=3)),
        "newer segbench .* install the",
    ),
    "no manifest": (lambda a: write_members(a, members_of(a)[1:]), "does not begin with manifest.json"),
    "unknown key": (lambda a: forge(a, lambda d, _: d.update(more=1)), "manifest.json: is damaged"),
    "part 0": (lambda a: forge(a, lambda d, _: d.update(part=0)), "manifest.json: is damaged"),
    "a number as text": (lambda a: forge(a, lambda d, _: d.update(part="1")), "manifest.json: is damaged"),
    "run unlisted": (lambda a: forge(a, lambda d, _: d["runs"].pop()), "has files but is not among the runs"),
    "run outside": (lambda a: forge(a, listed_run(id="../../x/../y")), r"'\.\./\.\./x/\.\./y' cannot name .* run"),
    "suite outside": (lambda a: forge(a, listed_run(suite="..")), r"'\.\.' cannot name the folder of a suite"),
    "run without files": (
        lambda a: forge(a, listed_run(id="unet-seed9-0123456789")),
        "'toy/unet-seed9-0123456789' is among the runs but has no run.json",
    ),
    "run of a suite without files": (lambda a: forge(a, listed_run(suite="other")), "'other/.*' is among the runs"),
    "run without a record": (
        lambda a: forge(a, lambda _, c: c.pop(first_run(c) + "/run.json")),
        "is among the runs but has no run.json",
    ),
    "weights": (lambda a: forge(a, in_first_run("checkpoint.safetensors")), "checkpoint.safetensors' is no file that"),
    "page in a run": (lambda a: forge(a, in_first_run("evil.html")), "evil.html' is no file that"),
    "page among samples": (lambda a: forge(a, in_first_run("samples/evil.html")), "evil.html' is no file that"),
    "folder among samples": (lambda a: forge(a, in_first_run("samples/a/b.png")), "b.png' is no file that"),
    "folder named as a file": (lambda a: forge(a, in_first_run("details.npz/b.png")), "b.png' is no file that"),
    "matrices missing": (
        lambda a: forge(a, lambda _, c: c.pop(first_run(c) + "/confusion.npz")),
        "confusion.npz: is missing",
    ),
    "forged state": (lambda a: forge(a, state_of(b"pickle")), "is no saved state"),
    "no speed record": (lambda a: forge(a, plant("toy/speed/x.json", b"{}")), "is no speed record"),
    "broken checks": (lambda a: forge(a, plant("toy/data.json", b"[]")), "holds no JSON object"),
}


@pytest.mark.slow(reason="writes many archives")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_wrong_archive_is_refused_and_nothing_is_written(archive, tmp_path, case):
    spoil, told = HOSTILE[case]
    good = shutil.copy(archive, tmp_path / "good.tar.xz")
    spoil(archive)
    before = tree(tmp_path)
    for into in ("there", "new/deep/there"):
        with pytest.raises(ArchiveError, match=told) as refused:
            merge([good, archive], tmp_path / into)
        text = str(refused.value)
        assert text.startswith(f"{archive}: ")
        assert text.endswith("nothing was merged; get a new copy of the archive, or leave it out")
        assert ".tmp" not in text
    assert tree(tmp_path) == before
    assert not (tmp_path / "there").exists()
    assert not (tmp_path / "new").exists()
    assert not Path("/tmp/evil").exists()


def test_a_refused_archive_leaves_a_folder_as_it_was(archive, tmp_path):
    merge([archive], tmp_path / "there")
    before = tree(tmp_path / "there")
    forge(archive, with_record(protocol_id="0" * 64))
    with pytest.raises(ArchiveError):
        merge([archive], tmp_path / "there")
    assert tree(tmp_path / "there") == before


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"none.tar.xz: cannot be read: No such file"):
        merge([tmp_path / "none.tar.xz"], tmp_path / "there")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        merge([tmp_path / "folder"], tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_folder_that_cannot_be_one_of_results_is_named(archive, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        merge([archive], tmp_path / "file")
    merge([archive], tmp_path / "there")
    with pytest.raises(UsageError, match="folder of one run"):
        merge([archive], run_of(tmp_path / "there", 0))


def test_weights_of_others_never_join_a_run_that_is_there(archive, tmp_path):
    merge([archive], tmp_path / "there")
    before = tree(tmp_path / "there")
    forge(archive, in_first_run("checkpoint.safetensors"))
    with pytest.raises(ArchiveError, match="may hold"):
        merge([archive], tmp_path / "there")
    assert tree(tmp_path / "there") == before


def test_names_beyond_what_a_tar_header_holds_are_merged(tmp_path):
    run = write_true_run(tmp_path / "results", "網" * 60, suite="套" * 60)
    pack(tmp_path / "results", tmp_path / "a.tar.xz")
    assert fates(merge([tmp_path / "a.tar.xz"], tmp_path / "there")) == {Fate.ADDED: 1}
    assert tree(tmp_path / "there" / ("套" * 60) / run.name) == tree(run)


# what goes wrong on the way


def test_a_merge_that_was_killed_leaves_whole_runs_and_is_gone_on_with(results, tmp_path):
    for seed in range(3, 16):
        write_true_run(results, seed=seed)
    pack(results, tmp_path / "a.tar.xz")
    program = (
        "import sys; from pathlib import Path; from segbench.results.archive.merge import merge;"
        "merge([Path(sys.argv[1])], Path(sys.argv[2]))"
    )
    merging = subprocess.Popen([sys.executable, "-c", program, tmp_path / "a.tar.xz", tmp_path / "there"])
    deadline = time.monotonic() + 300
    while len(list((tmp_path / "there").glob("toy/unet-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    merging.kill()
    merging.wait()
    whole = list((tmp_path / "there").glob("toy/unet-*"))
    assert all(tree(run) == tree(results / "toy" / run.name) for run in whole)
    merged = merge([tmp_path / "a.tar.xz"], tmp_path / "there")
    assert fates(merged)[Fate.SAME] >= len(whole) > 0
    Store(tmp_path / "there", "toy").clean()
    assert tree(tmp_path / "there") == tree(results)


def test_what_a_dead_merge_left_in_a_suites_folder_is_swept_by_the_next_run(archive, tmp_path):
    merge([archive], tmp_path / "there")
    dead = temporary_path(tmp_path / "there" / "toy" / "merge")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = dead.with_name(dead.name.replace(f"-{os.getpid()}.", f"-{process.pid}."))
    assert not psutil.pid_exists(process.pid)
    dead.mkdir()
    assert Store(tmp_path / "there", "toy").clean() == [dead]


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_named_and_loses_nothing(archive, small_disk):
    # tmpfs counts whole pages: what the manifest lists would fit, what it takes does not
    (small_disk / "other").write_bytes(b"x" * 50_000)
    before = tree(small_disk)
    with pytest.raises(StoreError, match="No space left on device; free some space"):
        merge([archive], small_disk / "results")
    assert tree(small_disk) == before


def test_more_than_the_disk_has_left_is_refused_before_anything_is_unpacked(archive, small_disk):
    (small_disk / "other").write_bytes(b"x" * 99_000)
    with pytest.raises(UsageError, match=r"holds [\d,]+ bytes where \S+ has [\d,]+ left; free some space"):
        merge([archive], small_disk / "results")
    assert list(tree(small_disk)) == ["other"]


def test_a_full_disk_is_named_when_packing(results, small_disk):
    (small_disk / "other").write_bytes(b"x" * 99_000)
    with pytest.raises(StoreError, match="No space left on device; free some space"):
        pack(results, small_disk / "a.tar.xz")
    assert list(tree(small_disk)) == ["other"]


@pytest.mark.parametrize("planned", [True, False])
def test_a_merge_does_as_much_however_many_runs_are_there(tmp_path, planned):
    def calls(runs: int) -> int:
        into, theirs, archive = (tmp_path / str(runs) / name for name in ("into", "theirs", "a.tar.xz"))
        write_true_run(into, seed=0)
        for number in range(1, runs):
            shutil.copytree(next((into / "toy").iterdir()), into / "toy" / f"other-{number}")
        if planned:
            (into / "toy" / "suite.yaml").write_text("name: toy\n")
        write_true_run(theirs, seed=1)
        pack(theirs, archive)
        watched = cProfile.Profile()
        watched.runcall(merge, [archive], into)
        return sum(entry.callcount for entry in watched.getstats())

    calls(1)  # imports what the first merge needs
    few, many = calls(2), calls(200)
    assert many <= few + 20
