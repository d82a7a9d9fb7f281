"""run, plan, validate and schema."""

import json
from pathlib import Path

import jsonschema
import pytest

from segbench import models
from segbench.cli.support.suite_file import load, naming
from segbench.config.reading.dotted_keys import MODEL_OF_SUITE
from segbench.errors import DataError, StoreError, SuiteError, UnknownNameError, UsageError
from segbench.results.store import Store


def test_a_run_trains_ranks_and_reports(done):
    folder, answer = done
    assert answer.code == 0
    assert "[2/2] U-Net, seed 0" in answer.err
    assert "2 runs done, 0 were done before" in answer.err
    assert "cnn" in answer.out
    assert "U-Net" in answer.out
    assert (folder / "reports" / "small" / "leaderboard.md").is_file()
    assert len(list((folder / "results" / "small").glob("*/confusion.npz"))) == 2


@pytest.mark.slow(reason="trains networks")
def test_a_second_run_does_nothing(done, segbench):
    folder, first = done
    places = ("--results", folder / "results", "--reports", folder / "reports", "--device", "cpu", "--in-process")
    answer = segbench("run", folder / "small.yaml", *places)
    assert answer.code == 0
    assert "0 runs done, 2 were done before" in answer.err
    assert answer.out == first.out


def test_a_command_looks_once_for_the_record_of_each_run(done, segbench, monkeypatch):
    folder, _ = done
    asked, find_all = [], Store.find_all
    monkeypatch.setattr(Store, "find_all", lambda self, runs: (asked.extend(runs), find_all(self, runs))[1])
    answer = segbench("run", folder / "small.yaml", "--results", folder / "results", "--no-report", "--device", "cpu")
    assert "0 runs done, 2 were done before" in answer.err
    assert len(asked) == len(set(asked)) == 2


def test_a_run_shows_the_iou_of_every_class_when_it_is_asked_for(done, segbench):
    folder, first = done
    places = ("--results", folder / "results", "--no-report", "--device", "cpu", "--in-process")
    answer = segbench("run", folder / "small.yaml", *places, "--per-class")
    assert "IoU by class" not in first.out
    table, verdict = first.out.rsplit("\n\n", 1)
    assert answer.out.startswith(table)
    assert answer.out.endswith(verdict)
    assert answer.out == segbench("leaderboard", folder / "results" / "small", "--per-class").out
    assert "IoU by class" in answer.out


def test_a_failed_run_is_a_row_and_the_exit_code_is_1(suite, tmp_path, segbench):
    places = ("--results", tmp_path / "results", "--reports", tmp_path / "reports", "--device", "cpu", "--in-process")
    answer = segbench("run", suite, *places, "--set", "train.optimizer.lr=1e12", "--set", "train.steps=6")
    assert answer.code == 1
    assert "failed" in answer.err
    assert "failed" in answer.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "U-Nett"], "small.yaml: --models: unknown model of this suite: 'U-Nett', did you mean 'U-Net'?"),
        (["--seeds", "4294967296"], "small.yaml: seeds[1]: "),
        (["--seeds", "zero"], "--seeds 'zero': expected whole numbers"),
        (["--only", ""], "--only '': names nothing"),
        (["--seeds", ""], "--seeds '': names nothing"),
        (["--models", ""], "--models '': names nothing"),
        (["--models", " , "], "--models ' , ': names nothing"),
        (["--set", "models.0.weights=''"], "models[0].weights: "),
        (["--device", "abacus"], "--device 'abacus'"),
        (["--set", "train.stepps=3"], "small.yaml: train.stepps: unknown key, did you mean 'steps'?"),
        (["--set", "dataset.size=[4, 4]"], "small.yaml: dataset: scenes: size [4, 4]"),
        (["--set", "dataset.test_split=tset"], "small.yaml: dataset: scenes has no split 'tset', did you mean 'test'?"),
    ],
)
def test_wrong_options_exit_with_2_and_train_nothing(options, message, suite, tmp_path, segbench):
    answer = segbench("run", suite, "--results", tmp_path / "results", "--in-process", *options)
    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err
    assert not list((tmp_path / "results").rglob("run.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--in-process", "--jobs", "2"], "--in-process does one run at a time"),
        (["--in-process", "--launcher", "ray"], "--in-process does one run at a time"),
        (["--address", "host:6379"], "--address host:6379: of a Ray cluster; add --launcher ray"),
        (["--cpus-per-run", "1"], "--cpus-per-run 1: of a Ray cluster"),
        (["--jobs", "2", "--gpus-per-run", "0.5"], "--gpus-per-run 0.5: of a Ray cluster"),
        (["--launcher", "ray", "--jobs", "1"], "--jobs 1: not with --launcher ray"),
        (["--launcher", "ray", "--jobs", "2", "--device", "cpu"], "--jobs 2 --device cpu: not with --launcher ray"),
    ],
)
def test_options_of_another_launcher_are_refused_before_anything_is_done(options, message, suite, tmp_path, segbench):
    answer = segbench("run", suite, "--results", tmp_path / "results", *options)
    assert answer.code == 2
    assert message in answer.err
    assert not (tmp_path / "results").exists()


