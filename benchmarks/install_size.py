"""How much the README's first command downloads and installs here, as pip resolves it.

    python benchmarks/install_size.py

The download is what pip would fetch into an empty environment, by the sizes that its index tells; what is installed is
measured in this environment.
"""

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
LARGEST = 5


def main():
    packages = resolved()
    fetched = {name: size_of(url) for name, url in packages.items()}
    installed = {name: installed_size(name) for name in packages}
    print(f"{len(packages)} packages, {gigabytes(fetched)} GB to download, {gigabytes(installed)} GB installed")
    for name in sorted(fetched, key=fetched.__getitem__, reverse=True)[:LARGEST]:
        print(f"  {name}: {fetched[name] / 1e6:,.0f} MB to download, {installed[name] / 1e6:,.0f} MB installed")


def resolved():
    """Return where pip would fetch each package from, by its name."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = ["install", "-q", "--dry-run", "--ignore-installed", "--report", str(report)]
        subprocess.run(
            [sys.executable, "-m", "pip", *command, "-c", "constraints.txt", "-e", "."], cwd=ROOT, check=True
        )
        found = json.loads(report.read_text())["install"]
    return {one["metadata"]["name"]: one["download_info"]["url"] for one in found}


def size_of(url):
    """Return the bytes of a file; 0 for this project's own folder."""
    if url.startswith("file:"):
        place = Path(urllib.request.url2pathname(url.removeprefix("file://")))
        return place.stat().st_size if place.is_file() else 0
    if not re.match("https?:", url):
        return 0
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as answer:
        return int(answer.headers["Content-Length"])


def installed_size(name):
    """Return the bytes of a package's files in this environment; 0 where it is not installed."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return 0
    places = [Path(str(file.locate())) for file in files]
    return sum(place.stat().st_size for place in places if place.is_file())


def gigabytes(sizes):
    return f"{sum(sizes.values()) / 1e9:.1f}"


if __name__ == "__main__":
    main()
