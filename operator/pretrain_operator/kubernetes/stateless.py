"""kopf's state of handlers, which this operator hasn't: nothing is compared, copied or written on an event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import kopf


class NoDiff(kopf.DiffBaseStorage):
    """Objects aren't compared with what they were: the plan looks at what they are.

    kopf's own copies every object at every event, which was half of the operator's processor time.
    """

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        """Return nothing to compare."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Return nothing to compare with."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Keep nothing."""


class NoProgress(kopf.ProgressStorage):
    """Handlers of events have no progress: they put a note into a queue."""

    def fetch(self, *, key: Any, body: kopf.Body) -> Any:
        """Return none."""
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Keep nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """There is nothing to remove."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Nobody waits for a touch."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Return it as it is, uncopied."""
        return essence