def test_a_plan_lists_every_run_and_what_is_to_do(suite, tmp_path, segbench):
    answer = segbench("plan", suite, "--results", tmp_path, "--set", "seeds=[0, 1]", "--json")
    assert answer.code == 0
    runs = answer.json["runs"]
    assert answer.json["suite"] == "small"
    assert [(run["model"], run["seed"], run["status"]) for run in runs] == [
        ("cnn", 0, "to do"),
        ("U-Net", 0, "to do"),
        ("cnn", 1, "to do"),
        ("U-Net", 1, "to do"),
    ]
    assert all(run["id"].startswith(f"{run['model']}-seed{run['seed']}-") for run in runs)


def test_a_plan_knows_what_is_done(done, segbench):
    folder, _ = done
    answer = segbench(
        *("plan", folder / "small.yaml", "--results", folder / "results", "--set", "grid={train.steps: [2, 3]}")
    )
    assert answer.code == 0
    lines = [line.split() for line in answer.out.splitlines()]
    assert [line[-1] for line in lines if "train.steps=2" in line] == ["done", "done"]
    assert [line[-1] for line in lines if "train.steps=3" in line] == ["do", "do"]
    assert "4 runs, 2 done, 2 to do" in answer.err


def test_a_plan_shows_no_grid_where_there_is_none_and_ends_lines_without_blanks(suite, tmp_path, segbench):
    answer = segbench("plan", suite, "--results", tmp_path)
    lines = answer.out.splitlines()
    assert lines[0].split() == ["run", "model", "seed", "status"]
    assert [line for line in lines if line != line.rstrip()] == []


def test_ids_are_never_folded(suite, tmp_path, segbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    label = "models.unet.label=A network with an encoder and a name of many words"
    (run,) = [r for r in segbench("plan", suite, "--set", label, "--json").json["runs"] if r["model"].startswith("A n")]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert run["id"] in segbench("plan", suite, "--set", label).out


@pytest.mark.slow(reason="builds networks at full width")
def test_models_are_chosen_by_label_or_name_in_any_capitals(done, segbench):
    folder, _ = done
    places = ("--results", folder / "results", "--reports", folder / "reports", "--device", "cpu", "--in-process")
    for wanted in ("U-Net", "u-net", "UNET", "unet"):
        answer = segbench("run", folder / "small.yaml", *places, "--models", wanted)
        assert answer.code == 0
        assert "0 runs done, 1 was done before" in answer.err


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ([0], []),
        ([12], ["seed 12 is not in the suite; it is added for this command"]),
        ([0, 7, 12, 7], ["seeds 7, 12 are not in the suite; they are added for this command"]),
    ],
)
def test_seeds_that_the_suite_does_not_have_are_told_once(seeds, told, suite, capsys):
    found = load(suite, None, seeds=seeds).seeds
    assert found == tuple(dict.fromkeys((0, *seeds)))
    assert capsys.readouterr().err.splitlines() == told


def test_a_failed_run_is_to_do_again(done, tmp_path, segbench):
    import shutil

    folder, _ = done
    shutil.copytree(folder / "results", tmp_path / "results")
    file = next((tmp_path / "results" / "small").glob("cnn*/run.json"))
    record = json.loads(file.read_text(encoding="utf-8"))
    record["outcome"] = {"status": "failed", "reason": "a test"}
    del record["checksums"]
    file.write_text(json.dumps(record), encoding="utf-8")
    answer = segbench("plan", folder / "small.yaml", "--results", tmp_path / "results", "--json")
    assert [run["status"] for run in answer.json["runs"]] == ["to do again (failed)", "done"]


def test_a_valid_suite_says_ok_and_how_many_runs(suite, segbench):
    answer = segbench("validate", suite, "--set", "seeds=[0, 1, 2]")
    assert answer.code == 0
    assert answer.out == f"{suite}: ok, 6 runs of 2 models\n"


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("models.cnn.weights=absent.pt", "models[0].weights: there is no file 'absent.pt'"),
        ("models.cnn.pretrained=absent.safetensors", "models[0].pretrained: there is no file"),
        ("models.cnn.widht=1", "models[0].widht: unknown option of cnn, did you mean 'width'?"),
        ("grid={loader.workers: [0, 1]}", "grid.loader.workers: changes no run"),
        ("grid={train.stepps: [0, 1]}", "grid: with train.stepps=0: train.stepps: unknown key"),
    ],
)
def test_an_invalid_suite_exits_with_2_and_names_file_and_key(override, key, suite, segbench):
    answer = segbench("validate", suite, "--set", override)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith(f"error: {suite}: {key}")


def test_names_of_weights_are_no_files(suite, segbench):
    model = "models.1={name: 'torchvision:fcn_resnet50', pretrained: IMAGENET1K_V1}"
    assert segbench("validate", suite, "--set", model).code == 0


def test_a_missing_suite_exits_with_2(tmp_path, segbench):
    answer = segbench("validate", tmp_path / "absent.yaml")
    assert answer.code == 2
    assert "absent.yaml: there is no such file" in answer.err


