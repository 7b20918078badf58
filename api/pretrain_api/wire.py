"""What the parts say to each other: exit codes, environment, files, messages (docs/wire-formats.md)."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field

from pretrain_api.status import Checkpoints, RefusedRollback, Restarts, RollbackRecord, StatusModel, TrainingStatus


class ExitCode(IntEnum):
    """How a process of ours ends."""

    DONE = 0
    INVALID_CONFIGURATION = 64
    INVALID_DATA = 65
    INTERNAL_ERROR = 70
    TRY_AGAIN = 75
    STOPPED = 143


NEVER_RETRIED = frozenset({ExitCode.INVALID_CONFIGURATION, ExitCode.INVALID_DATA})

ENV_CONFIG = "PRETRAIN_CONFIG"
ENV_STORAGE = "PRETRAIN_STORAGE"
ENV_CLAIMS = "PRETRAIN_CLAIMS"
ENV_HTTP_PORT = "PRETRAIN_HTTP_PORT"
ENV_HTTP_ADDRESS = "PRETRAIN_HTTP_ADDRESS"
ENV_TERMINATION_LOG = "PRETRAIN_TERMINATION_LOG"
ENV_GRACE_SECONDS = "PRETRAIN_GRACE_SECONDS"
ENV_WAIT_WHEN_COMPLETED = "PRETRAIN_WAIT_WHEN_COMPLETED"
ENV_NEW_RESTART_BUDGET = "PRETRAIN_NEW_RESTART_BUDGET"
ENV_TRAINING_CONFIGURATION = "PRETRAIN_TRAINING_CONFIGURATION"
ENV_ROLLBACK = "PRETRAIN_ROLLBACK"
ENV_COMPLETION_INDEX = "JOB_COMPLETION_INDEX"
ENV_NUM_NODES = "PET_NNODES"
ENV_NUM_PROC_PER_NODE = "PET_NPROC_PER_NODE"
ENV_NODE_RANK = "PET_NODE_RANK"
ENV_MASTER_ADDR = "PET_MASTER_ADDR"
ENV_MASTER_PORT = "PET_MASTER_PORT"

DEFAULT_HTTP_PORT = 8000
DEFAULT_MASTER_PORT = 29500
DEFAULT_TERMINATION_LOG = "/dev/termination-log"
MAX_TERMINATION_MESSAGE_BYTES = 4096
REMOVED_COUNT_PREFIX = "removed."
"""Counts of a termination message that begin so are documents removed, by reason."""


class StorageLayout:
    """Where everything is in a job's storage. Paths are below `root`."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config"
        self.data = self.root / "data"
        self.filters = self.data / "filters"
        self.clean = self.data / "clean"
        self.dedup = self.data / "dedup"
        self.tokenizer = self.data / "tokenizer"
        self.augmentation = self.data / "augmentation"
        self.tokenized = self.data / "tokenized"
        self.blend = self.data / "blend.json"
        self.data_report = self.data / "report.json"
        self.evaluation_files = self.data / "evaluation"
        self.checkpoints = self.root / "checkpoints"
        self.metrics = self.root / "metrics.jsonl"
        self.metrics_discarded = self.root / "metrics-discarded.jsonl"
        self.evaluations = self.root / "evaluations.jsonl"
        self.samples = self.root / "samples.json"
        self.ledger = self.root / "ledger.jsonl"
        self.model = self.root / "model"
        self.report = self.root / "report"
        self.completed = self.root / "completed.json"
        self.completed_before = self.root / "completed-before.json"
        self.status = self.root / "status.json"
        self.logs = self.root / "logs"

    def relative(self, path: Path) -> str:
        """Return `path` relative to the storage, with forward slashes."""
        return str(PurePosixPath(path.relative_to(self.root)))


