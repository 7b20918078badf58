"""The PretrainJob: one file says it all."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pretrain_api.names import API_VERSION, KIND
from pretrain_api.spec.base import (
    CLAIM_SIZE_PATTERN,
    STORAGE_URI_PATTERN,
    Boolean,
    KubernetesName,
    KubernetesObject,
    LabelKey,
    Name,
    NonNegativeInteger,
    PositiveInteger,
    PositiveNumber,
    SpecModel,
    Text,
)
from pretrain_api.spec.data import Data
from pretrain_api.spec.model import Model
from pretrain_api.spec.objective import Objective
from pretrain_api.spec.training import Checkpoint, Stability, Training

AccessMode = Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]


class CreateClaim(SpecModel):
    """A PersistentVolumeClaim the operator makes for the job."""

    size: Annotated[str, Field(pattern=CLAIM_SIZE_PATTERN, max_length=32)] = Field(examples=["2Ti"])
    """Size of the claim."""
    storage_class_name: KubernetesName | None = None
    """Storage class; default: the cluster's."""
    access_modes: Annotated[tuple[AccessMode, ...], Field(min_length=1, max_length=4)] = ("ReadWriteMany",)
    """Access modes."""


class Storage(SpecModel):
    """Where everything of the job is kept. A local run keeps it under its workdir."""

    uri: str = Field(default="", pattern=STORAGE_URI_PATTERN, max_length=2048)
    """pvc://claim/path, s3://bucket/prefix, gs://bucket/prefix or file:///path; may be empty in a local run."""
    create: CreateClaim | None = None
    """Make the claim."""


class Placement(SpecModel):
    """How near to each other the pods that train are placed."""

    topology_key: LabelKey = "topology.kubernetes.io/zone"
    """Label of nodes: pods are placed on nodes with the same value of it, such as a zone, a rack, an NVLink domain."""
    required: Boolean = False
    """Wait for nodes that fit, instead of training far apart."""


class Trainer(SpecModel):
    """The pods that train."""

    num_nodes: Annotated[PositiveInteger, Field(le=100_000)] = 1
    """Pods of the StatefulSet; a batch stage may override it."""
    num_proc_per_node: Literal["auto"] | PositiveInteger = "auto"
    """Processes a pod; auto: as many as GPUs, or as CPUs allow where there are none."""
    resources_per_node: KubernetesObject = Field(default_factory=dict)
    """Resources of a pod's container."""
    image: Text | None = None
    """Image of the trainer; default: the chart's."""
    placement: Placement = Placement()
    """Where its pods are placed in relation to each other."""
    pod_template: KubernetesObject = Field(default_factory=dict)
    """Merged over the pod template that the operator builds."""


class FailurePolicy(SpecModel):
    """How much failing is too much."""

    max_restarts: NonNegativeInteger = 20
    """Restarts within the window after which the job fails; evictions and the like are free."""
    restart_window_seconds: PositiveNumber = 86_400.0
    """Length of the window."""
    node_loss_timeout_seconds: PositiveNumber = 60.0
    """Time after which the pods of an unreachable node are replaced."""


class PretrainJobSpec(SpecModel):
    """What is wanted. A job without model and training only prepares data."""

    suspend: Boolean = False
    """true: checkpoint, stop the pods, keep everything; false again: go on."""
    storage: Storage = Storage()
    """Where everything is kept."""
    data: Data = Field(examples=[{"sources": [{"name": "web", "uri": "s3://corpus/*.jsonl"}]}])
    """The text and its preparation."""
    model: Model | None = None
    """The network."""
    objective: Objective = Objective()
    """What it learns."""
    training: Training | None = None
    """How it learns."""
    checkpoint: Checkpoint = Checkpoint()
    """Checkpoints."""
    stability: Stability = Stability()
    """Spikes, NaN, hangs."""
    trainer: Trainer = Trainer()
    """The pods that train."""
    failure_policy: FailurePolicy = FailurePolicy()
    """How much failing is too much."""
    queue_name: KubernetesName | None = None
    """Kueue's local queue."""
    scheduler_name: KubernetesName | None = None
    """Scheduler of all pods."""
    priority_class_name: KubernetesName | None = None
    """Priority class of all pods."""
    active_deadline_seconds: PositiveInteger | None = None
    """Longest life of the job, suspension excluded."""
    ttl_seconds_after_finished: NonNegativeInteger | None = None
    """Time after which a finished job is deleted; its storage stays."""


class Metadata(BaseModel):
    """The parts of Kubernetes' ObjectMeta that are read; the API server looks after the rest."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name = Field(examples=["llama-7b"])
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class PretrainJob(SpecModel):
    """Pre-training of one language model: data, model, objective, batch stages, budget."""

    api_version: Literal["pretrain.dev/v1alpha1"] = Field(examples=[API_VERSION])
    kind: Literal["PretrainJob"] = Field(examples=[KIND])
    metadata: Metadata = Field(examples=[{"name": "llama-7b"}])
    spec: PretrainJobSpec = Field(examples=[{"data": {"sources": [{"name": "web", "uri": "s3://corpus/*.jsonl"}]}}])
    status: dict[str, Any] | None = None
    """Written by the operator."""
