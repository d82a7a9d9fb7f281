"""segbench: one recipe, several segmentation networks, one fair leaderboard.

The names below are the public Python API. They are imported when first used, so that ``import segbench`` is quick and
needs neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segbench.api.leaderboard import leaderboard
    from segbench.api.run import run_suite
    from segbench.config.load import load_suite
    from segbench.report.figures.single import figure, figure_names
    from segbench.report.runs.class_tables import class_iou, confusion_matrix
    from segbench.report.runs.load import load_results

    __version__: str

__all__ = [
    "__version__",
    "class_iou",
    "confusion_matrix",
    "figure",
    "figure_names",
    "leaderboard",
    "load_results",
    "load_suite",
    "run_suite",
]

_HOMES = {
    "class_iou": "segbench.report.runs.class_tables",
    "confusion_matrix": "segbench.report.runs.class_tables",
    "figure": "segbench.report.figures.single",
    "figure_names": "segbench.report.figures.single",
    "leaderboard": "segbench.api.leaderboard",
    "load_results": "segbench.report.runs.load",
    "load_suite": "segbench.config.load",
    "run_suite": "segbench.api.run",
}


if not TYPE_CHECKING:  # a checker would take it to mean that any name is right

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return _version()
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    metadata = import_module("importlib.metadata")
    try:
        return str(metadata.version("segbench"))
    except metadata.PackageNotFoundError:
        return "0+uninstalled"
