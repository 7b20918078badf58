"""The completion marker: is training done, and is it the training that is wanted?

A job whose data or training has changed since finds the marker of the training before in its storage. Where
PRETRAIN_TRAINING_CONFIGURATION says which training is wanted, only a marker that holds the same is believed; where it
isn't set, any is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pretrain_api.wire import StorageLayout
from pretrain_trainer.files import sync_directory, write_json

CONFIGURATION_FIELD = "configuration"


def is_complete(storage: StorageLayout, configuration: str | None) -> bool:
    """Return whether the wanted training is done.

    Args:
        storage: The job's storage.
        configuration: Which training is wanted; None: any.

    Raises:
        OSError: The marker is there and can't be read.
    """
    if configuration is None:
        return storage.completed.exists()
    try:
        marker = json.loads(storage.completed.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get(CONFIGURATION_FIELD) == configuration


def set_aside_stale_marker(storage: StorageLayout, configuration: str | None) -> Path | None:
    """Rename the marker of another training than the wanted one; return its new path, None if there is none.

    Raises:
        OSError: The storage can't be written.
    """
    if not storage.completed.exists() or is_complete(storage, configuration):
        return None
    storage.completed.replace(storage.completed_before)
    sync_directory(storage.root)
    return storage.completed_before


def write_marker(storage: StorageLayout, configuration: str | None, facts: dict[str, Any]) -> None:
    """Say that the training is done.

    Raises:
        OSError: The storage can't be written.
    """
    which = {} if configuration is None else {CONFIGURATION_FIELD: configuration}
    write_json(storage.completed, facts | which)
