"""Trials are not ranked; tuned runs stand beside those by the identical recipe, and are held against them."""

import json

import pytest
from stored import iou_of, matrices, some_images

from segbench.api.leaderboard import leaderboard
from segbench.config.plan import digest
from segbench.errors import StoreError
from segbench.report.blocks import Table
from segbench.report.compare.compare import compare
from segbench.report.document.tuning import tuning_answers, tuning_facts, tuning_section
from segbench.report.formats.leaderboard import to_markdown
from segbench.report.ranking.ranking import rank
from segbench.report.runs.load import load_results, load_stored
from segbench.report.runs.trials import SUPERSEDED, search_in_words
from segbench.report.write import write_report
from segbench.results.record import Outcome, Status, TuningFacts

BASE = {
    "dataset": {"name": "scenes", "train_split": "train", "validation_split": "val", "test_split": "test"},
    "train": {"epochs": 9, "optimizer": {"name": "adamw", "lr": 0.1}},
}
SEARCH = {"grid": {"train.optimizer.lr": [0.1, 0.2, 0.3]}, "seed": 0, "epochs": 4, "steps": None}
TUNED = BASE | {"tuning": SEARCH}
DIVERGED = Outcome(status=Status.FAILED, reason="the loss became nan")


@pytest.fixture
def tune(add):
    """Return a function that stores a network's trials, right about so many of 100 pixels, and its tuned run."""

    def write(label, *tried, chosen, hits=80, images=20, **changes):
        trials = {}
        for rate, found in zip(SEARCH["grid"]["train.optimizer.lr"], tried, strict=True):
            values = {"train.optimizer.lr": rate}
            ended = {"outcome": DIVERGED} if found is None else {"matrices": matrices(found)}
            facts = TuningFacts(role="trial", values=values)
            recipe = {"train": {"epochs": 4, "optimizer": {"lr": rate}}}
            trials[add(label, tuning=facts, recipe=recipe, test_digest="validation", **ended).name] = values
        values = None if chosen is None else {"train.optimizer.lr": chosen}
        facts = TuningFacts(role="tuned", values=values, trials=trials)
        ended = {"matrices": some_images(hits, images=images)} | changes
        return add(label, tuning=facts, recipe=TUNED, protocol=digest(TUNED), **ended)

    return write


@pytest.fixture
def plain(add):
    """Return a function that stores a network's run by the identical recipe."""

    def write(label, hits=70, images=20):
        return add(label, recipe=BASE, protocol=digest(BASE), matrices=some_images(hits, images=images, seed=1))

    return write


def tables(blocks, name):
    return [
        [cell.text for cell in row]
        for block in blocks
        if isinstance(block, Table) and block.name == name
        for row in block.rows
    ]


def section(results):
    stored = load_stored(results)
    return tuning_section(stored.runs, stored.trials)


def test_trials_are_never_ranked(tune, plain, results):
    plain("unet")
    tune("unet", 90, 95, 99, chosen=0.3)
    board = leaderboard(load_results(results))
    assert len(load_results(results)) == len(board) == 2
    assert len(load_stored(results).trials) == 3
    assert set(board["test_data"]) == {"test"}
    assert not board["mean_iou"].isin([iou_of(hits) for hits in (90, 95, 99)]).any()


def test_both_protocols_stand_side_by_side_and_say_which_is_which(tune, plain, results):
    for label in ("unet", "segnet"):
        plain(label)
        tune(label, 50, 60, 40, chosen=0.2)
    text = to_markdown(rank(results).board)
    assert f"### Protocol {digest(BASE)[:8]} (identical recipe) · 2 networks, n = 1 seed each" in text
    tuned = "tuned: 3 points of 4 epochs each; chosen: lr=0.2"
    assert f"### Protocol {digest(TUNED)[:8]} ({tuned}) · 2 networks, n = 1 seed each" in text


def test_without_a_tuning_nothing_is_said_of_one(plain, results):
    plain("unet")
    text = to_markdown(rank(results).board)
    assert "identical recipe" not in text
    assert "tuned" not in text
    assert section(results) == []


def test_the_section_shows_what_was_tried_and_marks_the_earliest_of_the_best(tune, results):
    tune("unet", 50, 60, 60, chosen=0.2)
    tune("segnet", None, 10, None, chosen=0.2)
    assert tables(section(results), "trials") == [
        ["segnet", "lr=0.1", "-", "failed: the loss became nan", ""],
        ["segnet", "lr=0.2", f"{iou_of(10):.3f}", "completed", "yes"],
        ["segnet", "lr=0.3", "-", "failed: the loss became nan", ""],
        ["unet", "lr=0.1", f"{iou_of(50):.3f}", "completed", ""],
        ["unet", "lr=0.2", f"{iou_of(60):.3f}", "completed", "yes"],
        ["unet", "lr=0.3", f"{iou_of(60):.3f}", "completed", ""],
    ]


def test_each_network_is_held_against_itself_with_an_interval(tune, plain, results):
    plain("unet", 70)
    tune("unet", 50, 60, 40, chosen=0.2, hits=80)
    plain("segnet", 70)
    tune("segnet", 50, 60, 40, chosen=0.2, hits=71)
    stored = load_stored(results)
    facts = tuning_facts(stored.runs, stored.trials)[0]
    rows = {row["network"]: row for row in facts["networks"]}
    for label, row in rows.items():
        given = compare(
            *(
                stored.runs[stored.runs["path"] == str(path)].assign(tuning=None)
                for path in stored.runs[stored.runs["model"] == label].sort_values("mean_iou")["path"]
            )
        )
        assert row["difference"] == pytest.approx(row["tuned"] - row["identical_recipe"])
        assert abs(row["difference"]) == pytest.approx(given.networks["difference"].iloc[0])
        assert row["low"] < row["difference"] < row["high"]
    assert rows["unet"]["low"] > 0
    assert [row["p_value"] for row in rows.values()] == [None, None]  # trained once each
    shown = {row[0]: row for row in tables(section(results), "both-protocols")}
    assert shown["unet"][3] == "lr=0.2"
    assert shown["unet"][4] == f"{rows['unet']['difference']:+.3f}"
    assert shown["unet"][5] == f"{rows['unet']['low']:+.3f} to {rows['unet']['high']:+.3f}"