class TerminationMessage(StatusModel):
    """What a process says when it ends; at most 4,096 bytes of JSON."""

    outcome: Literal["Completed", "Failed", "Stopped"]
    reason: str
    message: str = ""
    counts: dict[str, int | float] = Field(default_factory=dict)
    missing_stage: str | None = None
    """Stage of the preparation whose output isn't there or is damaged, where that is the reason: it is done again."""

    def to_json(self) -> str:
        """Return the JSON text, its message cut so that the whole fits in 4,096 bytes."""
        text = self.model_dump_json(by_alias=True, exclude_none=True)
        excess = len(text.encode()) - MAX_TERMINATION_MESSAGE_BYTES
        if excess <= 0:
            return text
        # A character can take 6 bytes in JSON (backslash, u, four digits), so a cut by characters is always enough.
        kept = self.message[: max(0, len(self.message) - excess - 1)] + "…"
        shorter = TerminationMessage(
            outcome=self.outcome, reason=self.reason, message=kept, missing_stage=self.missing_stage
        )
        return shorter.model_dump_json(by_alias=True, exclude_none=True)


class StageProgress(StatusModel):
    """`/progress` of a preparation process."""

    stage: str
    index: int = 0
    documents_in: int = 0
    documents_out: int = 0
    bytes_in: int = 0
    bytes_total: int = 0
    """0: not known."""
    message: str = ""


class TrainerProgress(StatusModel):
    """`/progress` of a trainer's supervisor."""

    state: Literal["Starting", "Training", "RollingBack", "Restarting", "Paused", "Stopping", "Completed", "Failed"]
    message: str = ""
    """What a long single step does, or why the trainer failed."""
    training: TrainingStatus = Field(default_factory=TrainingStatus)
    checkpoints: Checkpoints = Field(default_factory=Checkpoints)
    rollbacks: list[RollbackRecord] = Field(default_factory=list)
    refused_rollback: RefusedRollback | None = None
    restarts: Restarts = Field(default_factory=Restarts)
    goodput: float | None = None


class RollbackRequest(StatusModel):
    """A rollback that a person asks for: the annotation pretrain.dev/rollback, and PRETRAIN_ROLLBACK of the trainer."""

    id: str = Field(min_length=1, max_length=64)
    """Each id is done once."""
    to_step: int = Field(ge=0)
    """Step of the checkpoint to go back to."""
    skip_sequences: int | None = Field(default=None, ge=0)
    """Sequences to skip from there on; null: those up to where training was."""


class BlendPair(StatusModel):
    """A tokenized unit: paths without .bin/.idx, relative to the storage, or absolute where another one has them."""

    train: str | None = None
    train_tokens: int = 0
    train_documents: int = 0
    validation: str | None = None
    validation_tokens: int = 0
    validation_documents: int = 0
    test: str | None = None
    test_tokens: int = 0
    test_documents: int = 0


class BlendSource(StatusModel):
    """A source as the trainer reads it: the token streams of its pairs, one after the other."""

    name: str
    origin: str | None = None
    """Source whose documents these were made of (data.augment); null: a source of the job."""
    epochs: float | None = None
    train_tokens: int
    train_documents: int
    validation_tokens: int = 0
    validation_documents: int = 0
    test_tokens: int = 0
    test_documents: int = 0
    pairs: list[BlendPair]

    @property
    def documents(self) -> int:
        """All documents, those that are held back too."""
        return self.train_documents + self.validation_documents + self.test_documents


class BlendPhase(StatusModel):
    """Weights (they add up to 1) by source name, from a number of training tokens on."""

    from_tokens: int
    weights: dict[str, float]


class SpecialTokens(StatusModel):
    """Ids of the tokenizer's special tokens; null: it has none."""

    pad: int | None = None
    unk: int | None = None
    bos: int | None = None
    eos: int | None = None


class Blend(StatusModel):
    """data/blend.json: all that the trainer needs to know of the data."""

    fingerprint: str
    """Hash of everything the tokens depend on."""
    dtype: Literal["uint16", "int32"]
    vocab_size: int
    tokenizer: str
    """Directory of the tokenizer, relative to the storage, or absolute where another one has it."""
    special_tokens: SpecialTokens
    reserved_tokens: dict[str, int] = Field(default_factory=dict)
    """Ids of the tokens that objectives need, by their text: [MASK], <extra_id_0>, …"""
    prepared: str | None = None
    """Storage of the job that prepared the data, where it wasn't this one."""
    sources: list[BlendSource]
    phases: list[BlendPhase]


