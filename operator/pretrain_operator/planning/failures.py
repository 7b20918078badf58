"""What an exit code means, and whether the work is tried again (docs/wire-formats.md, Exit codes)."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from pretrain_api.names import Reason
from pretrain_api.wire import NEVER_RETRIED, ExitCode
from pretrain_operator.planning.children import RetryPolicy
from pretrain_operator.planning.observed import Ending

FREE_REASONS = frozenset({Reason.EVICTED, Reason.NODE_LOST, Reason.POD_DELETED})
"""Endings that are nobody's fault: tried again without being counted."""
FINAL_REASONS = frozenset(
    {Reason.RESTART_BUDGET_EXHAUSTED, Reason.ROLLBACK_BUDGET_EXHAUSTED, Reason.PAUSED_ON_SPIKE, Reason.NO_PROGRESS}
)
"""What a trainer may say after which trying again would only repeat it."""

_REASONS = {
    ExitCode.INVALID_CONFIGURATION: Reason.INVALID_CONFIGURATION,
    ExitCode.INVALID_DATA: Reason.INVALID_DATA,
    ExitCode.INTERNAL_ERROR: Reason.INTERNAL_ERROR,
    ExitCode.TRY_AGAIN: Reason.TEMPORARY_FAILURE,
    ExitCode.STOPPED: Reason.STOPPED,
}


@dataclass(frozen=True)
class Failure:
    """Why something failed: a CamelCase reason, and one line `what is wrong; what to do`."""

    reason: str
    message: str


def ended_by_signal(exit_code: int) -> signal.Signals | None:
    """Return the signal that an exit code of 128 + n stands for."""
    number = exit_code - 128
    return signal.Signals(number) if number in set(signal.Signals) else None


def explain(name: str, ending: Ending) -> Failure:
    """Return why the process called `name` ended, in its own words where it left any."""
    log = f"; its log is {ending.log}" if ending.log else ""
    if ending.message is not None and ending.message.message:
        return Failure(ending.message.reason, f"{name}: {ending.message.message}")
    if ending.reason is not None:
        return Failure(ending.reason, f"{name} ended: {ending.reason}{log}")
    killer = ended_by_signal(ending.exit_code)
    if killer is signal.SIGKILL:
        return Failure(Reason.KILLED, f"{name} was killed (SIGKILL), perhaps for lack of memory{log}")
    if killer is not None and ending.exit_code != ExitCode.STOPPED:
        return Failure(Reason.KILLED, f"{name} was ended by {killer.name}{log}")
    reason = _REASONS.get(ExitCode(ending.exit_code)) if ending.exit_code in set(ExitCode) else None
    return Failure(reason or Reason.INTERNAL_ERROR, f"{name} ended with exit code {ending.exit_code}{log}")


def is_final(ending: Ending) -> bool:
    """Would trying again only repeat it?"""
    said = ending.message.reason if ending.message is not None else None
    return ending.exit_code in NEVER_RETRIED or said in FINAL_REASONS


def is_free(ending: Ending) -> bool:
    """Is it tried again without being counted?"""
    return ending.exit_code == ExitCode.STOPPED or ending.reason in FREE_REASONS


def retry_delay(policy: RetryPolicy, ending: Ending, failures: int) -> float | None:
    """Return the seconds to wait before a work item is tried again; None: it has failed for good.

    Args:
        policy: The stage's policy.
        ending: How the item ended this time.
        failures: Counted failures, this one included if it counts.
    """
    if ending.exit_code in policy.never:
        return None
    if ending.exit_code in policy.free or is_free(ending):
        return 0.0
    if failures > policy.limit:
        return None
    return min(policy.longest_delay_seconds, policy.first_delay_seconds * 2.0 ** max(0, failures - 1))
