"""Measures pages of reports: their size, and how long a browser takes until they are drawn.

    python benchmarks/report_pages.py [REPORTS …]

Needs chromium and chromedriver on the PATH and the packages of ``.[test]``. Each page is loaded five times from its
file at 1280 pixels; the times are medians with their range. ``drawn`` is when the page's own script has run to its end,
with all its charts. Ends with 1 where a page is larger than 3 MB.
"""

from __future__ import annotations

import platform
import shutil
import statistics
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

LARGEST_BYTES = 3_000_000
LOADS = 5
_TIMES = """
  const [t] = performance.getEntriesByType('navigation');
  return t.loadEventEnd ? [t.domContentLoadedEventEnd, t.loadEventEnd] : null
"""


def main() -> int:
    folders = [Path(name) for name in sys.argv[1:]] or sorted(
        (Path(__file__).parents[1] / "published" / "reports").iterdir()
    )
    pages = [folder / "index.html" for folder in folders if (folder / "index.html").is_file()]
    browser = _browser()
    print(
        f"{platform.processor() or platform.machine()}, {browser.capabilities['browserVersion']}, {LOADS} loads each\n"
    )
    print("| report | page | gzip | figures | charts | drawn ms | loaded ms |")
    print("| :--- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for page in pages:
        print(_line(browser, page))
    browser.quit()
    return int(any(page.stat().st_size > LARGEST_BYTES for page in pages))


def _line(browser: webdriver.Chrome, page: Path) -> str:
    import gzip

    times = []
    for _ in range(LOADS):
        browser.get(page.resolve().as_uri())
        times.append(WebDriverWait(browser, 30, 0.01).until(lambda given: given.execute_script(_TIMES)))
    drawn, loaded = (_spread([pair[place] for pair in times]) for place in (0, 1))
    charts = browser.execute_script("return document.querySelectorAll('.chart canvas').length")
    figures = browser.execute_script("return document.querySelectorAll('figure picture').length")
    content = page.read_bytes()
    sizes = f"{len(content) / 1000:,.0f} kB | {len(gzip.compress(content)) / 1000:,.0f} kB"
    return f"| {page.parent.name} | {sizes} | {figures} | {charts} | {drawn} | {loaded} |"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def _browser() -> webdriver.Chrome:
    options = Options()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


if __name__ == "__main__":
    sys.exit(main())
