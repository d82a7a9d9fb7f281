"""What was found of a suite's networks beside their ranking: on fewer images, under corruption, in other runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segbench.report.deployment import section as deployment
from segbench.report.deployment.rows import DeploymentTable
from segbench.report.document.efficiency import efficiency_facts
from segbench.report.efficiency.figure import NAME as EFFICIENCY
from segbench.report.efficiency.table import EfficiencyTable, efficiency_tables
from segbench.report.further_tests import SuiteTests
from segbench.report.robustness import section as robustness
from segbench.report.robustness.rows import RobustnessTable

FURTHER_FIGURES = (*robustness.FIGURES, *deployment.FIGURES, EFFICIENCY)
"""Names of the figures about it."""


@dataclass(frozen=True)
class Further:
    """What there is; each part is empty where nothing of it was done.

    Attributes:
        efficiency: Networks trained on shares of the images.
        retested: Networks tested again under corruption and on other data.
        deployed: Networks in other runtimes and smaller forms.
    """

    efficiency: Sequence[EfficiencyTable]
    retested: Sequence[SuiteTests[RobustnessTable]]
    deployed: Sequence[SuiteTests[DeploymentTable]]

    @classmethod
    def of(cls, runs: pd.DataFrame) -> Further:
        """Find what there is for stored runs."""
        return cls(efficiency_tables(runs), robustness.robustness_of(runs), deployment.deployments_of(runs))

    def facts(self) -> dict[str, Any]:
        """Return what the JSON of a leaderboard holds of it, by part; parts without anything are left out."""
        return {
            **({"efficiency": efficiency_facts(self.efficiency)} if self.efficiency else {}),
            **({"robustness": robustness.robustness_facts(self.retested)} if self.retested else {}),
            **({"deployment": deployment.deployment_facts(self.deployed)} if self.deployed else {}),
        }
