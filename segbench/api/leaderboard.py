"""The leaderboard as a DataFrame that a notebook shows as ranked tables."""

from __future__ import annotations

import pandas as pd

from segbench.report.formats.html import to_fragment
from segbench.report.formats.leaderboard import board_blocks
from segbench.report.ranking.leaderboard import ranked


class Leaderboard(pd.DataFrame):
    """The rows of ``leaderboard``: an ordinary DataFrame that a notebook shows as ranked tables."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame  # a part of a leaderboard is none

    def _repr_html_(self) -> str:
        return to_fragment(board_blocks(self))


def leaderboard(runs: pd.DataFrame) -> Leaderboard:
    """Rank networks by mean IoU.

    Args:
        runs: Rows of ``load_results``.

    Returns:
        One row a network with the columns ``COLUMNS`` of ``segbench.report.ranking.leaderboard``: protocol by protocol
        and, in each, by the data that was tested on (``test_data``, the digest of what was fed); in each of these
        tables the scored rows, best first, and then those that failed, were skipped or are damaged, with the reason. A
        network some of whose seeds failed has both. ``position`` counts the scored rows of a table. ``rank`` does too,
        and equal scores share it; where each network was trained once there is none, since one training cannot tell
        networks apart. Measured columns are means over ``seeds`` runs; ``<name>_std`` is the sample standard deviation,
        NaN for one run. The scores of ``details.npz`` are absent where a seed lacks them. ``pretrained`` is
        ``pretrained`` or ``scratch``; ``same_data`` says whether the row was trained on what most rows of its table
        were, seed by seed; rows that were not keep their rank, as their scores are of the same images.
        ``same_environment`` says so of threads, processor, device, precision and versions, and ``environment_differs``
        names those that differ, also between the seeds of the row itself. What else disturbs a comparison is in
        ``observations``. From ``pixel_accuracy_low`` on stand the columns of ``segbench.report.ranking.intervals``,
        from ``throughput_images_per_second`` on those of ``segbench.report.ranking.speed_columns``; ``pareto`` says of
        a row with a measured throughput whether no other row is both as accurate and as fast. ``published_mean_iou`` is
        what ``published_source`` reports of the network on this data set, with whatever width, data and recipe the
        paper used; ``published_convention`` says what it does with void. ``never_predicted`` names the classes that
        test labels hold and a network predicts nowhere, ``predicts_only`` the class that it predicts everywhere,
        ``precision_over`` over how many classes mean precision is then taken, and ``predicts`` says it in short.
        ``runs_at_once`` is how many runs may have shared a device: above 1, images a second of the runs are no measure
        of speed. ``folds`` is how many folds of a cross-validation are pooled in the row. ``tuning`` says what was
        searched where each network has a recipe that its own trials chose, and ``tuned`` what they chose. Each of the
        suites' own metrics adds ``metric_<label>`` with ``_std``, ``_low`` and ``_high``. ``grid`` has the values of
        the suite's grid that made the table's recipe. ``class_iou`` holds the IoU of each class by its name, and
        ``class_iou_std`` the sample standard deviation over seeds. ``weights_share`` is the share of the network that a
        checkpoint was loaded into; absent without one.
    """
    return Leaderboard(ranked(runs).board)