class RemovalReport(StatusModel):
    """Documents a rule removed."""

    stage: str
    reason: str
    documents: int
    samples: list[str] = Field(default_factory=list)
    """Beginnings of a few of them."""


class SourceReport(StatusModel):
    """The funnel of one source."""

    name: str
    uri: str
    license: str | None = None
    language: str | None = None
    files: int = 0
    uneven: str | None = None
    """What to do about a source that its shards couldn't share; null: they could."""
    documents_read: int = 0
    bytes_read: int = 0
    bad_records: int = 0
    bad_record_samples: list[str] = Field(default_factory=list)
    """`file:line: cause` of a few."""
    removed: list[RemovalReport] = Field(default_factory=list)
    removed_lines: dict[str, int] = Field(default_factory=dict)
    """Lines removed from documents by the rules for lines, by reason."""
    languages: dict[str, int] = Field(default_factory=dict)
    """Documents by identified language (ISO 639-1), of those that the rules left; where languages are looked at."""
    language_bytes: dict[str, int] = Field(default_factory=dict)
    """Their bytes."""
    tagged: dict[str, int] = Field(default_factory=dict)
    """Documents kept with a tag, by tag."""
    redacted: dict[str, int] = Field(default_factory=dict)
    """Replaced pieces of personal data by kind."""
    documents_kept: int = 0
    bytes_kept: int = 0
    train_tokens: int = 0
    validation_tokens: int = 0
    test_tokens: int = 0
    planned_epochs: float | None = None
    """Passes over the source in the planned training."""
    length_histogram: dict[str, int] = Field(default_factory=dict)
    """Cleaned documents by length, duplicates too: least characters of the bucket (a power of two) to count."""


class AugmentationReport(StatusModel):
    """New documents of one entry of data.augment."""

    name: str
    source: str
    method: str
    partner: str | None = None
    share: float
    """Most bytes of new text, relative to `source_bytes`."""
    source_bytes: int = 0
    """Text of the source that is left to train on."""
    documents_taken: int = 0
    """Documents of the source that were taken, and of the partner."""
    documents: int = 0
    """New documents."""
    bytes: int = 0
    unused: int = 0
    """Documents that were taken and came out as they were, or empty, or found no partner."""
    too_long: int = 0
    """New documents that were left out because the share was reached."""
    train_tokens: int = 0
    planned_epochs: float | None = None
    """Passes over them in the planned training."""
    samples: list[str] = Field(default_factory=list)
    """Beginnings of a few of them."""


class TopicCluster(StatusModel):
    """A cluster of documents of a topic (spec.data.clean.clusters)."""

    words: list[str]
    """A few words that are frequent in it and rare elsewhere, of the sample that clusters are found on."""
    documents: int
    """Of what deduplication left."""
    kept: int


class StageReport(StatusModel):
    """Speed of a stage: sums over its work items."""

    name: str
    items: int
    documents_in: int = 0
    documents_out: int = 0
    bytes_in: int = 0
    seconds: float = 0.0


class DataReport(StatusModel):
    """data/report.json."""

    sources: list[SourceReport]
    augmented: list[AugmentationReport] = Field(default_factory=list)
    """New documents; they are no part of the funnel, and none is held back."""
    stages: list[StageReport] = Field(default_factory=list)
    duplicate_clusters: dict[str, dict[int, int]] = Field(default_factory=dict)
    """By kind (exact; all: with near and semantic ones): documents in a cluster to number of clusters."""
    topic_clusters: list[TopicCluster] = Field(default_factory=list)
    """Clusters by topic, the largest first; one without words is of documents in which no known word occurs, and isn't
    capped."""
    topic_cluster_cap: int | None = None
    """Most documents of a cluster that stayed."""
    cut_bytes: int = 0
    """Text that was cut out of documents that stayed: repeated passages and stretches of words."""
    contamination: dict[str, int] = Field(default_factory=dict)
    """Documents that overlap with an item of the evaluation sets, by where the item is (file:line): at most 1,000."""
    vocab_size: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)
    """Facts worth knowing: bands and rows, tokenizer kind, bytes a token."""
