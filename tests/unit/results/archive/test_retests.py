"""Claims about further tests in archives: they travel with their runs, and no result is replaced by another."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest
from deployments import EAGER, INT8, deployment
from retests import FOG, NOISE, retest
from spoilt_archives import forge, members_of, write_true_run
from stored import rewrite, some_images

from segbench.config.files import read_digest
from segbench.errors import ArchiveError
from segbench.report.robustness.load import load_retests
from segbench.report.robustness.table import robustness_tables
from segbench.results.archive.members import Kind
from segbench.results.archive.merge import merge
from segbench.results.archive.pack import pack
from segbench.results.archive.placing import Fate
from segbench.results.store import read_record, write_record


@pytest.fixture
def results(tmp_path):
    """Two networks with three trainings each, tested again under two conditions."""
    root = tmp_path / "results"
    for label, hits in (("unet", 80), ("segnet", 60)):
        for seed in range(3):
            run = write_true_run(
                root, label, seed, options={"width": hits / 100}, matrices=some_images(hits, images=30, seed=seed)
            )
            retest(run, FOG, some_images(hits - 20, images=30, seed=seed), seconds=1.5)
            retest(run, NOISE, some_images(hits - 10, images=30, seed=seed))
    return root


def further_tests(folder):
    """The content of every file of further tests."""
    place = folder / "toy" / "robustness"
    return {file.relative_to(place).as_posix(): file.read_bytes() for file in place.rglob("*") if file.is_file()}


def packed(results, tmp_path, name="a.tar.xz", **options):
    file = tmp_path / name
    return file, pack(results, file, **options)


def fates(merged):
    return dict(Counter(one.fate for one in merged.placed if one.kind is Kind.RETEST))


def a_test(root, name="fog-3.json"):
    return sorted((root / "toy" / "robustness").glob(f"unet*/{name}"))[0]


def test_further_tests_are_packed_and_merged_byte_for_byte_and_give_the_same_table(results, tmp_path):
    file, _ = packed(results, tmp_path)
    merged = merge([file], tmp_path / "there")
    assert further_tests(tmp_path / "there") == further_tests(results)
    assert len(further_tests(results)) == 24
    assert fates(merged) == {Fate.ADDED: 12}
    tables = [robustness_tables(load_retests(root / "toy"), resamples=200) for root in (results, tmp_path / "there")]
    assert tables[0][0].facts() == tables[1][0].facts()
    assert fates(merge([file], tmp_path / "there")) == {Fate.SAME: 12}


def test_parts_below_a_size_hold_all_further_tests(results, tmp_path):
    _, whole = packed(results, tmp_path)
    _, parts = packed(results, tmp_path, "p.tar.xz", max_bytes=12_000)
    assert len(parts.archives) > 1
    merge(list(reversed(parts.archives)), tmp_path / "there")
    assert further_tests(tmp_path / "there") == further_tests(results)
    assert not whole.problems


def test_only_archives_with_further_tests_are_of_the_second_version(results, tmp_path):
    file, _ = packed(results, tmp_path)
    shutil.rmtree(results / "toy" / "robustness")
    without, _ = packed(results, tmp_path, "b.tar.xz")
    versions = [json.loads(members_of(one)[0][1])["schema_version"] for one in (file, without)]
    assert versions == [2, 1]


@pytest.mark.parametrize(
    "harm", ["no json", "cut arrays", "no arrays", "another run", "other images", "another condition"]
)
def test_damaged_further_tests_are_named_and_left_out_and_the_others_are_packed(results, tmp_path, harm):
    record = a_test(results)
    arrays = record.with_suffix(".npz")
    if harm == "no json":
        record.write_text("{")
    elif harm == "cut arrays":
        arrays.write_bytes(arrays.read_bytes()[:-40])
    elif harm == "no arrays":
        arrays.unlink()
    else:
        changed = {
            "another run": {"run": "unet-seed9-00000000"},
            "other images": {"images": 7},
            "another condition": {"condition": {"kind": "corruption", "name": "fog", "severity": 5}},
        }
        rewrite(record, **changed[harm])
    file, found = packed(results, tmp_path)
    (problem,) = found.problems
    assert record.stem in problem
    names = [member.name for member, _ in members_of(file) if "/robustness/" in member.name]
    assert len(names) == 22
    assert not any(record.parent.name in name and record.stem in name for name in names)


def test_leftovers_of_writing_are_not_packed(results, tmp_path):
    a_test(results).with_name(".fog-3.json.host-1.tmp").write_text("")
    a_test(results).with_name("notes.txt").write_text("")
    file, found = packed(results, tmp_path)
    assert not found.problems
    assert len([member for member, _ in members_of(file) if "/robustness/" in member.name]) == 24


@pytest.mark.parametrize(
    ("here", "fate"),
    [
        ("same, slower", Fate.SAME),
        ("failed", Fate.REPLACED),
        ("damaged", Fate.REPLACED),
        ("of an earlier run", Fate.REPLACED),
        ("another result", Fate.CONFLICT),
        ("other images", Fate.CONFLICT),
    ],
)
def test_what_is_there_gives_way_only_where_it_is_no_result_of_this_run(results, tmp_path, here, fate):
    file, _ = packed(results, tmp_path)
    merge([file], tmp_path / "there")
    record = a_test(tmp_path / "there")
    if here == "same, slower":
        rewrite(record, seconds=99.0, environment={"device": "cuda"})
    elif here == "failed":
        rewrite(record, status="failed", reason="ran out of memory", images=0)
    elif here == "damaged":
        record.write_text("{")
    elif here == "of an earlier run":
        rewrite(record, identity="0" * 64)
    elif here == "other images":
        rewrite(record, fingerprint="g")
    else:
        other = a_test(results, "gaussian_noise-3.npz")
        shutil.copy(other, record.with_suffix(".npz"))
        rewrite(record, matrices_digest=read_digest(other))
    before = record.read_bytes()
    merged = merge([file], tmp_path / "there")
    (one,) = [one for one in merged.placed if one.name.endswith(f"{record.parent.name}/fog-3.json")]
    assert one.fate is fate
    wanted = before if fate in (Fate.SAME, Fate.CONFLICT) else a_test(results).read_bytes()
    assert record.read_bytes() == wanted
    if fate is Fate.REPLACED:
        assert further_tests(tmp_path / "there") == further_tests(results)


def test_a_failed_test_of_an_archive_replaces_no_result(results, tmp_path):
    whole, _ = packed(results, tmp_path)
    merge([whole], tmp_path / "there")
    rewrite(a_test(results), status="failed", reason="ran out of memory", images=0)
    failed, _ = packed(results, tmp_path, "b.tar.xz")
    assert fates(merge([failed], tmp_path / "there"))[Fate.KEPT] == 1
    assert json.loads(a_test(tmp_path / "there").read_text())["status"] == "completed"
    assert fates(merge([failed], tmp_path / "new"))[Fate.ADDED] == 12


@pytest.mark.parametrize("harm", ["arrays alone", "of another run", "altered arrays", "no test", "outside"])
def test_archives_altered_by_one_who_knows_the_format_are_refused_whole(results, tmp_path, harm):
    file, _ = packed(results, tmp_path)

    def altered(document, contents):
        record = next(name for name in contents if name.endswith("fog-3.json"))
        if harm == "arrays alone":
            del contents[record]
        elif harm == "of another run":
            text = json.loads(contents[record])
            contents[record] = json.dumps(text | {"run": "x-seed0-00000000"}).encode()
        elif harm == "altered arrays":
            contents[record.replace(".json", ".npz")] = b"PK\x03\x04 nothing"
        elif harm == "no test":
            contents[record] = b"{}"
        else:
            contents["toy/robustness/../../x.json"] = contents.pop(record)

    with pytest.raises(ArchiveError, match="nothing was merged"):
        merge([forge(file, altered)], tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_deployments_travel_too_and_other_times_are_no_other_result(results, tmp_path):
    run = next((results / "toy").glob("unet*-seed0-*"))
    deployment(run, EAGER, some_images(80, images=30))
    deployment(run, INT8, some_images(79, images=30))
    archive, _ = packed(results, tmp_path)
    there = tmp_path / "there"
    assert fates(merge([archive], there))[Fate.ADDED] == 14
    place = there / "toy" / "deployments" / run.name
    assert {file.name for file in place.iterdir()} == {
        *("eager-fp32.json", "eager-fp32.npz", "onnxruntime-int8.json", "onnxruntime-int8.npz")
    }
    rewrite(place / "onnxruntime-int8.json", export_seconds=99.0)
    assert fates(merge([archive], there)) == {Fate.SAME: 14}
    rewrite(place / "onnxruntime-int8.json", largest_difference=0.5)
    assert fates(merge([archive], there)) == {Fate.SAME: 13, Fate.CONFLICT: 1}


def test_a_test_of_other_weights_never_joins_the_run_that_is_there(results, tmp_path):
    """Two people trained one run to other bits, and one of them tested it again."""
    run = next((results / "toy").glob("unet*-seed0-*"))
    (run / "checkpoint.safetensors").write_bytes(b"mine")
    write_record(run, read_record(run / "run.json"))
    weights = read_record(run / "run.json").trained_weights
    retest(run, FOG, some_images(60, images=30), weights=weights)
    archive, _ = packed(results, tmp_path)
    there = tmp_path / "there"
    shutil.copytree(results, there)
    shutil.rmtree(there / "toy" / "robustness")
    other = there / "toy" / run.name
    (other / "checkpoint.safetensors").write_bytes(b"theirs")
    write_record(other, read_record(other / "run.json"))
    merged = merge([archive], there)
    (kept,) = [one for one in merged.placed if one.kind is Kind.RETEST and one.fate is Fate.KEPT]
    assert kept.name == f"toy/robustness/{run.name}/fog-3.json"
    assert kept.note == "the archive's is of another run, or of other weights"
    retest(other, FOG, some_images(60, images=30), weights=weights)
    found = load_retests(there / "toy")
    assert any("some tests are of an earlier run" in problem for problem in found.problems)


def test_matrices_that_were_exchanged_are_told(results, tmp_path):
    file = a_test(results)
    shutil.copyfile(a_test(results, "gaussian_noise-3.npz"), file.with_suffix(".npz"))
    problem, *_ = load_retests(results / "toy").problems
    assert f"{file.with_suffix('.npz')}: is damaged: it was changed after it was written" in problem


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "null", '{"schema_version": []}'])
def test_a_record_that_is_none_is_told_and_stops_nothing(results, text):
    a_test(results).write_text(text)
    found = load_retests(results / "toy")
    assert len(found.runs) == 6
    assert any("is no record of a test" in problem for problem in found.problems)
