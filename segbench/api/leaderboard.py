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

    - ``position`` counts the scored rows. ``rank`` shares ranks between equal scores, and is empty if each network
      was trained once, since single trainings cannot rank networks.
    - Measured columns are means over ``seeds`` runs, ``<name>_std`` their sample standard deviation (NaN for one
      run). Scores of ``details.npz`` are absent if a seed lacks them. ``class_iou`` and ``class_iou_std`` hold the
      IoU of each class by name. A suite's own metrics are ``metric_<label>`` with ``_std``, ``_low``, ``_high``.
    - ``pretrained`` is ``pretrained`` or ``scratch``; ``weights_share`` is the share of the network loaded from a
      checkpoint.
    - ``same_data``: whether the training data equals that of most rows, seed by seed. ``same_environment`` and
      ``environment_differs``: the same for threads, processor, device, precision and versions, also between the
      seeds of a row. Other caveats are in ``observations``.
    - Intervals begin with ``pixel_accuracy_low`` (``segbench.report.ranking.intervals``), measured speed with
      ``throughput_images_per_second`` (``segbench.report.ranking.speed_columns``). ``pareto``: whether no other row
      is both as accurate and as fast. With ``runs_at_once`` above 1, throughputs of runs do not measure speed.
    - ``published_mean_iou`` is the score of the paper ``published_source`` on this data set, with the paper's own
      width, data and recipe; ``published_convention`` is its treatment of void.
    - ``never_predicted``: labelled classes that are predicted nowhere. ``predicts_only``: the class predicted
      everywhere. ``precision_over``: the classes in the mean precision. ``predicts`` summarises them.
    - ``folds``: cross-validation folds pooled in the row. ``tuning``: the search of a tuned protocol; ``tuned``:
      the values chosen by a network's trials. ``grid``: the values of the suite's grid in the table's recipe.

    Args:
        runs: Rows of ``load_results``.

    Returns:
        One row per network and table, with the columns ``COLUMNS`` of ``segbench.report.ranking.leaderboard``. A table
        has one protocol and one set of test inputs (``test_data``, their digest): first the scored rows, best first,
        then failed, skipped and damaged ones with the reason. A network with some failed seeds has a row in both parts.
    """
    return Leaderboard(ranked(runs).board)
