"""How score and calibration change with the severity of corruptions, as curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from segbench.report import chart
from segbench.report.figures.canvas import panels
from segbench.report.figures.captions import spread_words
from segbench.report.figures.learning_curves import curves_panel, draw_curves, name_ends
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import finish, styled
from segbench.report.figures.tradeoffs import MIOU
from segbench.report.robustness.rows import AtSeverity, RobustnessRow, RobustnessTable
from segbench.report.robustness.words import sample, shown_rows

SEVERITY_CURVES = "robustness-severities"
_SEVERITY = "Severity (0: clean)"
_ERROR = "Expected calibration error"
_MEASURES: dict[str, Callable[[AtSeverity], tuple[float, ...]]] = {
    MIOU: lambda at: at.mean_iou,
    _ERROR: lambda at: at.calibration_error,
}
_WORDS = {MIOU: "mean IoU", _ERROR: "expected calibration error"}


def severity_curves(table: RobustnessTable) -> Plot | None:
    """Draw mean IoU and calibration error by severity, a curve for each network; None without corruptions."""
    rows = [row for row in shown_rows(table) if row.by_severity]
    if not rows:
        return None
    found = {measure: {row.label: curve_of(row, measure) for row in rows} for measure in _MEASURES}
    known = {measure: curves for measure, curves in found.items() if any(len(curve) for curve in curves.values())}
    with styled():
        figure, axes = panels(len(known), max(3.9, 0.24 * len(rows)), width=5.6 * len(known))
        for panel, (measure, curves) in zip(axes, known.items(), strict=True):
            draw_curves(panel, curves)
            finish(panel, _SEVERITY, measure)
            panel.set_xticks(sorted({severity for curve in curves.values() for severity in curve.index}))
            name_ends(panel, curves)
    measured = " and ".join(_WORDS[name] for name in known)
    caption = (
        f"{measured[0].upper()}{measured[1:]} by severity, mean over corruptions and seeds; 0 is the clean images. "
        f"{sample(table, rows)} {spread_words(pd.DataFrame({'seeds': [row.seeds for row in rows]}), 'Bands')}"
    )
    data = chart.curves([curves_panel(measure, curves) for measure, curves in known.items()], x=_SEVERITY)
    return Plot(SEVERITY_CURVES, "By severity", caption, figure, f"{caption} {_listed(rows)}", data)


def curve_of(row: RobustnessRow, measure: str) -> pd.DataFrame:
    """Return the ``mean`` of a measure over seeds by severity, with its ``low`` and ``high`` end."""
    values = pd.DataFrame({at.severity: _MEASURES[measure](at) for at in row.by_severity}, dtype="float64").dropna()
    mean, spread = values.mean(), values.std()
    return pd.DataFrame({"mean": mean, "low": mean - spread, "high": mean + spread}).dropna(subset="mean")


def _listed(rows: Sequence[RobustnessRow]) -> str:
    """Return the ends of all curves in words."""
    ends = [(row, curve_of(row, MIOU)["mean"]) for row in rows]
    return "; ".join(
        f"{row.label}: {mean.iloc[0]:.3f} clean, {mean.iloc[-1]:.3f} at severity {mean.index[-1]}" for row, mean in ends
    )
