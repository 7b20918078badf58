"""Recall and precision of each kind on made-up, labelled text in nine locales, among what only looks personal."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.pii import KINDS, Redactor, group_stretches

from .labelled_text import LOCALES, Item, labelled_items

ITEMS = 9_000
RECALL, PRECISION = 0.95, 0.98


def found_in(items: list[Item]) -> list[set[tuple[int, int, str]]]:
    redactor = Redactor(KINDS, 1)
    batch = TextBatch.of(item.text.encode() for item in items)
    found: list[set[tuple[int, int, str]]] = [set() for _ in items]
    for index, stretches in group_stretches(batch, redactor.stretch_kinds):
        for finding in redactor.find(batch.document(index), stretches):
            found[index].add((finding.start, finding.end, finding.kind))
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_recall_and_precision_of_every_kind(seed: int) -> None:
    items = list(labelled_items(seed, ITEMS))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    misses: dict[str, list[str]] = defaultdict(list)
    for item, found in zip(items, found_in(items), strict=True):
        labels = set(item.labels)
        for _, _, kind in labels & found:
            counts[kind]["right"] += 1
        for start, end, kind in labels - found:
            counts[kind]["missed"] += 1
            misses[kind].append(f"missed {item.text.encode()[start:end].decode()!r} in {item.text!r}")
        for start, end, kind in found - labels:
            counts[kind]["wrong"] += 1
            misses[kind].append(f"wrong {item.text.encode()[start:end].decode()!r} in {item.text!r}")
    assert {item.locale for item in items} == set(LOCALES)
    for kind in KINDS:
        right, missed, wrong = (counts[kind][name] for name in ("right", "missed", "wrong"))
        recall, precision = right / (right + missed), right / (right + wrong)
        print(f"{kind}: {right + missed} items, recall {recall:.3f}, precision {precision:.3f}")
        details = "\n".join(misses[kind][:15])
        assert right + missed > 800
        assert recall >= RECALL, f"{kind}: recall {recall:.3f}\n{details}"
        assert precision >= PRECISION, f"{kind}: precision {precision:.3f}\n{details}"
