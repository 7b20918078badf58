"""A rank: `python -m pretrain_trainer.rank`, started by the supervisor (see rank_protocol)."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback

from pydantic import ValidationError

from pretrain_api.names import Reason
from pretrain_api.resolve import load_resolved
from pretrain_api.spec.job import PretrainJob
from pretrain_api.wire import ExitCode, StorageLayout, TerminationMessage
from pretrain_trainer.completion import is_complete
from pretrain_trainer.environment import RankEnvironment
from pretrain_trainer.errors import InvalidConfiguration, TrainerError
from pretrain_trainer.records.progress import Heartbeat, write_result
from pretrain_trainer.stopping import Stopped, StopRequest

PEER_FAILURES = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "TCPStore")
"""In the messages of errors that mean that another rank went away."""
logger = logging.getLogger(__name__)


def main() -> int:
    """Train; return the exit code."""
    stop = StopRequest()
    stop.install()
    try:
        environment = RankEnvironment.read()
    except InvalidConfiguration as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s rank {environment.rank} %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    code, result = _guarded(environment, stop)
    write_result(environment, result)
    level = logging.INFO if code in (ExitCode.DONE, ExitCode.STOPPED) else logging.ERROR
    logger.log(level, "%s: %s", result.reason, result.message)
    return int(code)


def _guarded(environment: RankEnvironment, stop: StopRequest) -> tuple[ExitCode, TerminationMessage]:
    """Train; turn whatever happens into an exit code and a message."""
    try:
        return ExitCode.DONE, _train(environment, stop)
    except Stopped as stopped:
        return ExitCode.STOPPED, TerminationMessage(outcome="Stopped", reason=Reason.STOPPED, message=str(stopped))
    except TrainerError as error:
        return error.exit_code, _failure(error.reason, str(error))
    except OSError as error:
        return ExitCode.TRY_AGAIN, _storage_failure(error)
    except MemoryError:
        return ExitCode.INTERNAL_ERROR, _failure(
            Reason.OUT_OF_MEMORY, "out of memory: lower spec.training.microBatchSize"
        )
    except Exception as error:  # whatever it is, the supervisor must be told
        traceback.print_exc()
        return _unexpected(error)


def _storage_failure(error: OSError) -> TerminationMessage:
    place = f"{error.filename}: " if error.filename else ""
    message = f"{place}{error.strerror or error}; free space or correct the storage, then start again"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _failure(Reason.STORAGE_FULL, message)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return _failure(Reason.STORAGE_NOT_WRITABLE, message)
    return _failure(Reason.TEMPORARY_FAILURE, message)


def _unexpected(error: Exception) -> tuple[ExitCode, TerminationMessage]:
    text = " ".join(str(error).split())
    if type(error).__name__ == "OutOfMemoryError":
        message = f"out of GPU memory: {text}; lower spec.training.microBatchSize or recompute activations"
        return ExitCode.INTERNAL_ERROR, _failure(Reason.OUT_OF_MEMORY, message)
    if any(sign in text for sign in PEER_FAILURES):
        return ExitCode.TRY_AGAIN, _failure(Reason.TEMPORARY_FAILURE, f"a peer went away: {text}")
    return ExitCode.INTERNAL_ERROR, _failure(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {text}")


def _failure(reason: str, message: str) -> TerminationMessage:
    return TerminationMessage(outcome="Failed", reason=reason, message=message)


def _train(environment: RankEnvironment, stop: StopRequest) -> TerminationMessage:
    heartbeat = Heartbeat(environment)
    if is_complete(StorageLayout(environment.storage), environment.training_configuration):
        message = "training was complete already"
        return TerminationMessage(outcome="Completed", reason=Reason.COMPLETED, message=message)
    job = _read_job(environment)

    # Imported late: a rank that has nothing to do, or is misconfigured, shouldn't wait for torch.
    from pretrain_trainer.assembly import assemble
    from pretrain_trainer.engine.process_group import ProcessGroup
    from pretrain_trainer.run import TrainingRun

    group = ProcessGroup(environment, job.spec.stability.hang_timeout_seconds)
    parts = assemble(environment, job.spec, group, heartbeat, stop)
    result = TrainingRun(parts).run()
    parts.records.close()
    group.close()
    return result


def _read_job(environment: RankEnvironment) -> PretrainJob:
    try:
        return load_resolved(environment.config)
    except OSError as error:
        raise InvalidConfiguration(f"{environment.config}: {error.strerror}; name the resolved job") from None
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise InvalidConfiguration(f"{environment.config}: {path}: {first['msg']}; correct the job") from None


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of torch, gloo and the checkpoint writer have nothing left to do; tearing down the interpreter takes
    # seconds.
    os._exit(code)
