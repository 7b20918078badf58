"""Real text of known topics: docstrings of parts of Python's standard library that every installation has."""

from __future__ import annotations

import importlib
import inspect
import random
from collections.abc import Iterator
from types import ModuleType

TOPICS: dict[str, tuple[str, ...]] = {
    "mail": ("email.message", "email.header", "email.charset", "mailbox", "smtplib", "imaplib", "poplib"),
    "tests": ("unittest.case", "unittest.mock", "unittest.suite", "unittest.loader", "doctest"),
    "processes": ("subprocess", "multiprocessing.pool", "multiprocessing.managers", "concurrent.futures", "threading"),
    "numbers": ("decimal", "fractions", "statistics", "random", "numbers", "cmath"),
    "calendar": ("datetime", "calendar", "zoneinfo", "time", "_strptime"),
}


def _texts(module: ModuleType) -> Iterator[str]:
    for _, member in inspect.getmembers(module):
        if inspect.isclass(member) or inspect.isfunction(member):
            yield inspect.getdoc(member) or ""
            if inspect.isclass(member):
                yield from (inspect.getdoc(one) or "" for _, one in inspect.getmembers(member, callable))


def planted_topics(seed: int, a_topic: int, sentences: int = 12) -> dict[str, list[str]]:
    """Return documents by topic: a random choice of its docstrings each, all of them different."""
    generator = random.Random(seed)
    found = {}
    for topic, modules in TOPICS.items():
        texts = sorted({text for name in modules for text in _texts(importlib.import_module(name)) if len(text) > 60})
        found[topic] = ["\n\n".join(generator.sample(texts, sentences)) for _ in range(a_topic)]
    return found
