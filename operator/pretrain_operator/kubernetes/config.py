"""Configuration of the operator: one YAML file, which the chart writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

Seconds = Annotated[float, Field(gt=0)]


class ConfigError(Exception):
    """The configuration can't be used; says where, why and what to do, in one line."""


class ConfigModel(BaseModel):
    """A part of the configuration: camelCase in YAML, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


class ImagesConfig(ConfigModel):
    """Images of the pods that the operator makes."""

    dataprep: str = "pretrain/dataprep:0.1.0"
    """Preparation stages and the report."""
    trainer: str = "pretrain/trainer:0.1.0"
    """Trainers, where a job names no image of its own."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the namespace of a job."""


class DefaultStorage(ConfigModel):
    """The claim of a job that names no storage."""

    size: str = "50Gi"
    storage_class_name: str | None = None
    """None: the cluster's default class."""
    access_modes: tuple[str, ...] = ("ReadWriteMany",)


class ChildrenConfig(ConfigModel):
    """Which children a job gets beside its pods."""

    network_policies: bool = True
    pod_disruption_budgets: bool = True
    job_ttl_seconds: Annotated[int, Field(ge=0)] = 604_800
    """Time after which the Jobs of finished stages go, and their logs with them."""


class LeaderElectionConfig(ConfigModel):
    """Which of several replicas works."""

    enabled: bool = True
    name: str = "pretrain-operator"
    """Of the Lease, in the operator's namespace."""
    lease_duration_seconds: Annotated[int, Field(gt=0)] = 15
    renew_deadline_seconds: Seconds = 10.0
    retry_period_seconds: Seconds = 2.0

    @model_validator(mode="after")
    def _in_order(self) -> LeaderElectionConfig:
        if not self.lease_duration_seconds > self.renew_deadline_seconds > 1.2 * self.retry_period_seconds:
            raise ValueError(
                "leaseDurationSeconds must be more than renewDeadlineSeconds, that more than 1.2 × retryPeriodSeconds"
            )
        return self


def _stage_resources() -> dict[str, dict[str, str]]:
    return {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}


class OperatorConfig(ConfigModel):
    """The configuration as a whole."""

    namespaces: tuple[str, ...] = ()
    """Watched ones; empty: all."""
    images: ImagesConfig = ImagesConfig()
    default_storage: DefaultStorage | None = DefaultStorage()
    """null: a job has to name its storage."""
    children: ChildrenConfig = ChildrenConfig()
    stage_resources: dict[str, dict[str, str]] = Field(default_factory=_stage_resources)
    """Resources of a preparation pod."""
    trainer_grace_seconds: Annotated[int, Field(gt=0)] = 120
    """Time a trainer has to save a checkpoint in when it is told to stop."""
    progress_interval_seconds: Seconds = 10.0
    """Least time between two writes of a job's progress."""
    workers: Annotated[int, Field(gt=0, le=1000)] = 16
    """Jobs that are looked at side by side."""
    watch_nodes: bool = True
    """Replaces the pods of a lost node sooner; takes the right to read nodes."""
    leader_election: LeaderElectionConfig = LeaderElectionConfig()
    log_format: Literal["json", "text"] = "json"


def load_config(path: Path) -> OperatorConfig:
    """Read the configuration.

    Raises:
        ConfigError: It can't be read, or isn't one.
    """
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {error}; give --config the path of a YAML file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    try:
        return OperatorConfig.model_validate(document or {})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'the file'}: {each['msg']}" for each in error.errors()
        )
        raise ConfigError(f"{path}: {problems}") from error
