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
ANNOTATION_CONFIGURATION = f"{GROUP}/configuration"
"""Of a stage's Job and its pods: hash of what the stage depends on."""
ANNOTATION_REVISION = f"{GROUP}/revision"
"""Of the trainer's StatefulSet and its pods: hash of all that needs other pods when it changes."""
ANNOTATION_ROLLBACK = f"{GROUP}/rollback"
"""Of a PretrainJob: a person asks for a rollback."""
FINALIZER = f"{GROUP}/finalizer"
RESERVED_PREFIX = f"{GROUP}/"
RESERVED_ENVIRONMENT_PREFIXES = ("PRETRAIN_", "PET_")

MASK_TOKEN = "[MASK]"
CLASSIFICATION_TOKEN = "[CLS]"
SEPARATOR_TOKEN = "[SEP]"
FIM_PREFIX_TOKEN = "<fim_prefix>"
FIM_MIDDLE_TOKEN = "<fim_middle>"
FIM_SUFFIX_TOKEN = "<fim_suffix>"
FIM_PAD_TOKEN = "<fim_pad>"
MODE_TOKENS = {"R": "[R]", "S": "[S]", "X": "[X]"}
"""In front of the inputs of a mixture of denoisers, by mode."""


def sentinel_token(index: int) -> str:
    """Return the token that stands for the span `index`, from 0, of a text (T5)."""
    return f"<extra_id_{index}>"


class Component(StrEnum):
    """The children of a job, in the order in which they run."""

    FILTER_MODELS = "filter-models"
    CLEAN = "clean"
    DEDUP_PAIRS = "dedup-pairs"
    DEDUP_CLUSTERS = "dedup-clusters"
    TOKENIZER = "tokenizer"
    AUGMENT_PLAN = "augment-plan"
    TOKENIZE = "tokenize"
    BLEND = "blend"
    TRAINER = "trainer"
    REPORT = "report"


PREPARATION_STAGES: tuple[Component, ...] = (
    Component.FILTER_MODELS,
    Component.CLEAN,
    Component.DEDUP_PAIRS,
    Component.DEDUP_CLUSTERS,
    Component.TOKENIZER,
    Component.AUGMENT_PLAN,
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
    INVALID_ANNOTATION = "InvalidAnnotation"
    NOT_AVAILABLE = "NotAvailable"
    PREPARING = "Preparing"
    PREPARED = "Prepared"
    PREPARATION_FAILED = "PreparationFailed"
    NO_PREPARATION = "NoPreparation"
    STARTING = "Starting"
    TRAINING = "Training"
    ROLLING_BACK = "RollingBack"
    ROLLBACK_REFUSED = "RollbackRefused"
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
    MISSING_OUTPUT = "MissingOutput"
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
    IMAGE_PULL_FAILED = "ImagePullFailed"
    UNSCHEDULABLE = "Unschedulable"
    MISSING_CLAIM = "MissingClaim"
    UNBOUND_CLAIM = "UnboundClaim"
    CONTAINER_CREATION_FAILED = "ContainerCreationFailed"
    POD_CREATION_FAILED = "PodCreationFailed"
    VOLUME_MOUNT_FAILED = "VolumeMountFailed"
    POD_DELETED = "PodDeleted"
    REFUSED = "Refused"
    REQUESTED_BY_USER = "RequestedByUser"
    REPORTING = "Reporting"
    REPORT_FAILED = "ReportFailed"


class LedgerEvent(StrEnum):
    """`event` of a line of ledger.jsonl."""

    DATA_PREPARED = "data-prepared"
    START = "start"
    STAGE_CHANGE = "stage-change"
    SPIKE = "spike"
    ROLLBACK = "rollback"
    ROLLBACK_REFUSED = "rollback-refused"
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
