"""Claims about LaTeX: booktabs tables in which every name is set literally."""

from __future__ import annotations

import re

import pytest

from segbench.api.leaderboard import leaderboard
from segbench.report.formats.latex import escape_latex, to_latex
from segbench.report.runs.load import load_results
from segbench.results.record import Outcome, Status


def test_a_table_has_its_rules_its_caption_and_its_rows(add, results):
    for seed in (0, 1):
        add("a_b & c", seed)
        add("d", seed, hits=50)
    text = to_latex(leaderboard(load_results(results)))
    assert [re.findall(rf"\\{rule}", text) != [] for rule in ("toprule", "midrule", "bottomrule")] == [True] * 3
    assert r"1 & a\_b \& c & 0.667" in text
    (caption,) = re.findall(r"\\caption\{Protocol [0-9a-f]{8} · (.*)\}", text)
    assert caption.startswith("2 networks, n = 2 seeds each, mean")
    columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3
    assert all(len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1 for row in rows)


@pytest.mark.parametrize(
    ("name", "set_as"),
    [
        ("50 %", r"50 \%"),
        ("$x_1^2$", r"\$x\_1\textasciicircum{}2\$"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("a~#<b>|", r"a\textasciitilde{}\#\textless{}b\textgreater{}\textbar{}"),
        ("0.7 ± 0.1", r"0.7 $\pm$ 0.1"),
        ("two\nlines", "two lines"),
    ],
)
def test_names_are_set_literally(name, set_as):
    assert escape_latex(name) == set_as


def test_nothing_ranked_is_said_in_a_comment(add, results):
    add("a", outcome=Outcome(status=Status.FAILED, reason="x"))
    assert to_latex(leaderboard(load_results(results))) == "% no ranked rows\n"


def test_every_table_has_a_label_of_its_own_in_plain_signs(add, results):
    add("a")
    add("b", test_digest="te_st}2")
    add("c", test_digest=None)
    add("d", recipe={"train": None})
    runs = load_results(results)
    hostile = runs.assign(protocol=[f"{protocol[:2]}_%#}}{protocol[2:]}" for protocol in runs["protocol"]])
    labels = re.findall(r"\\label\{(.*)\}$", to_latex(leaderboard(hostile)), flags=re.MULTILINE)
    assert len(labels) == len(set(labels)) == 4
    assert all(re.fullmatch(r"tab:segbench(-[A-Za-z0-9]+)+-?", label) for label in labels), labels
