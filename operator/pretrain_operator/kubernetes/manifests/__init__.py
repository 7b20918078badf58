"""From a job and what the plan wants to objects of Kubernetes: pure."""

from pretrain_operator.kubernetes.manifests.problems import cluster_problems
from pretrain_operator.kubernetes.manifests.shared import config_map, set_labels
from pretrain_operator.kubernetes.manifests.stage import stage_job
from pretrain_operator.kubernetes.manifests.storage import claim
from pretrain_operator.kubernetes.manifests.trainer import trainer_objects, trainer_revision

__all__ = [
    "claim",
    "cluster_problems",
    "config_map",
    "set_labels",
    "stage_job",
    "trainer_objects",
    "trainer_revision",
]
