"""The wire between supervisors: lines of JSON over TCP, to the master port of node 0.

A node sends its report when it changes and every second; node 0 answers each with the directive, and sends the
directive to all when it changes. Who can't reach node 0 says why and tries again until it is there: its pod may wait
for a machine, which is no failure of ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pydantic import ValidationError

from pretrain_api.wire import TrainerProgress
from pretrain_trainer.errors import TemporaryFailure
from pretrain_trainer.supervisor.agent import LEASE_SECONDS
from pretrain_trainer.supervisor.dialing import Complaint, connect
from pretrain_trainer.supervisor.head import Head
from pretrain_trainer.supervisor.host import listening_socket
from pretrain_trainer.supervisor.logs import LOGGER
from pretrain_trainer.supervisor.messages import Action, Directive, NodeReport
from pretrain_trainer.supervisor.settings import Settings, World

REPORT_SECONDS = 1.0
SILENCE_SECONDS = 3.0
"""A connection on which nothing comes for so long is given up."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
BIND_SECONDS = 20.0
"""How long to try for the port: a predecessor may still hold it."""
MAX_LINE_BYTES = 1 << 20


class LinkServer:
    """Node 0's end."""

    def __init__(self, head: Head, wake: Callable[[], None]) -> None:
        self._head = head
        self._wake = wake
        self._server: asyncio.Server | None = None
        self._reports: dict[asyncio.StreamWriter, NodeReport] = {}
        """The newest report of each connection."""
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._refused: set[str] = set()

    async def listen(self, world: World) -> None:
        """Listen on the master port; raise `TemporaryFailure` if it can't be had."""
        deadline = time.monotonic() + BIND_SECONDS
        while True:
            try:
                listening = listening_socket(world.listen_address, world.master_port)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TemporaryFailure(
                        f"port {world.master_port} can't be listened on: {error.strerror}; "
                        "the other nodes can't join; set PET_MASTER_PORT to a free one"
                    ) from error
                await asyncio.sleep(LONGEST_PAUSE_SECONDS)
        self._server = await asyncio.start_server(self._accept, sock=listening, limit=MAX_LINE_BYTES)

    def publish(self, directive: Directive) -> None:
        """Send a directive to all nodes."""
        for writer, report in self._reports.items():
            _send(writer, directive.model_copy(update={"echo": report.sent}))

    async def close(self) -> None:
        """Stop listening, close all connections."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._connections):
            writer.close()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=SILENCE_SECONDS)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.create_task(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                report = NodeReport.model_validate_json(line)
                if not self._head.hear(time.monotonic(), report):
                    self._refuse(report)
                    break
                self._reports[writer] = report
                self._wake()
                _send(writer, self._head.coordinator.directive.model_copy(update={"echo": report.sent}))
        except ValueError as error:  # not a report (ValidationError), or a line without end
            LOGGER.warning("somebody who isn't a supervisor talks to the master port: %s", _first_line(error))
        except ConnectionError:
            LOGGER.info("a node's connection broke")
        finally:
            self._gone(writer)

    def _gone(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        self._connections.pop(writer, None)
        report = self._reports.pop(writer, None)
        if report is None or any(other.incarnation == report.incarnation for other in self._reports.values()):
            return  # never accepted, or it has connected anew already
        self._head.coordinator.disconnect(time.monotonic(), report.node_rank, report.incarnation)
        self._wake()

    def _refuse(self, report: NodeReport) -> None:
        if report.incarnation not in self._refused:
            self._refused.add(report.incarnation)
            LOGGER.warning(
                "node %d of %d with %d processes (%s) is refused: another one holds its rank, or its world differs",
                report.node_rank,
                report.num_nodes,
                report.local_world_size,
                report.host,
            )


class RemoteOffice:
    """Another node's end."""

    def __init__(self, settings: Settings, wake: Callable[[], None]) -> None:
        self._settings = settings
        self._wake = wake
        self._complaint = Complaint(settings.world)
        self.master_address = settings.world.master_address
        """See `Office`: where node 0 was reached last, so that ranks need no name that may be out of date."""
        self._writer: asyncio.StreamWriter | None = None
        self._directive: Directive | None = None
        self._contact = float("-inf")
        self._report: NodeReport | None = None
        self._sent: NodeReport | None = None
        self._task = asyncio.create_task(self._keep_connected())

    def exchange(self, now: float, report: NodeReport, progress: TrainerProgress | None) -> Directive | None:
        """See `Office`."""
        self._report = report
        changed = self._sent is None or report.model_copy(update={"sent": self._sent.sent}) != self._sent
        if self._writer is not None and (changed or self._sent is None or now - self._sent.sent >= REPORT_SECONDS):
            self._send_report(self._writer, report)
        if self.contact_age_seconds(now) > LEASE_SECONDS and self._settings.is_complete:
            return Directive(coordinator="", sequence=0, action=Action.COMPLETE)
        return self._directive

    def contact_age_seconds(self, now: float) -> float:
        """See `Office`."""
        return now - self._contact

    def settled(self, now: float) -> bool:
        """See `Office`: node 0 has been told, or isn't there."""
        heard = self._directive.sequence if self._directive else 0
        return self._writer is None or (self._sent is not None and self._sent.sequence == heard)

    def shown(self) -> None:
        """See `Office`: only node 0 knows."""

    async def close(self) -> None:
        """See `Office`."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_connected(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                if await self._converse():
                    pause = FIRST_PAUSE_SECONDS
            except (OSError, TimeoutError) as error:
                self._complaint.say(time.monotonic(), error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _converse(self) -> bool:
        """Connect and hear what node 0 says until that ends; True if it said anything."""
        reader, writer = await connect(self._settings.world, MAX_LINE_BYTES)
        self._complaint.reached()
        self.master_address = str(writer.get_extra_info("peername")[0])
        heard = False
        try:
            self._writer = writer
            if self._report is not None:
                self._send_report(writer, self._report.model_copy(update={"sent": time.monotonic()}))
            while line := await _line(reader):
                self._take(Directive.model_validate_json(line))
                heard = True
        except ValidationError as error:
            LOGGER.warning("what answers on the master port isn't node 0: %s", _first_line(error))
        finally:
            self._writer = None
            writer.close()
        return heard

    def _take(self, directive: Directive) -> None:
        known = self._directive
        if known is None or known.coordinator != directive.coordinator or directive.sequence >= known.sequence:
            self._directive = directive.model_copy(update={"echo": 0.0})
        self._contact = max(self._contact, directive.echo)
        self._wake()

    def _send_report(self, writer: asyncio.StreamWriter, report: NodeReport) -> None:
        self._sent = report
        _send(writer, report)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Read a line; raise `TimeoutError` if none comes. Not by `asyncio.wait_for`: see `connect`."""
    async with asyncio.timeout(SILENCE_SECONDS):
        return await reader.readline()


def _send(writer: asyncio.StreamWriter, message: NodeReport | Directive) -> None:
    if not writer.is_closing():
        writer.write(message.model_dump_json(by_alias=True).encode() + b"\n")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
