"""PretrainJobs, made known to a control plane."""

from __future__ import annotations

import json
from pathlib import Path

from .control_plane_only import ControlPlaneOnly
from .errors import ClusterError
from .processes import wait_until

DEFINITION = Path(__file__).resolve().parents[3] / "charts" / "pretrain-operator" / "templates" / "pretrainjobs.yaml"
"""The CustomResourceDefinition and the policy that checks what it doesn't."""
SECONDS_TO_FORCE = 30.0


def define_pretrainjobs(plane: ControlPlaneOnly) -> None:
    """Install the definition, and wait until it is served and its policy is in force. Raises ClusterError."""
    plane.define(DEFINITION, "pretrainjobs")
    broken = {
        "apiVersion": "pretrain.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": "broken", "namespace": "default"},
        "spec": {"data": {}},
    }

    def refused() -> bool:
        try:
            plane.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(broken))
        except ClusterError as error:
            return "ValidatingAdmissionPolicy" in str(error)
        return False

    wait_until(refused, SECONDS_TO_FORCE, lambda: "the admission policy of PretrainJobs isn't in force", 0.1)
