"""Did you mean …? Names close to what was written, and places where a field belongs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from pretrain_api.json_schema import Schema, job_schema

# What other tools call it.
_SYNONYMS = {
    "lr": "learningRate",
    "learningrates": "learningRate",
    "peaklearningrate": "peak",
    "maxlr": "peak",
    "warmup": "warmupTokens",
    "seqlen": "sequenceLength",
    "seqlength": "sequenceLength",
    "contextlength": "sequenceLength",
    "maxsequencelength": "sequenceLength",
    "blocksize": "sequenceLength",
    "batchsize": "batch",
    "globalbatchsize": "batch",
    "perdevicebatchsize": "microBatchSize",
    "maxtokens": "tokens",
    "totaltokens": "tokens",
    "numtokens": "tokens",
    "clip": "gradientClip",
    "gradclip": "gradientClip",
    "maxgradnorm": "gradientClip",
    "dtype": "precision",
    "layers": "numHiddenLayers",
    "numlayers": "numHiddenLayers",
    "nlayer": "numHiddenLayers",
    "heads": "numAttentionHeads",
    "numheads": "numAttentionHeads",
    "nhead": "numAttentionHeads",
    "kvheads": "numKeyValueHeads",
    "numkvheads": "numKeyValueHeads",
    "dim": "hiddenSize",
    "dmodel": "hiddenSize",
    "nembd": "hiddenSize",
    "ffnsize": "intermediateSize",
    "ffndim": "intermediateSize",
    "nodes": "numNodes",
    "replicas": "numNodes",
    "nnodes": "numNodes",
    "gpus": "numProcPerNode",
    "nprocpernode": "numProcPerNode",
    "resources": "resourcesPerNode",
    "url": "uri",
    "path": "uri",
    "beta": "betas",
    "epsilon": "eps",
    "wd": "weightDecay",
    "tp": "tensor",
    "pp": "pipeline",
    "ep": "expert",
    "zerostage": "zero",
    "start": "from",
    "fromtokens": "from",
}


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def closest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that `name` was most likely meant to be: equal but for case and separators, known under
    another name, or close in spelling; None where nothing is close."""
    by_folded = {_folded(choice): choice for choice in choices}
    folded = _folded(name)
    if folded in by_folded:
        return by_folded[folded]
    synonym = _SYNONYMS.get(folded)
    if synonym in by_folded.values():
        return synonym
    matches = get_close_matches(folded, list(by_folded), n=1, cutoff=0.7)
    return by_folded[matches[0]] if matches else None


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return "did you mean 'x'?", or the choices there are."""
    choices = list(choices)
    match = closest(name, choices)
    return f"did you mean '{match}'?" if match else f"write one of {', '.join(choices)}"


def homes_of(name: str) -> tuple[str, ...]:
    """Return the paths of the parts that have a field called `name`, outermost first, at most two."""
    homes = sorted(_homes().get(_folded(name), ()), key=lambda path: path.count("."))
    return tuple(homes[:2])


@cache
def _homes() -> dict[str, list[str]]:
    homes: dict[str, list[str]] = {}

    def visit(schema: Schema, path: str) -> None:
        for name, child in schema.get("properties", {}).items():
            homes.setdefault(_folded(name), []).append(path)
            inner = f"{path}.{name}"
            if child.get("type") == "array":
                visit(child["items"], f"{inner}[]")
            else:
                visit(child, inner)

    visit(job_schema()["properties"]["spec"], "spec")
    return homes
