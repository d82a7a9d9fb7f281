"""The report's page in a real browser: no error, no request, tables that sort and filter, readable wide and narrow."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from urllib.parse import urlparse
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from speed_cases import changed_fingerprint
from stored import HOSTILE, matrices, write_run, write_speed_of

from segbench.report.runs.load import load_results
from segbench.report.text import printable
from segbench.report.write import write_report
from segbench.results.arrays.gallery import GALLERY_FOLDER, Gallery, GalleryImage, write_gallery
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.record import Outcome, Status
from segbench.results.store import Store

selenium = pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[test]'")

from selenium import webdriver  # noqa: E402 - only where it is installed
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

pytestmark = pytest.mark.slow(reason="starts a browser")

REPORTS = Path(__file__).parents[2] / "reports"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver on the PATH")
    options = Options()
    options.binary_location = program
    for argument in _QUIET:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report of hostile names, measured speed and every way for a run to end."""
    root = tmp_path_factory.mktemp("page")
    for number, label in enumerate(HOSTILE):
        counted = matrices(40 + 4 * number, images=12)
        options = {"width": 1.0 + number}
        write_run(root / "results", label, matrices=counted, options=options, classes=("a|b", "<b>", "$x$"))
    write_speed_of(root / "results", HOSTILE[0], 0.01, 0.012, options={"width": 1.0})
    failed = Outcome(status=Status.FAILED, reason="<img src=x onerror=alert(1)>")
    write_run(root / "results", "failed", outcome=failed)
    return write_report(root / "results", root / "reports").page


@pytest.fixture
def shown(browser, page):
    """The page, newly loaded at 1280 pixels in light colours."""
    load(browser, page)
    return browser


def load(browser, page):
    """Open a page at 1280 pixels in light colours; what was logged before is forgotten."""
    look(browser, width=1280)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())


def look(browser, *, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def ranking(browser):
    return browser.find_element(By.CSS_SELECTOR, ".ranking table")


def column(browser, title):
    titles = [header.text.strip() for header in ranking(browser).find_elements(By.TAG_NAME, "th")]
    return titles.index(title)


def cells(browser, title):
    place = column(browser, title) + 1
    found = ranking(browser).find_elements(By.CSS_SELECTOR, f"tbody tr td:nth-child({place})")
    return [cell.text for cell in found if cell.is_displayed()]


def press(browser, title):
    ranking(browser).find_elements(By.CSS_SELECTOR, "th button")[column(browser, title)].click()


def assert_quiet(browser):
    """Nothing is wrong in the console, and nothing was asked for but the page."""
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert sent
    assert {urlparse(address).scheme for address in sent} <= {"file", "data"}
    assert sum(urlparse(address).scheme == "file" for address in sent) == 1


def assert_figures(browser, *, at_least):
    """Every figure is loaded, with a width and words."""
    images = browser.find_elements(By.TAG_NAME, "img")
    assert len(images) >= at_least
    for image in images:
        browser.execute_script("arguments[0].scrollIntoView()", image)
        assert browser.execute_script("return arguments[0].complete && arguments[0].naturalWidth > 0", image)
        assert int(image.get_attribute("width")) > 0
        assert len(image.get_attribute("alt")) > 40


def assert_fits(browser, width):
    """The page is as wide as the screen, its figures no wider, and its text large enough."""
    look(browser, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    for image in browser.find_elements(By.TAG_NAME, "img"):
        assert image.rect["width"] <= width
    size = browser.execute_script("return getComputedStyle(document.querySelector('main p')).fontSize")
    assert float(size.removesuffix("px")) >= 14


def test_nothing_is_wrong_in_the_console_and_no_request_leaves_the_page(shown):
    assert_quiet(shown)


def test_a_column_sorts_up_and_down_by_its_numbers(shown):
    before = cells(shown, "mIoU")
    press(shown, "mIoU")
    assert cells(shown, "mIoU") == sorted(before, key=float)
    press(shown, "mIoU")
    assert cells(shown, "mIoU") == sorted(before, key=float, reverse=True)
    header = ranking(shown).find_elements(By.TAG_NAME, "th")[column(shown, "mIoU")]
    assert header.get_attribute("aria-sort") == "descending"


def test_rows_without_a_figure_come_last_in_both_directions(shown):
    for _ in range(2):
        press(shown, "img/s")
        found = cells(shown, "img/s")
        assert found[0] != ""
        assert set(found[1:]) == {""}


def test_a_filter_leaves_the_rows_that_hold_its_text(shown):
    field = shown.find_element(By.CSS_SELECTOR, ".ranking input")
    field.send_keys("ALERT")
    assert cells(shown, "model") == ["<script>alert(1)</script>"]
    field.clear()
    field.send_keys(" ")
    assert len(cells(shown, "model")) == len(HOSTILE)


def test_every_figure_is_loaded_with_a_width_and_words(shown):
    assert_figures(shown, at_least=6)


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_is_as_wide_as_the_screen_and_only_tables_scroll(shown, width):
    assert_fits(shown, width)


@pytest.mark.parametrize("report", sorted(REPORTS.glob("*/index.html")), ids=lambda page: page.parent.name)
def test_the_published_reports_are_as_sound(browser, report):
    load(browser, report)
    assert_quiet(browser)
    before = cells(browser, "mIoU")
    press(browser, "mIoU")
    assert cells(browser, "mIoU") == sorted(before)
    assert_figures(browser, at_least=4)
    for width in (1280, 400):
        assert_fits(browser, width)


def test_the_reports_of_the_quickstart_and_of_camvid_are_published():
    assert {page.parent.name for page in REPORTS.glob("*/index.html")} >= {"quickstart", "camvid-cpu"}


def test_a_reader_of_dark_pages_gets_dark_paper_and_dark_figures(shown):
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    light = shown.execute_script("return document.querySelector('img').currentSrc")
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    color = shown.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(",")) < 150
    shown.get(shown.current_url)
    assert shown.execute_script("return document.querySelector('img').currentSrc") != light


def test_hostile_names_are_text(shown):
    assert len(shown.find_elements(By.TAG_NAME, "script")) == 1
    assert shown.find_elements(By.CSS_SELECTOR, "img[src='x']") == []
    text = shown.find_element(By.TAG_NAME, "main").text
    for name in ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "網路 сеть", "../../etc/passwd"):
        assert name in text


