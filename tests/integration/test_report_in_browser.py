"""The report's page in a real browser: no error, no request; tables sort, search and open; readable and printable."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from urllib.parse import urlparse
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from retests import FOG, NOISE, retest
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
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

AXE = Path(__file__).parents[1] / "support/axe/axe.min.js"
"""axe-core, for these tests alone; its licence stands beside it."""
pytestmark = pytest.mark.slow(reason="starts a browser")

REPORTS = Path(__file__).parents[2] / "published" / "reports"
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
    """A report of hostile names, measured speed, further tests and every way for a run to end."""
    root = tmp_path_factory.mktemp("page")
    for number, label in enumerate(HOSTILE):
        counted = matrices(40 + 4 * number, images=12)
        options = {"width": 1.0 + number}
        name = "fcn8s" if label == HOSTILE[-1] else "unet"
        run = write_run(
            root / "results", label, matrices=counted, options=options, classes=("a|b", "<b>", "$x$"), name=name
        )
        retest(run, FOG, matrices(30 + 4 * number, images=12))
        retest(run, NOISE, None, reason="<img src=x onerror=alert(1)>")
    write_speed_of(root / "results", HOSTILE[0], 0.01, 0.012, options={"width": 1.0})
    failed = Outcome(status=Status.FAILED, reason="<img src=x onerror=alert(1)>")
    write_run(root / "results", "failed", outcome=failed)
    Store(root / "results", "toy").write_suite("name: toy\n", {})
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


def headers(browser):
    return ranking(browser).find_elements(By.CSS_SELECTOR, ":scope > thead > tr > th")


def button_of(header):
    return header.find_element(By.TAG_NAME, "button")


def titles(browser):
    """The headings that are shown."""
    return [button_of(header).text.strip() for header in headers(browser) if header.is_displayed()]


def column(browser, title):
    return [button_of(header).get_attribute("textContent") for header in headers(browser)].index(title)


def cells(browser, title):
    place = column(browser, title) + 1
    found = ranking(browser).find_elements(By.CSS_SELECTOR, f":scope > tbody > tr.opens > td:nth-child({place})")
    return [cell.text for cell in found if cell.is_displayed()]


def names(browser):
    found = ranking(browser).find_elements(By.CSS_SELECTOR, ":scope > tbody > tr.opens .open")
    return [one.text for one in found if one.is_displayed()]


def press(browser, title):
    button_of(headers(browser)[column(browser, title)]).click()


def choose(browser, preset):
    browser.find_element(By.CSS_SELECTOR, f".ranking button[data-preset={preset}]").click()


def assert_accessible(browser):
    """Axe finds nothing wrong with the page as it stands."""
    run = "axe.run(document).then(found => arguments[arguments.length - 1](found.violations))"
    problems = browser.execute_async_script(f"{AXE.read_text(encoding='utf-8')};{run}")
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in problems] == []


def assert_nothing_cut_in_print(browser):
    """On A4, no text or picture stands beyond the paper, and nothing scrolls."""
    look(browser, width=703)  # 210 mm less the margins, at 96 pixels an inch
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    cut = """
      return [...document.querySelectorAll('main *')].filter(one => {
        const style = getComputedStyle(one), box = one.getBoundingClientRect();
        if (!box.width || style.visibility === 'hidden' || one.closest('.unseen, [hidden], svg, thead')) return false;
        const scrolls = ['auto', 'scroll', 'hidden'].includes(style.overflowX) && one.scrollWidth > one.clientWidth + 1;
        const tall = ['auto', 'scroll'].includes(style.overflowY) && one.scrollHeight > one.clientHeight + 1;
        return box.right > 704 || scrolls || tall;
      }).map(one => one.outerHTML.slice(0, 120))
    """
    found = browser.execute_script(cut)
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    look(browser, width=1280)
    assert found == []


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
        repeated = set(image.get_attribute("class").split()) & {"photo", "truth"}  # below and above each prediction
        assert repeated or len(image.get_attribute("alt")) > 40


def assert_fits(browser, width):
    """The page is as wide as the screen, its figures no wider or in a box that scrolls, and its text large enough."""
    look(browser, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    too_wide = """
      const shown = [...document.querySelectorAll('.pan, canvas, img')].filter(one => one.clientWidth > innerWidth);
      return shown.filter(one => !one.matches('.pan img')).map(one => one.outerHTML.slice(0, 120));
    """
    assert browser.execute_script(too_wide) == []
    shrunk = """
      const shown = [...document.querySelectorAll('.pan img')].filter(one => one.width);
      return shown.filter(one => one.width < one.getAttribute('width')).map(one => one.alt);
    """
    assert browser.execute_script(shrunk) == [], "a figure that shrinks has text that is too small"
    size = browser.execute_script("return getComputedStyle(document.querySelector('main p')).fontSize")
    assert float(size.removesuffix("px")) >= 14


def test_nothing_is_wrong_in_the_console_and_no_request_leaves_the_page(shown):
    assert_quiet(shown)


def test_the_first_click_sorts_best_first_and_the_second_the_other_way(shown):
    before = cells(shown, "mIoU")
    press(shown, "mIoU")
    assert cells(shown, "mIoU") == sorted(before, key=float, reverse=True)
    press(shown, "mIoU")
    assert cells(shown, "mIoU") == sorted(before, key=float)
    assert headers(shown)[column(shown, "mIoU")].get_attribute("aria-sort") == "ascending"
    press(shown, "p50 ms")
    assert headers(shown)[column(shown, "p50 ms")].get_attribute("aria-sort") == "ascending", "less is better"


def test_rows_without_a_figure_come_last_in_both_directions(shown):
    for _ in range(2):
        press(shown, "img/s")
        found = cells(shown, "img/s")
        assert found[0] != ""
        assert set(found[1:]) == {""}


def test_few_columns_are_shown_at_first_and_presets_show_others(shown):
    first = titles(shown)
    assert {"model", "mIoU", "pixel acc.", "mean recall", "img/s", "p50 ms", "params"} <= set(first)
    assert len(first) <= 10
    assert "test img/s" not in [button_of(header).get_attribute("textContent") for header in headers(shown)]
    choose(shown, "accuracy")
    assert {"model", "mIoU", "Dice", "precision"} <= set(titles(shown))
    assert "params" not in titles(shown)
    choose(shown, "size")
    assert {"model", "mIoU", "params", "MACs"} <= set(titles(shown))
    choose(shown, "all")
    assert len(titles(shown)) == len(headers(shown)) > 15
    choose(shown, "overview")
    assert titles(shown) == first


def test_a_picker_shows_and_hides_single_columns(shown):
    shown.find_element(By.CSS_SELECTOR, ".ranking .picker summary").click()
    labels = {one.text.strip(): one for one in shown.find_elements(By.CSS_SELECTOR, ".ranking .choices label")}
    labels["Dice"].click()
    assert "Dice" in titles(shown)
    assert len(cells(shown, "Dice")) == len(HOSTILE)
    labels["params"].click()
    assert "params" not in titles(shown)
    pressed = shown.find_elements(By.CSS_SELECTOR, ".ranking .presets [aria-pressed=true]")
    assert pressed == []


def test_a_search_leaves_the_rows_that_hold_its_text_and_says_when_there_is_none(shown):
    field = shown.find_element(By.CSS_SELECTOR, ".ranking input[type=search]")
    told = shown.find_element(By.CSS_SELECTOR, ".ranking .none")
    field.send_keys("ALERT")
    assert names(shown) == ["<script>alert(1)</script>"]
    assert told.text == ""
    field.send_keys("xyz")
    assert names(shown) == []
    assert "None" in told.text
    field.clear()
    field.send_keys(" ")
    assert len(names(shown)) == len(HOSTILE)
    assert told.text == ""


def test_a_family_leaves_its_rows(shown):
    family = Select(shown.find_element(By.CSS_SELECTOR, ".ranking .family select"))
    assert [option.text for option in family.options] == ["all", "FCN", "U-Net"]
    family.select_by_visible_text("FCN")
    assert names(shown) == [printable(HOSTILE[-1])]
    family.select_by_visible_text("all")
    assert len(names(shown)) == len(HOSTILE)


def test_a_row_opens_by_mouse_and_keyboard_and_shows_all_that_is_known_of_its_network(shown):
    opener = ranking(shown).find_element(By.CSS_SELECTOR, ".open")
    details = shown.find_element(By.ID, opener.get_attribute("aria-controls"))
    assert not details.is_displayed()
    opener.send_keys(Keys.ENTER)
    assert details.is_displayed()
    assert opener.get_attribute("aria-expanded") == "true"
    for words in ("Long et al.", "31.0 M parameters", "toy/", "segbench run results/toy/suite.yaml", "--only", "<b>"):
        assert words in details.text, words
    assert len(details.find_elements(By.CSS_SELECTOR, ".own-curve canvas")) == 1
    opener.send_keys(Keys.SPACE)
    assert not details.is_displayed()
    ranking(shown).find_element(By.CSS_SELECTOR, "tr.opens td.right").click()
    assert details.is_displayed()
    assert_quiet(shown)


def test_an_open_row_stays_with_its_row_when_the_table_is_sorted(shown):
    opener = ranking(shown).find_element(By.CSS_SELECTOR, ".open")
    opener.click()
    for _ in range(2):
        press(shown, "mIoU")
        row = "return arguments[0].closest('tr').nextElementSibling.id"
        assert shown.execute_script(row, opener) == opener.get_attribute("aria-controls")


def test_what_a_column_means_is_told_by_mouse_and_keyboard(shown):
    tip = shown.find_element(By.ID, "tip")
    button = button_of(headers(shown)[column(shown, "p50 ms")])
    shown.execute_script("arguments[0].focus()", button)
    assert tip.text == "Median latency of a single image, in milliseconds."
    described = shown.find_element(By.ID, button.get_attribute("aria-describedby"))
    assert described.get_attribute("textContent") == tip.text
    button.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()
    ActionChains(shown).move_to_element(button).perform()
    assert tip.is_displayed()


def test_figures_tell_of_their_networks_by_keyboard(shown):
    chart = shown.find_element(By.CSS_SELECTOR, ".chart")
    assert chart.find_elements(By.TAG_NAME, "canvas")
    assert len(chart.get_attribute("aria-label")) > 40
    shown.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", chart)
    tip = shown.find_element(By.ID, "tip")
    chart.send_keys(Keys.ARROW_RIGHT)
    assert "mean IoU 0." in tip.text
    assert "images/s" in tip.text
    shown.execute_script("arguments[0].blur()", chart)
    assert not tip.is_displayed()


def test_a_heat_map_tells_of_its_cells_by_keyboard(shown):
    chart = shown.find_element(By.CSS_SELECTOR, ".chart:has(.heatmap)")
    assert chart.find_element(By.CSS_SELECTOR, "tbody th").text == "fog"
    shown.execute_script("arguments[0].focus()", chart)
    told = []
    for _ in range(2):
        chart.send_keys(Keys.ARROW_RIGHT)
        told.append(shown.find_element(By.ID, "tip").text.splitlines())
    assert all(lines[0].endswith(", fog") for lines in told)
    assert told[0] != told[1]
    assert re.fullmatch(r"mean IoU 0\.\d{3} → 0\.\d{3}", told[0][1])


def test_a_figure_as_a_picture_takes_the_place_of_the_chart_in_print(shown):
    figure = shown.find_element(By.CSS_SELECTOR, "figure:has(.chart)")
    chart, picture = figure.find_element(By.CSS_SELECTOR, ".chart"), figure.find_element(By.TAG_NAME, "img")
    assert chart.is_displayed()
    assert not picture.is_displayed()
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert not chart.is_displayed()
    assert picture.is_displayed()
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


@pytest.mark.parametrize("width", [480, 800, 1280])
def test_what_is_focused_is_not_under_the_links_at_the_top_which_all_are_in_sight(shown, width):
    look(shown, width=width)
    hidden = shown.execute_script("""
      const bar = document.querySelector('nav'), beyond = [];
      for (const link of bar.querySelectorAll('a')) {
        if (link.getBoundingClientRect().right > innerWidth) beyond.push(link.textContent);
      }
      scrollTo(0, document.body.scrollHeight);
      for (const one of [...document.querySelectorAll('main :is(button, summary, [tabindex], a)')].reverse()) {
        if (!one.checkVisibility()) continue;
        one.focus();
        const box = one.getBoundingClientRect(), end = Math.max(bar.getBoundingClientRect().bottom, 0);
        if (box.height < innerHeight / 2 && box.top < end) beyond.push(one.outerHTML.slice(0, 120));
      }
      document.activeElement.blur();
      scrollTo(0, 0);
      return beyond;
    """)
    look(shown, width=1280)
    assert hidden == []


def test_a_figure_has_an_address_of_its_own(shown):
    found = shown.execute_script("return [...document.querySelectorAll('figure[id]')].map(e => e.id)")
    assert {"accuracy-throughput", "mean-iou-intervals", "confusion"} <= set(found)
    hashed = "return [...document.querySelectorAll('[id]')].map(e => e.id).filter(id => /[0-9a-f]{8}/.test(id))"
    assert shown.execute_script(hashed) == []
    links = shown.execute_script("return [...document.querySelectorAll('nav a')].map(e => e.getAttribute('href'))")
    assert {"#ranking", "#speed", "#reproduce", "#environment"} <= set(links)
    shown.execute_script("location.hash = '#environment'")
    WebDriverWait(shown, 10).until(lambda _: shown.find_element(By.ID, "environment").get_attribute("open"))


def test_printed_on_a4_nothing_is_cut(shown):
    assert_nothing_cut_in_print(shown)
    printed = shown.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "opened"])
@pytest.mark.parametrize("colors", ["light", "dark"])
def test_axe_finds_nothing(shown, opened, colors):
    scheme = {"features": [{"name": "prefers-color-scheme", "value": colors}]}
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    if opened:
        opening = "document.querySelectorAll('details').forEach(e => { e.open = true; }); "
        shown.execute_script(f"{opening}document.querySelector('.open').click()")
    assert_accessible(shown)


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
    after = cells(browser, "mIoU")
    assert sorted(after) == sorted(before)
    means = [cell.split()[0] for cell in after]  # without their spread, which says nothing of equal means
    assert means == sorted(means, reverse=True)
    assert_figures(browser, at_least=4)
    assert_accessible(browser)
    assert_nothing_cut_in_print(browser)
    assert report.stat().st_size < 3_000_000
    for width in (1280, 400):
        assert_fits(browser, width)


def test_the_reports_of_the_quickstart_and_of_camvid_are_published():
    assert {page.parent.name for page in REPORTS.glob("*/index.html")} >= {"quickstart", "camvid-cpu"}


def test_a_reader_of_dark_pages_gets_dark_paper_and_dark_figures(shown):
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    light = shown.execute_script("return document.querySelector('picture img').currentSrc")
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    color = shown.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(",")) < 150
    shown.get(shown.current_url)
    assert shown.execute_script("return document.querySelector('picture img').currentSrc") != light


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


def test_pictures_show_prediction_errors_and_label_also_below_a_row(browser, evil_report):
    files, _, _ = evil_report
    load(browser, files.page)
    gallery = browser.find_element(By.CSS_SELECTOR, ".gallery")
    tile = gallery.find_element(By.CSS_SELECTOR, ".of-network")
    layers = {kind: tile.find_element(By.CSS_SELECTOR, f".{kind}") for kind in ("prediction", "errors", "truth")}

    def seen():
        style = "return getComputedStyle(arguments[0]).visibility"
        return {kind for kind, layer in layers.items() if browser.execute_script(style, layer) == "visible"}

    assert seen() == {"prediction"}
    for shows, kinds in (
        ("errors", {"errors"}),
        ("label", {"truth"}),
        ("image", set()),
        ("prediction", {"prediction"}),
    ):
        gallery.find_element(By.CSS_SELECTOR, f"[data-shows={shows}]").click()
        ActionChains(browser).move_to_element(browser.find_element(By.TAG_NAME, "h1")).perform()
        assert seen() == kinds, shows
    browser.execute_script("arguments[0].focus()", tile)
    assert "truth" in seen(), "with the focus, a tile shows its label"
    named = tile.get_attribute("data-network")
    (opener,) = [one for one in ranking(browser).find_elements(By.CSS_SELECTOR, ".open") if one.text == named]
    opener.send_keys(Keys.ENTER)
    details = browser.find_element(By.ID, opener.get_attribute("aria-controls"))
    assert len(details.find_elements(By.CSS_SELECTOR, ".own-pictures .errors")) == 1
    assert_quiet(browser)
