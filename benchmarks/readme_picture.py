"""Takes the README's picture: the top of a report's page, as a browser shows it.

    python benchmarks/readme_picture.py [published/reports/quickstart/index.html] [--out docs/report.png]

Needs Chromium and, of the extra ``test``, selenium. The picture is 1280 pixels wide and reduced to 256
colours, so that marks keep theirs.
"""

import argparse
import io
import shutil
import sys
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 1280, 900
COLOURS = 256


def main():
    reader = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    reader.add_argument("page", nargs="?", type=Path, default=ROOT / "published/reports/quickstart/index.html")
    reader.add_argument("--out", type=Path, default=ROOT / "docs/report.png")
    given = reader.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium was found")
    picture = Image.open(io.BytesIO(shot(given.page, browser)))
    picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=2).save(given.out, optimize=True)
    print(f"{given.out}: {picture.width}x{picture.height}, {given.out.stat().st_size / 1e3:.0f} kB")


def shot(page, browser):
    """Return a PNG of the top of a page."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(argument)
    driver = shutil.which("chromedriver")
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as window:
        window.get(page.resolve().as_uri())
        time.sleep(2)  # scripts that draw figures
        taken: bytes = window.get_screenshot_as_png()
        return taken


if __name__ == "__main__":
    main()
