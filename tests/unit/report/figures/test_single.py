"""One figure at a time, for notebooks."""

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from segbench import figure, figure_names, load_results
from segbench.errors import UnknownNameError, UsageError
from segbench.report.figures import plots
from segbench.report.ranking.ranking import rank
from segbench.report.runs.load import load_histories

pytestmark = pytest.mark.slow(reason="draws every figure")

DRAWN = (
    "accuracy-throughput",
    "accuracy-parameters",
    "mean-iou-intervals",
    "class-iou",
    "confusion",
    "learning-curves",
)


@pytest.fixture
def runs(train, results):
    train("unet", 60)
    train("fcn", 70)
    return load_results(results)


def test_every_figure_that_a_report_draws_can_be_drawn_alone(runs, results):
    known = rank(results)
    reported = {plot.name for plot in plots(known.board, known.runs, load_histories(known.runs), known.pairs)}
    assert set(DRAWN) <= reported
    for name in figure_names():
        if name in reported:
            assert isinstance(figure(runs, name), Figure)
        else:
            with pytest.raises(UsageError, match=f"hold nothing for the figure '{name}'"):
                figure(runs, name)


def test_a_figure_shows_what_the_report_shows(runs, results):
    known = rank(results)
    drawn = figure(runs, "class-iou")
    (reported,) = (
        plot.figure
        for plot in plots(known.board, known.runs, load_histories(known.runs), known.pairs)
        if plot.name == "class-iou"
    )
    texts = [[text.get_text() for text in one.axes[0].texts] for one in (drawn, reported)]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 2 * 3


def test_a_notebook_shows_it_as_png(runs):
    assert figure(runs, "confusion")._repr_png_().startswith(b"\x89PNG")


def test_nothing_global_changes(runs, tmp_path, monkeypatch):
    from matplotlib import pyplot as plt

    monkeypatch.chdir(tmp_path)
    before, files = dict(mpl.rcParams), set(tmp_path.rglob("*"))
    figure(runs, "class-iou")._repr_png_()
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []
    assert set(tmp_path.rglob("*")) == files


def test_a_figure_that_does_not_exist_is_refused(runs):
    with pytest.raises(UnknownNameError, match="unknown figure 'confusoin', did you mean 'confusion'"):
        figure(runs, "confusoin")


def test_runs_that_do_not_compare_are_not_drawn_together(runs, add, results):
    add("other", test_digest="other")
    with pytest.raises(UsageError, match="of several protocols or test data"):
        figure(load_results(results), "class-iou")
