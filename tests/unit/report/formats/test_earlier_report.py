"""A report that replaces another says what is gone, and is named as the folder of its suite."""

from stored import write_run

from segbench.report.formats.earlier_report import PAPER_FOLDER, earlier_report_notes, suite_name
from segbench.report.formats.tables import to_json
from segbench.report.ranking.ranking import rank
from segbench.report.runs.load import load_results


def board_of(*folders):
    return to_json(rank(*folders).board)


def test_trainings_that_are_gone_are_told(tmp_path):
    runs = [write_run(tmp_path / "results", label, seed) for label in ("a", "b") for seed in (0, 1)]
    out = tmp_path / "out"
    out.mkdir()
    file = out / "leaderboard.json"
    whole = board_of(tmp_path / "results")
    assert earlier_report_notes(out, file, whole) == (), "there was none"
    file.write_text(whole)
    assert earlier_report_notes(out, file, whole) == ()
    (note,) = earlier_report_notes(out, file, board_of(*runs[:3]))
    assert f"{out} held a report of more trainings (of b), which this one replaces" in note
    file.write_text(board_of(*runs[:3]))
    assert earlier_report_notes(out, file, whole) == (), "what is more takes nothing away"
    file.write_text("no JSON")
    assert earlier_report_notes(out, file, whole) == ()


def test_files_for_papers_of_an_earlier_report_are_told(tmp_path):
    write_run(tmp_path / "results", "a")
    (tmp_path / "out" / PAPER_FOLDER).mkdir(parents=True)
    file = tmp_path / "out" / "leaderboard.json"
    file.write_text(board_of(tmp_path / "results"))
    assert earlier_report_notes(tmp_path / "out", file, file.read_text()) == ()
    write_run(tmp_path / "results", "b")
    (note,) = earlier_report_notes(tmp_path / "out", file, board_of(tmp_path / "results"))
    assert note == f"{tmp_path / 'out' / 'paper'} is of an earlier report; --paper writes it anew"


def test_a_suite_that_was_renamed_is_called_as_its_folder(tmp_path):
    run = write_run(tmp_path, "a")
    (row,) = load_results(tmp_path).itertuples()
    assert suite_name(row) == "toy"
    (run.parent / "suite.yaml").write_text("")
    (row,) = load_results(run.parent.rename(tmp_path / "mine")).itertuples()
    assert (row.suite, suite_name(row)) == ("toy", "mine")
