"""What the supervisor is told by its environment and by the job."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from pydantic import ValidationError

from pretrain_api import wire
from pretrain_api.resolve import load_resolved
from pretrain_api.spec.job import PretrainJob
from pretrain_trainer.completion import is_complete
from pretrain_trainer.environment import rollback_request
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.rank_protocol import RANK_MODULE
from pretrain_trainer.supervisor.host import gpu_count

DEFAULT_GRACE_SECONDS = 30.0
STANDBY_IMPORTS = ("pretrain_trainer.assembly", "pretrain_trainer.run", "torch._dynamo")
"""What a rank imports before it starts to work: torch and DeepSpeed come with the first. Making an optimiser imports
torch._dynamo (1.8 s of processor time)."""
LEAST_START_TIMEOUT_SECONDS = 1800.0
"""Loading a checkpoint of terabytes and compiling kernels may take so long before the first heartbeat."""


@dataclass(frozen=True)
class World:
    """The nodes and ranks of the job, as torchrun's environment variables say."""

    num_nodes: int
    node_rank: int
    local_world_size: int
    master_address: str
    master_port: int

    @property
    def on_loopback(self) -> bool:
        """Do all nodes live on this machine, so that nobody else needs to reach us?"""
        if self.master_address == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.master_address).is_loopback
        except ValueError:
            return False

    @property
    def listen_address(self) -> str:
        """Where to listen: on loopback only if that is where the job lives; "" for all addresses."""
        return "127.0.0.1" if self.on_loopback else ""


@dataclass(frozen=True)
class Settings:
    """All settings of a supervisor."""

    world: World
    storage: wire.StorageLayout
    max_restarts: int
    restart_window_seconds: float
    hang_timeout_seconds: float
    start_timeout_seconds: float
    """Time without a sign of life that a rank has before its first step."""
    grace_seconds: float
    """Time for the checkpoint after SIGTERM."""
    http_address: str
    """Where /progress and the rest are listened for; "" for all addresses."""
    http_port: int
    wait_when_completed: bool
    new_restart_budget: bool
    """A person started this: restarts before don't count, and a predecessor that was killed is no failure."""
    training_configuration: str | None
    """Which training is wanted; None: a completion marker of any is believed."""
    warm_standby: bool
    log_format: Literal["text", "json"]
    termination_log: Path
    rank_module: str
    """Run as `python -m`; another one than the trainer's is of use in tests only."""
    standby_imports: tuple[str, ...]
    """Modules that the launcher has in memory before a rank needs them."""

    @property
    def is_complete(self) -> bool:
        """Is the wanted training done?"""
        return is_complete(self.storage, self.training_configuration)


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read everything; raise `InvalidConfiguration` with the variable or file to blame."""
    job = _load_job(_required(environment, wire.ENV_CONFIG))
    hang_timeout = job.spec.stability.hang_timeout_seconds
    policy = job.spec.failure_policy
    module = environment.get("PRETRAIN_RANK_MODULE", RANK_MODULE)
    imports = environment.get("PRETRAIN_STANDBY_IMPORTS", ",".join(STANDBY_IMPORTS))
    log_format = environment.get("PRETRAIN_LOG_FORMAT", "text")
    if log_format not in {"text", "json"}:
        raise InvalidConfiguration(f"PRETRAIN_LOG_FORMAT is {log_format!r}; text and json are known")
    world = _load_world(environment)
    rollback_request(environment)  # else each rank would refuse it
    return Settings(
        world=world,
        storage=wire.StorageLayout(_required(environment, wire.ENV_STORAGE)),
        max_restarts=policy.max_restarts,
        restart_window_seconds=policy.restart_window_seconds,
        hang_timeout_seconds=hang_timeout,
        start_timeout_seconds=_number(
            environment, "PRETRAIN_START_TIMEOUT_SECONDS", max(LEAST_START_TIMEOUT_SECONDS, 3 * hang_timeout)
        ),
        grace_seconds=_number(environment, wire.ENV_GRACE_SECONDS, DEFAULT_GRACE_SECONDS),
        http_address=environment.get(wire.ENV_HTTP_ADDRESS, world.listen_address),
        http_port=_integer(environment, wire.ENV_HTTP_PORT, wire.DEFAULT_HTTP_PORT),
        wait_when_completed=_flag(environment, wire.ENV_WAIT_WHEN_COMPLETED, False),
        new_restart_budget=_flag(environment, wire.ENV_NEW_RESTART_BUDGET, False),
        training_configuration=environment.get(wire.ENV_TRAINING_CONFIGURATION) or None,
        warm_standby=_flag(environment, "PRETRAIN_WARM_STANDBY", True),
        log_format=cast("Literal['text', 'json']", log_format),
        termination_log=Path(environment.get(wire.ENV_TERMINATION_LOG, wire.DEFAULT_TERMINATION_LOG)),
        rank_module=module,
        standby_imports=tuple(name for name in imports.split(",") if name),
    )


def _load_job(path: str) -> PretrainJob:
    try:
        return load_resolved(path)
    except OSError as error:
        raise InvalidConfiguration(f"{path}: {error.strerror}; set {wire.ENV_CONFIG} to the resolved job") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidConfiguration(f"{path}: {field}: {first['msg']}; run `pretrain validate` on the job") from error


def _load_world(environment: Mapping[str, str]) -> World:
    num_nodes = _integer(environment, wire.ENV_NUM_NODES, 1)
    node_rank = _integer(environment, wire.ENV_NODE_RANK, 0)
    if num_nodes < 1:
        raise InvalidConfiguration(f"{wire.ENV_NUM_NODES} is {num_nodes}; at least 1 is needed")
    if not 0 <= node_rank < num_nodes:
        raise InvalidConfiguration(
            f"{wire.ENV_NODE_RANK} is {node_rank}; with {wire.ENV_NUM_NODES}={num_nodes} it is 0 to {num_nodes - 1}"
        )
    processes = environment.get(wire.ENV_NUM_PROC_PER_NODE, "auto")
    local_world_size = (
        max(1, gpu_count())
        if processes == "auto"
        else _parse_integer(wire.ENV_NUM_PROC_PER_NODE, processes, "a number or auto")
    )
    if local_world_size < 1:
        raise InvalidConfiguration(f"{wire.ENV_NUM_PROC_PER_NODE} is {processes}; at least 1, or auto")
    return World(
        num_nodes=num_nodes,
        node_rank=node_rank,
        local_world_size=local_world_size,
        master_address=environment.get(wire.ENV_MASTER_ADDR, "127.0.0.1"),
        master_port=_integer(environment, wire.ENV_MASTER_PORT, wire.DEFAULT_MASTER_PORT),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise InvalidConfiguration(f"{name} isn't set; the trainer needs it")
    return value


def _parse_integer(name: str, text: str, wanted: str = "a whole number") -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidConfiguration(f"{name} is {text!r}; {wanted} is needed") from error


def _integer(environment: Mapping[str, str], name: str, default: int) -> int:
    return _parse_integer(name, environment[name]) if name in environment else default


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(environment.get(name, default))
    except ValueError as error:
        raise InvalidConfiguration(f"{name} is {environment[name]!r}; a number of seconds is needed") from error
    if not value > 0:
        raise InvalidConfiguration(f"{name} is {environment[name]!r}; more than 0 seconds are needed")
    return value


def _flag(environment: Mapping[str, str], name: str, default: bool) -> bool:
    text = environment.get(name)
    if text is None:
        return default
    if text.lower() not in {"true", "false"}:
        raise InvalidConfiguration(f"{name} is {text!r}; true or false is needed")
    return text.lower() == "true"
