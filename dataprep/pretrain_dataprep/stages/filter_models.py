"""filter-models: trains, fetches and lists what the filters of the clean stage need, once for all of its work items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pretrain_api.names import Component, Reason
from pretrain_api.resolve import changed_fields, content_hash
from pretrain_api.spec.filters import CAPS, Classifier, ClusterFilter, PerplexityFilter
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.embedding_model import load_model, model_inputs
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.filtering.arpa import read_arpa
from pretrain_dataprep.filtering.classifier import train_classifier
from pretrain_dataprep.filtering.given import fetch, given_inputs, given_lines
from pretrain_dataprep.filtering.kneser_ney import train_ngram_model
from pretrain_dataprep.filtering.layout import (
    LANGUAGES,
    QUALITY,
    TOXICITY,
    WORDS,
    given_name,
    save_thresholds,
    trained_name,
)
from pretrain_dataprep.filtering.ngram_model import NgramModel
from pretrain_dataprep.filtering.percentile import perplexity_percentile
from pretrain_dataprep.filtering.sampling import sampled_inputs, sieved_sample
from pretrain_dataprep.filtering.texts import inputs_at, sample_texts
from pretrain_dataprep.filtering.word_list import WordList
from pretrain_dataprep.folders import Made, make_folder
from pretrain_dataprep.manifests import Input, Recipe
from pretrain_dataprep.topics.model import MODEL_FIELD, train_topics

CODE_VERSION = "filter-models/2"


def run(context: StageContext) -> dict[str, int]:
    """Write data/filters/."""
    if not context.data.clean.needs_models:
        return {}

    def make(folder: Path) -> Made:
        _write(context, folder)
        progress = context.progress
        documents = progress.documents_in
        return Made({"documentsIn": documents, "documentsOut": documents, "bytesIn": progress.bytes_in})

    counts = make_folder(context.layout.filters, _recipe(context), make).counts
    write_timing(context, counts)
    return counts


def _recipe(context: StageContext) -> Recipe:
    clean = context.data.clean
    parts: dict[str, object] = {
        "quality": clean.quality,
        "perplexity": clean.perplexity,
        "toxicity": clean.toxicity,
        "language": clean.language and clean.language.uri,
        "normalize": clean.normalize,
        "extract": context.data.extract,
    }
    perplexity = clean.perplexity
    if perplexity is not None and perplexity.max_percentile is not None:
        # The percentile is that of the documents which the rules leave.
        parts["clean"] = _rules(context)
    if clean.clusters is not None:
        clusters = changed_fields(clean.clusters, exclude={"model", *CAPS})
        parts |= {"clusters": clusters, "clean": _rules(context), "seed": context.seed}
    return Recipe(Component.FILTER_MODELS, "filters", content_hash(parts), CODE_VERSION, list(_inputs(context)))


def _rules(context: StageContext) -> dict[str, object]:
    return changed_fields(context.data.clean, exclude={"pii", "clusters"})


def _inputs(context: StageContext) -> Iterator[Input]:
    clean = context.data.clean
    for path, address in clean.addresses():
        if path == "clusters.model":
            yield from model_inputs(address, MODEL_FIELD)
        else:
            yield from inputs_at([address]) if ".train." in path else given_inputs([address])
    if clean.clusters is not None:
        yield from sampled_inputs(context, _share_of_a_source(context, clean.clusters))
    if clean.perplexity is not None and clean.perplexity.max_percentile is not None:
        yield from sampled_inputs(context, clean.perplexity.percentile_sample_bytes)


def _write(context: StageContext, folder: Path) -> None:
    clean = context.data.clean
    if clean.language is not None and clean.language.uri is not None:
        fetch(clean.language.uri, folder / given_name(LANGUAGES))
    toxicity = clean.toxicity
    if toxicity is not None and toxicity.words:
        lines = (line for address in toxicity.words for line in given_lines(address))
        WordList.of(lines).save(folder / WORDS)
    toxic = toxicity.classifier if toxicity is not None else None
    for name, classifier in ((QUALITY, clean.quality), (TOXICITY, toxic)):
        if classifier is not None:
            _write_classifier(context, classifier, name, folder)
    thresholds: dict[str, float] = {}
    if clean.perplexity is not None:
        model = _ngram_model(context, clean.perplexity)
        model.save(folder)
        if clean.perplexity.max_percentile is not None:
            thresholds["maxPerplexity"] = perplexity_percentile(context, model, clean.perplexity)
    save_thresholds(folder, thresholds)
    if clean.clusters is not None:
        _write_topics(context, clean.clusters, folder)


def _share_of_a_source(context: StageContext, options: ClusterFilter) -> int:
    return max(1, options.sample_bytes // len(context.data.sources))


def _write_topics(context: StageContext, options: ClusterFilter, folder: Path) -> None:
    sample = sieved_sample(context, _share_of_a_source(context, options))
    texts = [text for sieve in sample for text in sieve.batch.documents()]
    context.progress.say(f"finding {options.count:,} clusters among {len(texts):,} documents")
    embedder = load_model(options.model, MODEL_FIELD) if options.model is not None else None
    try:
        model, words = train_topics(texts, options.count, context.seed, embedder)
    except ValueError as error:
        raise InputError(
            f"spec.data.clean.clusters.count: {error}, too few for {options.count:,} clusters; write less, or "
            "more for sampleBytes",
            Reason.EMPTY_CORPUS,
        ) from error
    model.save(folder, words)


def _write_classifier(context: StageContext, classifier: Classifier, name: str, folder: Path) -> None:
    if classifier.uri is not None:
        fetch(classifier.uri, folder / given_name(name))
    elif classifier.train is not None:
        train = classifier.train
        normalize = context.data.clean.normalize
        positive, negative = (
            sample_texts(context, addresses, train.sample_bytes, normalize)
            for addresses in (train.positive, train.negative)
        )
        context.progress.say(f"training {name} on {len(positive):,} positive and {len(negative):,} negative examples")
        train_classifier(positive, negative).save(folder / trained_name(name))


def _ngram_model(context: StageContext, options: PerplexityFilter) -> NgramModel:
    if options.uri is not None:
        return read_arpa(given_lines(options.uri), options.uri)
    train = options.train
    assert train is not None
    texts = sample_texts(context, train.on, train.sample_bytes, context.data.clean.normalize)
    context.progress.say(f"training {train.order}-grams on {sum(map(len, texts)) / 1e6:,.1f} MB of text")
    try:
        return train_ngram_model(texts, train.order)
    except ValueError as error:
        raise InputError(f"{', '.join(train.on)}: {error}; give text in words", Reason.EMPTY_CORPUS) from error
