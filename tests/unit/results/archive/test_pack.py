"""Claims about packing: equal results give equal archives, a limit holds, and what is damaged is named."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from itertools import pairwise

import pytest
from spoilt_archives import members_of, write_true_run
from stored import without_checksums, write_speed_of

from segbench.errors import StoreError, UsageError
from segbench.results.archive.manifest import read_manifest
from segbench.results.archive.pack import pack, part_names
from segbench.results.archive.units import Extra
from segbench.results.files import temporary_path
from segbench.results.store import Store, read_record, write_record


@pytest.fixture
def results(tmp_path):
    root = tmp_path / "results"
    for seed in range(6):
        write_true_run(root, seed=seed, hits=60 + seed)
    write_speed_of(root)
    (root / "toy" / "suite.yaml").write_text("name: toy\n")
    return root


def names(archive):
    return [member.name for member, _ in members_of(archive)]


def test_equal_results_give_equal_archives(results, tmp_path):
    shutil.copytree(results, tmp_path / "again" / "results")
    pack(results, tmp_path / "a.tar.xz")
    pack(tmp_path / "again" / "results", tmp_path / "b.tar.xz")
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()


def test_a_suites_folder_is_packed_as_the_root_that_holds_nothing_else(results, tmp_path):
    pack(results, tmp_path / "a.tar.xz")
    pack(results / "toy", tmp_path / "b.tar.xz")
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()


def test_an_archive_names_the_segbench_that_packed_it_and_is_read_by_it(results, tmp_path, monkeypatch):
    monkeypatch.setattr("segbench.results.archive.pack.__version__", "7.1.0")
    ((file, manifest),) = pack(results, tmp_path / "a.tar.xz").archives.items()
    stored = members_of(file)[0][1]
    assert json.loads(stored)["segbench"] == manifest.segbench == "7.1.0"
    assert read_manifest(stored) == manifest


def test_an_archive_is_an_ordinary_tar_file_of_nobody_without_dates(results, tmp_path):
    pack(results, tmp_path / "a.tar.xz")
    members = [member for member, _ in members_of(tmp_path / "a.tar.xz")]
    assert members[0].name == "manifest.json"
    facts = {(member.mtime, member.uid, member.gid, member.uname, member.mode, member.type) for member in members}
    assert facts == {(0, 0, 0, "", 0o644, tarfile.REGTYPE)}
    listed = subprocess.run(["tar", "tf", tmp_path / "a.tar.xz"], check=True, capture_output=True, text=True)
    assert listed.stdout.split() == [member.name for member in members]


def test_facts_are_packed_and_nothing_else(results, tmp_path):
    (run,) = results.glob("toy/*-seed0-*")
    for name in ("checkpoint.safetensors", "predictions.zip", "notes.html", ".DS_Store"):
        (run / name).write_bytes(b"x")
    (run / "samples").mkdir()
    (run / "samples" / "0.png").write_bytes(b"x")
    temporary_path(results / "toy" / "unet-seed9-0123456789").mkdir()
    pack(results, tmp_path / "a.tar.xz")
    held = {name.rpartition("/")[2] for name in names(tmp_path / "a.tar.xz") if f"/{run.name}/" in name}
    assert held == {"run.json", "confusion.npz", "history.csv"}
    assert not [name for name in names(tmp_path / "a.tar.xz") if "seed9" in name]
    pack(results, tmp_path / "b.tar.xz", extras={Extra.PREDICTIONS})
    more = set(names(tmp_path / "b.tar.xz")) - set(names(tmp_path / "a.tar.xz"))
    assert more == {f"toy/{run.name}/{name}" for name in ("predictions.zip", "samples/0.png")}


def test_a_file_that_was_changed_is_left_out_where_it_is_packed(results, tmp_path):
    (run,) = results.glob("toy/*-seed0-*")
    for name in ("checkpoint.safetensors", "predictions.zip"):
        (run / name).write_bytes(b"as stored")
    write_record(run, read_record(run / "run.json"))
    (run / "checkpoint.safetensors").write_bytes(b"changed")
    whole = pack(results, tmp_path / "a.tar.xz")
    assert whole.problems == ()
    (run / "predictions.zip").write_bytes(b"changed")
    assert pack(results, tmp_path / "b.tar.xz").problems == ()
    (problem,) = pack(results, tmp_path / "c.tar.xz", extras={Extra.PREDICTIONS}).problems
    assert problem.startswith(f"toy/{run.name}/predictions.zip: is damaged: it was changed after it was written")


def test_states_of_unfinished_runs_are_packed_on_demand_the_newest_alone(results, tmp_path):
    store = Store(results, "toy")
    (done,) = results.glob("toy/*-seed0-*")
    for run_id in (done.name, "unet-seed9-0123456789"):
        for step in (5, 10):
            with store.states_of(run_id).writing(step) as file:
                file.write_text(f"state {step}")
    pack(results, tmp_path / "a.tar.xz")
    assert not [name for name in names(tmp_path / "a.tar.xz") if ".resume" in name]
    pack(results, tmp_path / "a.tar.xz", extras={Extra.STATES})
    (state,) = (name for name in names(tmp_path / "a.tar.xz") if ".resume" in name)
    assert state.startswith("toy/.unet-seed9-0123456789.resume/step-000000010-")


@pytest.mark.parametrize("limit", [6_000, 9_000, 20_000])
def test_no_archive_is_larger_than_the_limit_and_each_run_is_in_one(results, tmp_path, limit):
    packed = pack(results, tmp_path / "a.tar.xz", max_bytes=limit)
    assert all(file.stat().st_size <= limit for file in packed.archives)
    held = [run.id for manifest in packed.archives.values() for run in manifest.runs]
    assert sorted(held) == sorted(run.name for run in results.glob("toy/*-seed*"))
    manifests = list(packed.archives.values())
    assert [manifest.part for manifest in manifests] == list(range(1, len(manifests) + 1))
    assert len({(manifest.pack_id, manifest.parts) for manifest in manifests}) == 1
    # an archive is closed only when what comes next would not fit
    sizes = [file.stat().st_size for file in packed.archives]
    assert all(one + other > limit * 0.5 for one, other in pairwise(sizes))


def test_a_run_that_is_larger_than_the_limit_is_named_and_nothing_written(results, tmp_path):
    (run,) = results.glob("toy/*-seed3-*")
    without_checksums(run)
    (run / "history.csv").write_bytes(bytes(range(256)) * 4 + run.joinpath("run.json").read_bytes())
    with pytest.raises(UsageError, match=rf"toy/{run.name} \([\d,]+ bytes\).* raise --max-size"):
        pack(results, tmp_path / "out" / "a.tar.xz", max_bytes=3_500)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda run: (run / "run.json").write_text("{"), "is damaged"),
        (lambda run: (run / "run.json").unlink(), "is missing"),
        (lambda run: (run / "confusion.npz").write_bytes(b"PK"), "is damaged"),
        (lambda run: (run / "confusion.npz").unlink(), "is missing"),
        (lambda run: (run / "details.npz").write_bytes(b"PK"), "has no checksum in run.json"),
        (lambda run: run.rename(run.with_name("other-seed0-0123456789")), "another run"),
        (lambda run: alter(run, '"epochs": 2', '"epochs": 3'), "its recipe was edited"),
        (lambda run: alter(run, '"width": 1.0', '"width": 2.0'), "its network, recipe or seed was edited"),
        (lambda run: alter(run, '"seed": 0', '"seed": 7'), "its network, recipe or seed was edited"),
    ],
)
def test_a_damaged_run_is_named_and_left_out_and_the_rest_packed(results, tmp_path, damage, told):
    (run,) = results.glob("toy/*-seed0-*")
    damage(run)
    packed = pack(results, tmp_path / "a.tar.xz")
    (problem,) = packed.problems
    assert told in problem
    assert "seed0" in problem
    (manifest,) = packed.archives.values()
    assert len(manifest.runs) == 5


def alter(run, text, other):
    content = (run / "run.json").read_text()
    assert text in content
    (run / "run.json").write_text(content.replace(text, other))


def test_a_run_that_is_written_anew_while_it_is_packed_is_left_out(results, tmp_path, monkeypatch):
    from segbench.results.archive import container as archive

    (run,) = results.glob("toy/*-seed2-*")
    add = archive._add

    def meddle(stream, source):
        if source.file == run / "run.json":
            with Store(results, "toy").writing(run.name) as folder:
                shutil.copytree(run, folder, dirs_exist_ok=True)
        return add(stream, source)

    monkeypatch.setattr(archive, "_add", meddle)
    packed = pack(results, tmp_path / "a.tar.xz")
    assert "written anew while it was packed" in packed.problems[0]
    assert not [name for name in names(tmp_path / "a.tar.xz") if run.name in name]


def test_parts_are_numbered_before_the_suffix(tmp_path):
    assert part_names(tmp_path / "voc.tar.xz", 1) == [tmp_path / "voc.tar.xz"]
    assert [file.name for file in part_names(tmp_path / "voc.tar.xz", 2)] == ["voc-1.tar.xz", "voc-2.tar.xz"]
    assert [file.name for file in part_names(tmp_path / "voc", 2)] == ["voc-1", "voc-2"]


def test_parts_of_an_earlier_packing_are_named(results, tmp_path):
    many = pack(results, tmp_path / "a.tar.xz", max_bytes=6_000)
    packed = pack(results, tmp_path / "a.tar.xz")
    assert packed.earlier == tuple(sorted(many.archives))


def test_what_cannot_be_packed_is_refused(results, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="nothing that can be packed"):
        pack(tmp_path / "empty", tmp_path / "a.tar.xz")
    with pytest.raises(StoreError, match="no such folder"):
        pack(tmp_path / "none", tmp_path / "a.tar.xz")
    with pytest.raises(UsageError, match="folder of one run; give that of its suite"):
        pack(next(results.glob("toy/*-seed0-*")), tmp_path / "a.tar.xz")
    assert not (tmp_path / "a.tar.xz").exists()
