"""Failures that are meant for people: a reason, one line of explanation, and the exit code that goes with it."""

from __future__ import annotations

from pretrain_api.names import Reason
from pretrain_api.wire import ExitCode


class TrainerError(Exception):
    """A failure with a cause and a remedy; printed without a traceback.

    Attributes:
        exit_code: How the process ends; tells the supervisor whether to try again.
        reason: CamelCase reason of the termination message.
    """

    exit_code = ExitCode.INTERNAL_ERROR
    reason: str = Reason.INTERNAL_ERROR

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or type(self).reason


class InvalidConfiguration(TrainerError):  # noqa: N818
    """The job asks for what can't be; trying again won't help."""

    exit_code = ExitCode.INVALID_CONFIGURATION
    reason = Reason.INVALID_CONFIGURATION


class InvalidData(TrainerError):  # noqa: N818
    """The token files are missing, damaged or too small; trying again won't help."""

    exit_code = ExitCode.INVALID_DATA
    reason = Reason.INVALID_DATA


class TemporaryFailure(TrainerError):  # noqa: N818
    """Something outside failed, such as a full disk; worth another try."""

    exit_code = ExitCode.TRY_AGAIN
    reason = Reason.TEMPORARY_FAILURE


class Divergence(TrainerError):  # noqa: N818
    """Training went wrong more often than the job allows."""

    exit_code = ExitCode.INVALID_DATA
    reason = Reason.ROLLBACK_BUDGET_EXHAUSTED
