"""Every name that more than one part relies on: labels, components, conditions, reasons, events, ledger."""

from __future__ import annotations

from enum import StrEnum

GROUP = "pretrain.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "PretrainJob"
PLURAL = "pretrainjobs"
SINGULAR = "pretrainjob"
SHORT_NAME = "ptj"

LABEL_JOB = f"{GROUP}/job"
LABEL_COMPONENT = f"{GROUP}/component"
LABEL_STAGE = f"{GROUP}/stage"
LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
RESERVED_PREFIX = f"{GROUP}/"
RESERVED_ENVIRONMENT_PREFIXES = ("PRETRAIN_", "PET_")


class Component(StrEnum):
    """The children of a job, in the order in which they run."""

    CLEAN = "clean"
    DEDUP_PAIRS = "dedup-pairs"
    DEDUP_CLUSTERS = "dedup-clusters"
    TOKENIZER = "tokenizer"
    TOKENIZE = "tokenize"
    BLEND = "blend"
    TRAINER = "trainer"
    REPORT = "report"


PREPARATION_STAGES: tuple[Component, ...] = (
    Component.CLEAN,
    Component.DEDUP_PAIRS,
    Component.DEDUP_CLUSTERS,
    Component.TOKENIZER,
    Component.TOKENIZE,
    Component.BLEND,
)
INDEXED_STAGES = frozenset({Component.CLEAN, Component.DEDUP_PAIRS, Component.TOKENIZE})


class Phase(StrEnum):
    """`status.phase`: where the job is."""

    PENDING = "Pending"
    PREPARING = "Preparing"
    STARTING = "Starting"
    TRAINING = "Training"
    ROLLING_BACK = "RollingBack"
    RESCALING = "Rescaling"
    RESTARTING = "Restarting"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    COMPLETED = "Completed"
    FAILED = "Failed"


class ConditionType(StrEnum):
    """`status.conditions[].type`."""

    VALID = "Valid"
    DATA_READY = "DataReady"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Reason(StrEnum):
    """Reasons of conditions, events, restarts, rollbacks and termination messages."""

    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    NOT_AVAILABLE = "NotAvailable"
    PREPARING = "Preparing"
    PREPARED = "Prepared"
    PREPARATION_FAILED = "PreparationFailed"
    NO_PREPARATION = "NoPreparation"
    STARTING = "Starting"
    TRAINING = "Training"
    ROLLING_BACK = "RollingBack"
    RESCALING = "Rescaling"
    RESTARTING = "Restarting"
    NOT_RUNNING = "NotRunning"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    INVALID_CONFIGURATION = "InvalidConfiguration"
    INVALID_DATA = "InvalidData"
    MISSING_DATA = "MissingData"
    EMPTY_CORPUS = "EmptyCorpus"
    TOO_MANY_BAD_RECORDS = "TooManyBadRecords"
    VOCABULARY_TOO_LARGE = "VocabularyTooLarge"
    CORPUS_TOO_SMALL = "CorpusTooSmall"
    STORAGE_FULL = "StorageFull"
    STORAGE_NOT_WRITABLE = "StorageNotWritable"
    OUT_OF_MEMORY = "OutOfMemory"
    INTERNAL_ERROR = "InternalError"
    TEMPORARY_FAILURE = "TemporaryFailure"
    KILLED = "Killed"
    EVICTED = "Evicted"
    NODE_LOST = "NodeLost"
    RANK_FAILED = "RankFailed"
    HANG = "Hang"
    NO_PROGRESS = "NoProgress"
    LOSS_SPIKE = "LossSpike"
    GRADIENT_SPIKE = "GradientSpike"
    NON_FINITE = "NonFinite"
    PAUSED_ON_SPIKE = "PausedOnSpike"
    RESTART_BUDGET_EXHAUSTED = "RestartBudgetExhausted"
    ROLLBACK_BUDGET_EXHAUSTED = "RollbackBudgetExhausted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    CHECKPOINT_CORRUPT = "CheckpointCorrupt"
    REPORTING = "Reporting"
    REPORT_FAILED = "ReportFailed"


class LedgerEvent(StrEnum):
    """`event` of a line of ledger.jsonl."""

    DATA_PREPARED = "data-prepared"
    START = "start"
    STAGE_CHANGE = "stage-change"
    SPIKE = "spike"
    ROLLBACK = "rollback"
    SKIP = "skip"
    VERDICT = "verdict"
    RESTART = "restart"
    RESCALE = "rescale"
    HANG = "hang"
    SUSPEND = "suspend"
    RESUME = "resume"
    CHECKPOINT = "checkpoint"
    CHECKPOINT_PROMOTED = "checkpoint-promoted"
    CHECKPOINT_CORRUPT = "checkpoint-corrupt"
    COMPLETE = "complete"
    FAILED = "failed"


class StageState(StrEnum):
    """`status.dataPreparation.stages[].state`."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