def test_the_schema_is_json_schema(segbench):
    schema = segbench("schema").json
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"dataset", "models", "train"} <= set(schema["required"])


SHORT = {"dataset": "scenes", "models": ["unet"]}


@pytest.mark.slow(reason="trains networks")
@pytest.mark.parametrize(
    "train",
    [
        {"epochs": 3, "optimizer": {"lr": 0.01}},
        {"epochs": 3, "schedule": {"warmup_steps": 10}},
        {"epochs": "${EPOCHS}", "optimizer": {"name": "sgd", "lr": "${RATE}"}, "drop_last": "${DROP}"},
        {"epochs": 3, "accumulate": "epoch"},
    ],
)
def test_editors_take_what_the_loader_takes(train, segbench, monkeypatch):
    from segbench.config.load import check

    for name, value in {"EPOCHS": "2", "RATE": "0.1", "DROP": "false"}.items():
        monkeypatch.setenv(name, value)
    suite = SHORT | {"train": train}
    assert check(suite).train is not None
    jsonschema.validate(suite, segbench("schema").json)


@pytest.mark.slow(reason="trains networks")
@pytest.mark.parametrize(
    "train",
    [
        {"epochs": "$3"},
        {"epochs": 3, "accumulate": 0},
        {"epochs": 3, "optimizer": {"lrr": 0.01}},
        {"epochs": 3, "loss": {"weight": 2}},
    ],
)
def test_editors_refuse_what_the_loader_refuses(train, segbench):
    from segbench.config.load import check

    suite = SHORT | {"train": train}
    with pytest.raises(SuiteError):
        check(suite)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(suite, segbench("schema").json)


def test_a_package_that_cannot_be_read_does_not_break_the_schema(segbench, monkeypatch):
    monkeypatch.setitem(models.CATALOG, "broken", "not_installed:net")
    schema = segbench("schema").json
    document = {"dataset": "scenes", "models": ["unet", {"name": "broken", "any": 1}], "train": None}
    assert jsonschema.Draft202012Validator(schema).is_valid(document)
    assert not jsonschema.Draft202012Validator(schema).is_valid(document | {"models": ["brokenn"]})


def test_text_that_is_no_yaml_is_told_by_line(tmp_path, segbench):
    (tmp_path / "a.yaml").write_text("dataset: [scenes\nmodels: x", encoding="utf-8")
    answer = segbench("validate", tmp_path / "a.yaml")
    assert answer.code == 2
    assert "is not YAML" in answer.err
    assert "line 2" in answer.err
    assert "unicode string" not in answer.err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("/data: no data found"), "a.yaml: dataset: /data: no data found"),
        (UnknownNameError(MODEL_OF_SUITE, "a", ["b"]), "a.yaml: --models: unknown model of this suite: 'a'; known: b"),
        (UnknownNameError("timm optimizer", "a", ["b"]), "a.yaml: unknown timm optimizer 'a'; known: b"),
        (UsageError("--seeds: no seed 3"), "a.yaml: --seeds: no seed 3"),
        (UsageError("a.yaml: wrong"), "a.yaml: wrong"),
        (SuiteError("wrong", key="models"), "a.yaml: models: wrong"),
        (StoreError("results/run.json: cannot be read"), "results/run.json: cannot be read"),
    ],
)
def test_every_error_about_a_suite_names_its_file_once(error, message):
    with pytest.raises(UsageError) as caught, naming(Path("a.yaml")):
        raise error
    assert str(caught.value) == message


def test_an_error_that_names_its_file_is_left_alone(tmp_path):
    with pytest.raises(SuiteError) as caught, naming(tmp_path):
        raise SuiteError("wrong", file="other.yaml", key="a")
    assert caught.value.file == "other.yaml"


@pytest.mark.slow(reason="trains networks")
def test_a_command_without_time_still_ranks_what_is_done(done, segbench):
    folder, first = done
    places = ("--results", folder / "results", "--reports", folder / "reports", "--device", "cpu", "--in-process")
    answer = segbench("run", folder / "small.yaml", *places, "--time-limit", "0.001s")
    assert answer.code == 0
    assert "0 runs done, 2 were done before" in answer.err
    assert answer.out == first.out


def test_a_command_without_time_leaves_what_is_not_done_and_exits_with_3(suite, tmp_path, segbench):
    places = ("--results", tmp_path / "results", "--reports", tmp_path / "reports", "--device", "cpu", "--in-process")
    answer = segbench("run", suite, *places, "--time-limit", "0.001s")
    assert answer.code == 3
    assert "2 runs left, the same command goes on: cnn, seed 0; U-Net, seed 0" in answer.err
    assert answer.out == ""
    assert not list((tmp_path / "results").rglob("run.json"))


def test_without_an_estimate_the_cheapest_cannot_be_told(done, segbench):
    folder, _ = done
    places = ("--results", folder / "results", "--reports", folder / "reports", "--device", "cpu", "--in-process")
    answer = segbench("run", folder / "small.yaml", *places, "--order", "cheapest", "--no-report")
    assert answer.code == 0
    assert "--order cheapest: nothing is estimated" in answer.err
