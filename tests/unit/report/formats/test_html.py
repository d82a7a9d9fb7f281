"""Claims about the page: complete in itself, everything escaped, and what a browser makes of it."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest
from stored import HOSTILE

from segbench.api.leaderboard import leaderboard
from segbench.report.blocks import Bullets, Cell, Code, Heading, Listing, Paragraph, Table
from segbench.report.formats.html import Download, to_fragment, to_html
from segbench.report.formats.html_blocks import FILTERED_ROWS
from segbench.report.runs.load import load_results
from segbench.report.write import write_report

VOID = ("meta", "link", "source", "img", "input", "br")


class Page(HTMLParser):
    """Collects elements with their attributes and the text in them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return "".join(self.words)


def hostile_blocks():
    rows = [[name, Cell(name, 1.0), Cell(name, code=True)] for name in HOSTILE]
    return [
        Heading(HOSTILE[1], 1),
        *(Paragraph.of(name, Code(name)) for name in HOSTILE),
        Bullets("Notes", HOSTILE),
        Table.of("ranking", ["a", "<b>", 'c"'], rows, ":-:"),
        Listing("\n".join(HOSTILE), "yaml"),
    ]


def test_names_are_shown_literally_and_make_no_element():
    page = Page(to_html(hostile_blocks(), drawings={}))
    assert len(page.all("script")) == 1
    for name in HOSTILE:
        if name.isprintable():
            assert page.text.count(name) >= 6, name
    assert "two lines" in page.text
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_the_page_allows_its_own_script_and_nothing_else():
    text = to_html(hostile_blocks(), drawings={})
    policy = next(tag["content"] for tag in Page(text).all("meta") if tag.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    outward = re.findall(r"""(?:src|href|srcset)="(?!data:|#)[^"]*""", text)
    assert outward == []


def test_columns_of_numbers_are_sorted_by_numbers():
    table = Table.of("x", ["size"], [[Cell("1.2 k", 1200.0)], [Cell("900", 900.0)], [""]], "-")
    cells = Page(to_html([table], drawings={})).all("td")
    assert [cell.get("data-sort") for cell in cells] == ["1200.0", "900.0", None]


def test_long_tables_get_a_field_to_filter_and_short_ones_none():
    def fields(rows):
        return Page(to_html([Table.of("x", ["a"], [["b"]] * rows)], drawings={})).all("input")

    assert len(fields(FILTERED_ROWS)) == 1
    assert fields(FILTERED_ROWS - 1) == []


def test_downloads_are_in_the_page():
    page = Page(to_html([Heading("t", 1)], drawings={}, downloads=[Download("CSV", "a.csv", "x,ü\n", "text/csv")]))
    (link,) = [tag for tag in page.all("a") if "download" in tag]
    assert link["download"] == "a.csv"
    assert base64.b64decode(link["href"].partition(",")[2]).decode() == "x,ü\n"


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_report_has_every_figure_with_width_and_words_in_light_and_dark(add, results, tmp_path):
    for seed in (0, 1):
        add("a", seed)
        add("<b>", seed, hits=50)
    files = write_report(results, tmp_path)
    page = Page(files.page.read_text(encoding="utf-8"))
    images, dark = page.all("img"), page.all("source")
    assert len(images) == len(dark) == len(files.figures) // 3 - 1  # the IoU of classes is a table
    for image in images:
        assert int(image["width"]) > 200
        assert int(image["height"]) > 100
        assert len(image["alt"]) > 40
    assert any("<b>: 0.333" in image["alt"] for image in images)
    assert all("prefers-color-scheme: dark" in source["media"] for source in dark)
    assert "a is first with a mean IoU of 0.667" in page.text


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_report_of_hostile_names_runs_nothing(hostile, tmp_path):
    page = Page(write_report(hostile, tmp_path / "out").page.read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert "<script>alert(1)</script>" in page.text
    assert {file.parent.name for file in tmp_path.rglob("*.html")} == {"toy"}


@pytest.mark.parametrize("blocks", [[], [Paragraph.of("No runs.")]])
def test_a_page_without_a_title_is_still_one(blocks):
    assert "<title>Leaderboard</title>" in to_html(blocks, drawings={})


def test_a_notebook_shows_a_leaderboard_as_ranked_tables(add, results):
    add("a")
    add("<i>b</i>", hits=50)
    board = leaderboard(load_results(results))
    page = Page(board._repr_html_())
    assert page.all("table")
    assert page.all("script") == page.all("button") == page.all("i") == []
    assert "<i>b</i>" in page.text
    assert "0.667" in page.text
    assert type(board[["model"]]).__name__ == "DataFrame"


def test_a_fragment_has_no_page_around_it():
    assert "<html" not in to_fragment([Heading("x"), Table.of("t", ["a"], [["b"]])])