EVIL = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror=window.hacked=1>",
    "\"' onmouseover=window.hacked=1 x='\"",
    "</title></style></pre></table><svg onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "../../../up",
    "{{ 7 * 7 }} %s &amp;",
    "網路 сеть ñ",
)


def evil(kind):
    """Names as hostile as there are, each saying of what it is the name."""
    return tuple(f"{kind} {name}" for name in EVIL)


@pytest.fixture(scope="module")
def evil_report(tmp_path_factory):
    """The report of a suite in which whatever has a name has a hostile one, and what was there before it."""
    root = tmp_path_factory.mktemp("evil")
    results, suite = root / "re'su\"lts <b> $(x) сеть", "сеть-網路.1"
    counted = [ImageMatrices(evil("image"), matrices(hits, images=8, classes=8).matrices) for hits in range(50, 90, 5)]
    common = {"suite": suite, "classes": evil("class"), "environment": {"device": "cpu", "processor": EVIL[0]}}
    recipe = {"dataset": {"name": EVIL[1]}, "train": {"epochs": 2, "select": "last"}, "note": list(evil("recipe"))}
    for number, (name, seen) in enumerate(zip(evil("model"), counted, strict=True)):
        options = {"norm": EVIL[number]}
        run = write_run(
            results, name, matrices=seen, options=options, recipe=recipe, name="x<y>" if number else "unet", **common
        )
    write_run(results, "twin", matrices=counted[0], options={"norm": EVIL[0]}, recipe=recipe, **common)
    write_run(results, "twin", matrices=counted[1], options={"norm": EVIL[1]}, recipe=recipe, **common)
    measured = {"options": {"norm": EVIL[0]}, "environment": changed_fingerprint("accelerator.name", EVIL[2])}
    write_speed_of(results, "speed", 0.1, suite=suite, **measured)
    for seed, reason in enumerate(evil("reason")):
        failed = Outcome(status=Status.FAILED, reason=reason)
        write_run(results, "failed", seed, outcome=failed, recipe=recipe, **common)
    _hang(run, load_results(results))
    torn = write_run(results, "torn", recipe=recipe, matrices=counted[0], **common)
    (torn / "run.json").write_text("{")
    torn.rename(torn.with_name(EVIL[1]))
    Store(results, suite).write_suite("name: x\n# </pre><script>window.hacked = 1</script>\n", {})
    before = {file for file in root.rglob("*") if file.is_file()}
    return write_report(results, root / "deep" / "reports"), before, root


def _hang(run, runs):
    """Store a gallery whose image has a hostile name."""
    protocol = runs["protocol"].iloc[0]
    place = run.parent / GALLERY_FOLDER / protocol[:8]
    place.mkdir(parents=True)
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(place / "a.png")
    picture = Image.fromarray(np.zeros((6, 8), np.uint8))
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(place / "b.png")
    facts = {"predictions": {run.name: "b.png"}, "scores": {run.name: 0.5}, "mean_iou": 0.5, "index": 0}
    image = GalleryImage(role="hardest", name=f"pictured {EVIL[0]}", image="a.png", label="b.png", **facts)
    write_gallery(place, Gallery(protocol_id=protocol, test_digest="test", test_images=8, images=(image,)))


def test_no_name_anywhere_does_more_than_stand_there(browser, evil_report):
    files, _, _ = evil_report
    load(browser, files.page)
    assert_quiet(browser)
    assert_figures(browser, at_least=6)
    assert browser.execute_script("return typeof window.hacked") == "undefined"
    assert browser.execute_script("return document.scripts.length") == 1
    odd = (
        "return [...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => n.startsWith('on'))"
    )
    assert browser.execute_script(odd) == []
    places = (
        "return [...document.querySelectorAll('[src], [href]')].map(e => (e.attributes.src || e.attributes.href).value)"
    )
    assert {re.split(r"[:#]", address)[0] for address in browser.execute_script(places)} <= {"data", ""}
    text = " ".join(browser.execute_script("return document.querySelector('main').textContent").split())
    for kind in ("model", "class", "image", "reason", "recipe"):
        for name in evil(kind):
            written = json.dumps(name, ensure_ascii=False)[1:-1] if kind == "recipe" else name
            assert " ".join(printable(name).split()) in text or written in text, name
    for name in (f"pictured {EVIL[0]}", f"twin (norm={EVIL[1]})", EVIL[2], "сеть-網路.1"):
        assert printable(name) in text, name
    for width in (1280, 400):
        assert_fits(browser, width)


def test_figures_hold_no_script_when_they_are_opened_alone(evil_report):
    files, _, _ = evil_report
    drawings = [file for file in files.figures if file.suffix == ".svg"]
    assert len(drawings) >= 12
    for file in drawings:
        for element in ET.parse(file).iter():
            assert not str(element.tag).lower().endswith("script"), file
            assert not [name for name in element.attrib if name.lower().startswith("on")], file


def test_nothing_is_written_outside_the_reports_folder(evil_report):
    files, before, root = evil_report
    written = {file for file in root.rglob("*") if file.is_file()} - before
    assert files.folder.parent == root / "deep" / "reports"
    assert written
    assert all(file.is_relative_to(files.folder) for file in written)
