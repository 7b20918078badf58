"""The wire between supervisors: it can be let go of at any moment."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from harness import write_job

from pretrain_trainer.supervisor.link import RemoteOffice
from pretrain_trainer.supervisor.messages import Action, Directive, NodeReport
from pretrain_trainer.supervisor.settings import load_settings

CLOSE_SECONDS = 5.0


async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the first report with several directives at once, so that reading the next one never has to wait."""
    await reader.readline()
    for sequence in range(1, 4):
        writer.write(Directive(coordinator="node-0", sequence=sequence, action=Action.WAIT).model_dump_json().encode())
        writer.write(b"\n")
    await writer.drain()
    await reader.read()
    writer.close()


async def seconds_to_close(storage: Path, turns: int) -> float:
    """Close a node's end so many turns of the event loop after a directive has come; return how long that took."""
    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    variables = {"PRETRAIN_STORAGE": str(storage), "PRETRAIN_CONFIG": str(write_job(storage / "job.json"))}
    world = {"PET_NNODES": "2", "PET_NODE_RANK": "1", "PET_NPROC_PER_NODE": "1", "PET_MASTER_PORT": str(port)}
    heard = asyncio.Event()
    office = RemoteOffice(load_settings(variables | world), heard.set)
    office.exchange(0.0, NodeReport(node_rank=1, incarnation="node-1"), None)
    await heard.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    began = time.monotonic()
    await asyncio.wait_for(office.close(), CLOSE_SECONDS)
    server.close()
    return time.monotonic() - began


@pytest.mark.parametrize("turns", range(8))
def test_closes_at_once_even_while_a_directive_comes(tmp_path: Path, turns: int) -> None:
    assert asyncio.run(seconds_to_close(tmp_path, turns)) < 1.0
