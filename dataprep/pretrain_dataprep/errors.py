"""Errors that end a preparation process, each with its exit code and a reason for machines."""

from __future__ import annotations

from pretrain_api.names import Component, Reason
from pretrain_api.wire import ExitCode


class PreparationError(Exception):
    """Ends the process; the message is one line for people: path (and line), cause, remedy."""

    exit_code = ExitCode.INTERNAL_ERROR
    reason: str = Reason.INTERNAL_ERROR
    missing_stage: Component | None = None
    """The stage whose output isn't there, where that is the reason."""

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class ConfigurationError(PreparationError):
    """The job or the environment asks for what can't be: exit 64."""

    exit_code = ExitCode.INVALID_CONFIGURATION
    reason = Reason.INVALID_CONFIGURATION


class InputError(PreparationError):
    """Input data is missing or invalid: exit 65."""

    exit_code = ExitCode.INVALID_DATA
    reason = Reason.INVALID_DATA


class DamagedFileError(InputError):
    """A file ends early or isn't what its name says."""


class TemporaryError(PreparationError):
    """Worth trying again later: exit 75."""

    exit_code = ExitCode.TRY_AGAIN
    reason = Reason.TEMPORARY_FAILURE


class MissingOutputError(TemporaryError):
    """What an earlier stage made isn't there, is damaged or out of date: exit 75, and that stage looks at it again."""

    reason = Reason.MISSING_OUTPUT

    def __init__(self, message: str, stage: Component) -> None:
        super().__init__(f"{message}; the stage {stage} makes it: a job runs it again by itself")
        self.missing_stage = stage


class Stopped(BaseException):
    """SIGTERM or SIGINT came; not an Exception, so that no handler on the way takes it for a bad record."""
