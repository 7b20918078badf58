"""dedup-pairs: pairs of equal or similar documents, for one range of the keys of all units."""

from __future__ import annotations

from pretrain_api.names import Component
from pretrain_api.resolve import content_hash
from pretrain_dataprep import manifests
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaned import load_corpus
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import EXACT_EDGES, NEAR_EDGES, pairs_folder, pairs_name
from pretrain_dataprep.files import atomic_folder, remove_leftovers, write_array
from pretrain_dataprep.manifests import MANIFEST_NAME, Manifest, Recipe
from pretrain_dataprep.progress import log

CODE_VERSION = "dedup-pairs/2"


def pairs_recipe(context: StageContext, index: int, corpus_input: manifests.Input) -> Recipe:
    """Return what the edges of one key range are made from."""
    dedup = context.data.dedup
    configuration = {"exact": dedup.exact, "near": dedup.near is not None, "ranges": context.data.shards}
    return Recipe(Component.DEDUP_PAIRS, pairs_name(index), content_hash(configuration), CODE_VERSION, [corpus_input])


def run(context: StageContext) -> dict[str, int]:
    """Write the edges of one key range."""
    corpus = load_corpus(context)
    folder = pairs_folder(context, context.index)
    for leftover in remove_leftovers(folder):
        log(f"removed {leftover}, left by a killed process")
    recipe = pairs_recipe(context, context.index, corpus.as_input())
    reason = manifests.why_to_do(folder / MANIFEST_NAME, recipe)
    if reason is None:
        log("done already, and nothing it depends on has changed")
        return manifests.read_manifest(folder / MANIFEST_NAME).counts
    log(f"{recipe.unit}: {reason}")
    from pretrain_dataprep.dedup.edges import exact_edges, key_range, near_edges

    dedup = context.data.dedup
    low, high = key_range(context.index, context.data.shards)
    counts = {"exactEdges": 0, "nearEdges": 0}  # every range sees all documents: a sum of them would say nothing
    with atomic_folder(folder) as temporary:
        if dedup.exact == "document":
            edges = exact_edges(corpus, low, high)
            counts["exactEdges"] = len(edges)
            write_array(temporary / EXACT_EDGES, edges)
        if dedup.near is not None:
            edges = near_edges(corpus, low, high)
            counts["nearEdges"] = len(edges)
            write_array(temporary / NEAR_EDGES, edges)
        outputs = manifests.describe_outputs(temporary, sorted(path.name for path in temporary.iterdir()))
        manifests.add_manifest(temporary, Manifest(recipe, outputs, counts))
    context.progress.add(corpus.documents, corpus.documents)
    write_timing(context, counts)
    return counts