def test_a_report_opens_with_what_tuning_changed(tune, plain, results):
    for label, hits in (("better", 80), ("much better", 85), ("worse", 60)):
        plain(label, 70)
        tune(label, 50, 60, 40, chosen=0.2, hits=hits)
    (answer,) = tuning_answers(load_stored(results).runs)
    rows = {
        row["network"]: row
        for row in tuning_facts(load_stored(results).runs, load_stored(results).trials)[0]["networks"]
    }
    told = {label: f"{label} ({row['difference']:+.3f})" for label, row in rows.items()}
    assert answer.startswith(
        f"Tuning raised the mean IoU of {told['much better']} and {told['better']} and lowered that of "
    )
    assert f"lowered that of {told['worse']}." in answer
    assert "trained once by each recipe: another seed may change" in answer


def test_a_network_whose_score_tuning_left_as_it_was_is_unchanged(tune, plain, results):
    plain("unet", 70)
    tune("unet", 50, 60, 40, chosen=0.2, matrices=some_images(70, images=20, seed=1))
    (answer,) = tuning_answers(load_stored(results).runs)
    assert answer.startswith("Tuning left unet unchanged. ")


def test_without_a_network_by_both_recipes_there_is_no_answer(plain, results):
    plain("unet")
    assert tuning_answers(load_stored(results).runs) == []


def test_too_few_images_have_no_interval_and_say_so(tune, plain, results):
    plain("unet", images=4)
    tune("unet", 50, 60, 40, chosen=0.2, images=4)
    blocks = section(results)
    assert tables(blocks, "both-protocols")[0][5] == ""
    assert "No interval: fewer than 10 test images." in str(blocks)


def test_a_tuned_run_whose_trials_choose_something_else_by_now_is_not_ranked(tune, plain, results):
    plain("unet")
    tune("unet", 50, 60, 70, chosen=0.2)
    runs = load_results(results)
    (late,) = runs[runs["status"] == SUPERSEDED].itertuples()
    assert late.reason == "its trials choose lr=0.3 by now"
    board = leaderboard(runs)
    assert board[board["rank"].notna()]["tuning"].isna().all()
    assert "No network was completed by both" in str(section(results))


def test_the_row_of_a_network_that_could_not_be_tuned_goes_out_when_it_can(tune, results):
    nothing = Outcome(status=Status.FAILED, reason="none of its trials gave a score: the loss became nan")
    tune("unet", None, None, None, chosen=None, outcome=nothing)
    tune("segnet", None, 50, None, chosen=None, outcome=nothing)
    rows = load_results(results).set_index("model")
    assert (rows.loc["unet", "status"], rows.loc["unet", "reason"]) == ("failed", nothing.reason)
    assert (rows.loc["segnet", "status"], rows.loc["segnet", "reason"]) == (
        SUPERSEDED,
        "its trials choose lr=0.2 by now",
    )


def test_a_tuned_run_without_its_trials_is_taken_at_its_word(tune, plain, results):
    plain("unet")
    path = tune("unet", 50, 60, 70, chosen=0.2)
    alone = load_results(path)
    assert list(alone["status"]) == ["completed"]
    assert "The trials are not among these results." in str(tuning_section(alone, load_stored(path).trials))


def test_two_tuned_sets_are_compared_tuned_with_tuned(tune, plain, results):
    plain("unet")
    tune("unet", 50, 60, 40, chosen=0.2)
    runs = load_results(results)
    found = compare(runs, runs).networks
    pairs = sorted(zip(found["first"], found["second"], strict=True))
    assert pairs == [("unet", "unet"), ("unet, tuned", "unet, tuned")]
    assert list(found["difference"]) == [0, 0]


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_report_holds_the_section_as_text_and_for_programs(tune, plain, results, tmp_path):
    for label in ("unet", "segnet"):
        plain(label)
        tune(label, 50, 60, 40, chosen=0.2)
    files = write_report(results, tmp_path / "reports")
    text = files.markdown.read_text()
    assert f"## Tuning for protocol {digest(TUNED)[:8]}" in text
    assert "scored on val, never on test" in text
    (facts,) = json.loads(files.json.read_text())["tuning"]
    assert (facts["protocol"], facts["untuned_protocol"]) == (digest(TUNED), digest(BASE))
    assert [trial["chosen"] for trial in facts["trials"]] == [False, True, False] * 2
    assert {row["network"] for row in facts["networks"]} == {"unet", "segnet"}


def test_a_folder_of_trials_alone_is_ranked_empty_and_makes_no_report(tune, results, tmp_path):
    path = tune("unet", 50, 60, 40, chosen=0.2)
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    ranking = rank(results)
    assert ranking.board.empty
    assert len(ranking.trials) == 3
    with pytest.raises(StoreError, match="only trials"):
        write_report(results, tmp_path / "reports")


def test_a_search_is_told_in_words():
    assert search_in_words(TUNED) == "tuned: 3 points of 4 epochs each"
    assert search_in_words({"tuning": {"grid": {"a": [1, 2], "b": [1, 2]}, "epochs": None, "steps": 50}}) == (
        "tuned: 4 points of 50 steps each"
    )
    assert search_in_words(BASE) == ""
    assert search_in_words(None) == ""
