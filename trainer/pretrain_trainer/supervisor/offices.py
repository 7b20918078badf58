"""Where node 0 gets its directives from: from the head in the same process."""

from __future__ import annotations

from pretrain_api.wire import TrainerProgress
from pretrain_trainer.supervisor.head import Head
from pretrain_trainer.supervisor.link import LinkServer
from pretrain_trainer.supervisor.messages import Directive, NodeReport


class HeadOffice:
    """Node 0."""

    master_address = "127.0.0.1"
    """See `Office`: the ranks meet here."""

    def __init__(self, head: Head, server: LinkServer | None) -> None:
        """Make it; a job of one node needs no server."""
        self._head = head
        self._server = server
        self._published = 0

    def exchange(self, now: float, report: NodeReport, progress: TrainerProgress | None) -> Directive:
        """See `Office`."""
        self._head.hear(now, report)
        directive = self._head.advance(now, progress)
        if self._server is not None and directive.sequence != self._published:
            self._server.publish(directive)
            self._published = directive.sequence
        return directive

    def contact_age_seconds(self, now: float) -> float:
        """See `Office`: always in touch with itself."""
        return 0.0

    def settled(self, now: float) -> bool:
        """See `Office`."""
        return self._head.settled(now)

    def shown(self) -> TrainerProgress:
        """See `Office`."""
        return self._head.shown()

    async def close(self) -> None:
        """See `Office`."""
        if self._server is not None:
            await self._server.close()
        self._head.close()
