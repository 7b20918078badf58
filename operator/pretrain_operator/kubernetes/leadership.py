"""Leader election by a Lease: of several replicas one works, and another takes over when it goes or falls silent.

As client-go does it (https://pkg.go.dev/k8s.io/client-go/tools/leaderelection): a Lease counts as given up when it
hasn't been renewed for its duration by the own clock, so that clocks needn't agree.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError

from pretrain_operator.kubernetes.client import ApiError, Cluster
from pretrain_operator.kubernetes.config import LeaderElectionConfig
from pretrain_operator.kubernetes.logs import LOGGER

_TROUBLES = (ApiError, ClientError, OSError, TimeoutError)


@dataclass(frozen=True)
class LeaseName:
    """Which Lease."""

    namespace: str
    name: str
    kind: str = "Lease"


class Election:
    """One candidate."""

    def __init__(self, cluster: Cluster, config: LeaderElectionConfig, namespace: str, identity: str) -> None:
        """Prepare to stand.

        Args:
            cluster: Where the Lease is.
            config: Times, and the Lease's name.
            namespace: Of the Lease.
            identity: Of this process: no two may share it.
        """
        self._cluster = cluster
        self._config = config
        self._lease = LeaseName(namespace, config.name)
        self._identity = identity
        self._seen: tuple[str, str] | None = None
        """Holder and time of renewal, as they were seen last."""
        self._seen_at = 0.0

    async def lead(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Wait until this process is the leader, then work; return whether the work ended by itself.

        False: leadership was lost. The process should end, and a new one stand for it.
        """
        while not await self._try():
            await asyncio.sleep(self._config.retry_period_seconds)
        LOGGER.info("leading as %s", self._identity)
        working = asyncio.ensure_future(work())
        renewing = asyncio.create_task(self._renew())
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                LOGGER.error("leadership is lost: the lease could not be renewed")
                return False
            working.result()
            return True
        finally:
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)
            await self._release()

    async def _renew(self) -> None:
        """Renew until that fails for too long."""
        renewed = time.monotonic()
        while time.monotonic() - renewed < self._config.renew_deadline_seconds:
            await asyncio.sleep(self._config.retry_period_seconds)
            if await self._try():
                renewed = time.monotonic()

    async def _try(self) -> bool:
        """Take the Lease or renew it; False: somebody else has it, or the server doesn't answer."""
        try:
            async with asyncio.timeout(self._config.renew_deadline_seconds):
                return await self._take()
        except _TROUBLES as error:
            if not (isinstance(error, ApiError) and error.status == HTTPStatus.CONFLICT):
                LOGGER.warning("the lease can't be had (%s); trying again", f"{error}" or type(error).__name__)
            return False

    async def _take(self) -> bool:
        lease = await self._cluster.get(self._lease)
        if lease is None:
            await self._cluster.create(self._manifest({}, 0))
            return True
        spec = lease.get("spec", {})
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        if self._seen != (holder, renewed):
            self._seen, self._seen_at = (holder, renewed), time.monotonic()
        silent = time.monotonic() - self._seen_at
        if holder not in ("", self._identity) and silent < spec.get("leaseDurationSeconds", 0):
            return False
        transitions = spec.get("leaseTransitions", 0) + (holder != self._identity)
        await self._cluster.replace(self._manifest(lease, transitions))
        return True

    def _manifest(self, lease: dict[str, Any], transitions: int) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = lease.get("spec", {})
        own = before.get("holderIdentity") == self._identity
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": lease.get("metadata", {"name": self._lease.name, "namespace": self._lease.namespace}),
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._config.lease_duration_seconds,
                "acquireTime": before.get("acquireTime", now) if own else now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }

    async def _release(self) -> None:
        """Give the Lease up, so that a standby needn't wait for its end."""
        try:
            lease = await self._cluster.get(self._lease)
            if lease is not None and lease.get("spec", {}).get("holderIdentity") == self._identity:
                lease["spec"] = {"leaseTransitions": lease["spec"].get("leaseTransitions", 0)}
                await self._cluster.replace(lease)
        except _TROUBLES as error:
            LOGGER.warning("the lease was not given up (%s); a standby takes over when it ends", error)
