"""Baselines: ours and pytest-benchmark's, and what is wrong with a file."""

from __future__ import annotations

import json

import pytest
from speed_cases import case, fingerprint, record, restart

from segbench.errors import StoreError
from segbench.results.speed.baseline import CASE_KEY, ENVIRONMENT_KEY, read_baseline, write_baseline


def benchmark(*seconds, environment=None, **changes):
    """Return what pytest-benchmark writes of one benchmark."""
    extra = {CASE_KEY: case(**changes).model_dump(mode="json"), ENVIRONMENT_KEY: environment or fingerprint()}
    return {"name": "test_x", "extra_info": extra, "stats": {"data": list(seconds), "median": sorted(seconds)[0]}}


def written(tmp_path, name, *benchmarks):
    file = tmp_path / name
    file.write_text(json.dumps({"machine_info": {}, "benchmarks": list(benchmarks)}))
    return file


def test_a_baseline_comes_back_as_it_was_saved(tmp_path):
    given = [record(restart(0.1), restart(0.2)), record(restart(0.3), batch_size=2)]
    write_baseline(tmp_path / "base.json", given)
    assert read_baseline([tmp_path / "base.json"]) == given


def test_a_file_of_pytest_benchmark_is_one_restart_of_each_case(tmp_path):
    first = written(tmp_path, "1.json", benchmark(0.1, 0.2), benchmark(0.3, batch_size=2))
    second = written(tmp_path, "2.json", benchmark(0.4, 0.5), {"name": "foreign", "extra_info": {}, "stats": {}})
    found = read_baseline([first, second])
    assert [[one.host_seconds for one in each.restarts] for each in found] == [[(0.1, 0.2), (0.4, 0.5)], [(0.3,)]]


def test_a_file_without_samples_has_its_median(tmp_path):
    bare = benchmark(0.1, 0.2)
    del bare["stats"]["data"]
    (found,) = read_baseline([written(tmp_path, "1.json", bare)])
    assert found.restarts[0].host_seconds == (0.1,)


def test_files_of_different_machines_are_not_put_together(tmp_path):
    here = written(tmp_path, "1.json", benchmark(0.1))
    there = written(tmp_path, "2.json", benchmark(0.1, environment=fingerprint() | {"processor": "other"}))
    with pytest.raises(StoreError, match="processor: 'some processor' before, 'other' now"):
        read_baseline([here, there])


def test_a_copy_of_a_measurement_is_no_new_evidence(tmp_path):
    first = written(tmp_path, "1.json", benchmark(0.1, 0.2))
    copy = written(tmp_path, "copy.json", benchmark(0.1, 0.2))
    for files in ([first, first], [first, copy]):
        with pytest.raises(StoreError, match=r"1\.json has, too; a copy is no new evidence"):
            read_baseline(files)
    with pytest.raises(StoreError, match="the other side has, too"):
        read_baseline([copy], apart_from=read_baseline([first]))
    rounded = [written(tmp_path, f"{name}.json", benchmark(0.1)) for name in "ab"]
    assert len(read_baseline(rounded)[0].restarts) == 2, "one rounded time may come twice"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "is no speed baseline"),
        ("{}", "is no speed baseline"),
        ('{"records": []}', "holds no speed case"),
        ('{"benchmarks": []}', "holds no speed case"),
        ('{"benchmarks": [{"extra_info": {"segbench_case": 1}}]}', "is no speed baseline"),
        ('{"kind": "other", "records": []}', "is no speed baseline"),
        ('{"schema_version": 2, "records": []}', "was written by a newer segbench"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, text, message):
    file = tmp_path / "base.json"
    file.write_text(text)
    with pytest.raises(StoreError, match=message) as refusal:
        read_baseline([file])
    assert str(refusal.value).startswith(str(file))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        read_baseline([tmp_path / "absent.json"])
