"""The report's page in a real browser: no error, no request, tables that sort and filter, readable wide and narrow."""

from __future__ import annotations

import json
import shutil
from urllib.parse import urlparse

import pytest
from stored import HOSTILE, matrices, write_run, write_speed_of

from segbench.report.render import write_report
from segbench.results.record import Outcome, Status

selenium = pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[test]'")

from selenium import webdriver  # noqa: E402 - only where it is installed
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

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
    look(browser, width=1280)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())
    return browser


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


def test_nothing_is_wrong_in_the_console_and_no_request_leaves_the_page(shown):
    assert shown.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in shown.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert sent
    assert {urlparse(address).scheme for address in sent} <= {"file", "data"}
    assert sum(urlparse(address).scheme == "file" for address in sent) == 1


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
    images = shown.find_elements(By.TAG_NAME, "img")
    assert len(images) >= 8
    for image in images:
        shown.execute_script("arguments[0].scrollIntoView()", image)
        assert shown.execute_script("return arguments[0].complete && arguments[0].naturalWidth > 0", image)
        assert int(image.get_attribute("width")) > 0
        assert len(image.get_attribute("alt")) > 40


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_is_as_wide_as_the_screen_and_only_tables_scroll(shown, width):
    look(shown, width=width)
    assert shown.execute_script("return document.documentElement.scrollWidth") <= width
    for image in shown.find_elements(By.TAG_NAME, "img"):
        assert image.rect["width"] <= width
    size = shown.execute_script("return getComputedStyle(document.querySelector('main p')).fontSize")
    assert float(size.removesuffix("px")) >= 14


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
