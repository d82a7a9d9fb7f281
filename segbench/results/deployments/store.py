"""Where deployments are stored: ``<suite>/deployments/<run id>/<target>.json`` with ``<target>.npz``."""

from __future__ import annotations

from segbench.results.deployments.record import DEPLOYMENT_SCHEMA_VERSION, DeploymentRecord
from segbench.results.retests.beside import StoredTest, TestStore

DEPLOYMENTS = TestStore("deployments", DeploymentRecord, DEPLOYMENT_SCHEMA_VERSION, "deploy")

StoredDeployment = StoredTest[DeploymentRecord]
