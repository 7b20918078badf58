"""Valid PretrainJobs for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pretrain_api.quantities import format_tokens


def _tokens(draw: st.DrawFn, tokens: int) -> int | str:
    """Write a number of tokens in one of the ways people do."""
    return draw(st.sampled_from([tokens, str(tokens), format_tokens(tokens)]))


@st.composite
def stages(draw: st.DrawFn, unit: int, total: int) -> list[dict[str, Any]]:
    """Draw batch stages of multiples of `unit` tokens for a run of `total`."""
    starts = draw(st.lists(st.integers(1, total - 1), max_size=4, unique=True)) if total > 1 else []
    largest = max(1, total // unit)
    return [
        {
            "tokens": _tokens(draw, unit * draw(st.integers(1, min(64, largest)))),
            "from": _tokens(draw, start),
        }
        for start in [0, *sorted(starts)]
    ]


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a valid PretrainJob as plain values."""
    sequence_length = draw(st.sampled_from([8, 100, 128, 2048]))
    micro_batch_size = draw(st.integers(1, 8))
    nodes, processes = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    unit = sequence_length * micro_batch_size * nodes * processes
    total = draw(st.integers(unit, unit * 10_000))
    heads = draw(st.sampled_from([1, 2, 4, 8]))
    return {
        "apiVersion": "pretrain.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": draw(st.from_regex(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True))},
        "spec": {
            "data": draw(data()),
            "model": {
                "hiddenSize": heads * draw(st.sampled_from([2, 64, 128])),
                "intermediateSize": draw(st.integers(1, 10_000)),
                "numHiddenLayers": draw(st.integers(1, 100)),
                "numAttentionHeads": heads,
                "numKeyValueHeads": draw(st.sampled_from([count for count in (1, 2, 4, 8) if count <= heads])),
            },
            "training": {
                "tokens": _tokens(draw, total),
                "sequenceLength": sequence_length,
                "microBatchSize": micro_batch_size,
                "batch": {"stages": draw(stages(unit, total))},
                "learningRate": draw(learning_rates(total)),
                "seed": draw(st.integers(0, 2**63 - 1)),
            },
            "trainer": {"numNodes": nodes, "numProcPerNode": processes},
        },
    }


@st.composite
def data(draw: st.DrawFn) -> dict[str, Any]:
    """Draw `spec.data`."""
    names = draw(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=5, unique=True))
    weighted = draw(st.booleans())
    sources = [{"name": name, "uri": f"corpus/{name}/*.jsonl"} for name in names]
    if weighted:
        sources = [{**source, "weight": draw(st.floats(0.001, 10))} for source in sources]
    return {"sources": sources, "shards": draw(st.integers(1, 64))}


@st.composite
def learning_rates(draw: st.DrawFn, total: int) -> dict[str, Any]:
    """Draw `spec.training.learningRate` for a run of `total` tokens."""
    rate: dict[str, Any] = {
        "peak": draw(st.floats(1e-7, 0.9)),
        "warmupTokens": draw(st.integers(0, total - 1)),
        "decay": draw(st.sampled_from(["cosine", "linear", "constant"])),
        "floor": draw(st.floats(0, 1)),
    }
    if rate["decay"] != "constant" and draw(st.booleans()):
        rate["decayTokens"] = draw(st.integers(rate["warmupTokens"] + 1, total))
    return rate
