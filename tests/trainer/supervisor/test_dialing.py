"""Connecting to node 0 by a name that isn't known at first, or leads to an address where nobody is any more."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from pretrain_trainer.supervisor.dialing import SAY_AGAIN_SECONDS, Complaint, connect
from pretrain_trainer.supervisor.logs import LOGGER
from pretrain_trainer.supervisor.settings import World

NAME = "quickstart-trainer-0.quickstart-trainer.default.svc"


def world(port: int, address: str = NAME) -> World:
    return World(2, 1, local_world_size=1, master_address=address, master_port=port)


def addresses(port: int, *found: str) -> list[tuple[Any, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


def test_goes_on_to_the_address_where_somebody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def peer() -> str:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = int(server.sockets[0].getsockname()[1])
        # The first one is of a pod that was replaced: nobody listens there.
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses(port, "127.0.0.9", "127.0.0.1"))
        _, writer = await connect(world(port), limit=100)
        writer.close()
        server.close()
        return str(writer.get_extra_info("peername")[0])

    assert asyncio.run(peer()) == "127.0.0.1"


def test_says_why_node_0_cannot_be_reached_once_and_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER.name)
    complaint = Complaint(world(29500))
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    for now in (0.0, 1.0, 2.0):
        complaint.say(now, unknown)
    complaint.say(3.0, ConnectionRefusedError(111, "Connection refused"))
    complaint.say(3.0 + SAY_AGAIN_SECONDS + 1.0, ConnectionRefusedError(111, "Connection refused"))
    complaint.reached()
    complaint.reached()
    where = f"waiting for node 0 at {NAME}:29500"
    refused = f"{where}: Connection refused; trying again until it is there"
    assert caplog.messages == [
        f"{where}: its name can't be resolved (Name or service not known); trying again until it is there",
        refused,
        refused,
        "node 0 is reached",
    ]


def test_a_name_that_nobody_knows_is_an_error_to_try_again() -> None:
    with pytest.raises(socket.gaierror):
        asyncio.run(connect(world(29500, "nowhere.invalid"), limit=100))
