"""The environment a rank is started with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pretrain_api.wire import ENV_ROLLBACK, ENV_TRAINING_CONFIGURATION, RollbackRequest
from pretrain_trainer import rank_protocol
from pretrain_trainer.errors import InvalidConfiguration


@dataclass(frozen=True)
class RankEnvironment:
    """Which rank this process is, and where its files are."""

    rank: int
    local_rank: int
    world_size: int
    local_world_size: int
    config: Path
    storage: Path
    run_directory: Path
    training_configuration: str | None = None
    """Which training is wanted; None: a completion marker of any is believed."""
    rollback: RollbackRequest | None = None
    """What a person asks for; done once."""

    @property
    def num_nodes(self) -> int:
        """Pods of the trainer."""
        return max(1, self.world_size // self.local_world_size)

    @staticmethod
    def read(variables: Mapping[str, str] = os.environ) -> RankEnvironment:
        """Return what the supervisor says.

        Raises:
            InvalidConfiguration: A variable is missing or no number.
        """
        return RankEnvironment(
            rank=_integer(variables, rank_protocol.RANK_VARIABLE),
            local_rank=_integer(variables, rank_protocol.LOCAL_RANK_VARIABLE),
            world_size=_integer(variables, rank_protocol.WORLD_SIZE_VARIABLE),
            local_world_size=_integer(variables, rank_protocol.LOCAL_WORLD_SIZE_VARIABLE),
            config=Path(_text(variables, rank_protocol.CONFIG_VARIABLE)),
            storage=Path(_text(variables, rank_protocol.STORAGE_VARIABLE)),
            run_directory=Path(_text(variables, rank_protocol.RUN_DIRECTORY_VARIABLE)),
            rollback=rollback_request(variables),
            training_configuration=variables.get(ENV_TRAINING_CONFIGURATION) or None,
        )


def rollback_request(variables: Mapping[str, str]) -> RollbackRequest | None:
    """Return the rollback that a person asks for, if anybody does.

    Raises:
        InvalidConfiguration: The variable doesn't hold a request.
    """
    text = variables.get(ENV_ROLLBACK)
    if not text:
        return None
    try:
        return RollbackRequest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join((ENV_ROLLBACK, *(str(part) for part in first["loc"])))
        raise InvalidConfiguration(
            f'{field}: {first["msg"]}; write {{"id": "a", "toStep": 1000, "skipSequences": null}}, or unset it'
        ) from None


def _text(variables: Mapping[str, str], name: str) -> str:
    value = variables.get(name, "")
    if not value:
        raise InvalidConfiguration(
            f"environment variable {name} is not set; start ranks with `python -m pretrain_trainer`"
        )
    return value


def _integer(variables: Mapping[str, str], name: str) -> int:
    text = _text(variables, name)
    if not text.isdecimal():
        raise InvalidConfiguration(f"environment variable {name} is {text!r}; it must be a whole number")
    return int(text)
