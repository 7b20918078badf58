"""Where directives come from: on node 0 from the head in this process, elsewhere over the link."""

from __future__ import annotations

from pretrain_api.wire import TrainerProgress
from pretrain_trainer.supervisor.head import Head
from pretrain_trainer.supervisor.messages import Directive, NodeReport


class HeadOffice:
    """Node 0."""

    def __init__(self, head: Head) -> None:
        self._head = head

    def exchange(self, now: float, report: NodeReport, progress: TrainerProgress | None) -> Directive:
        """See `Office`."""
        self._head.hear(now, report)
        return self._head.advance(now, progress)

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
        self._head.close()
