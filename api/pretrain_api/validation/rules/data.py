"""Where the text comes from: exactly one way, by readable addresses, with thresholds that leave something."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from pretrain_api.problems import Finding, shown
from pretrain_api.spec.data import Source
from pretrain_api.validation.rules.mixture import named_sources
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.validation.rules.sample import sample_parameters
from pretrain_api.validation.rules.storage import has_control_characters, leaves_its_root
from pretrain_api.validation.suggestions import closest

_DATA = "spec.data"
SOURCE_SCHEMES = ("file", "s3", "gs", "hf", "http", "https", "sample")
READY_SCHEMES = ("file", "pvc")
"""Of data that is ready: trainers map it into memory."""
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@rule(f"{_DATA}.sources", f"{_DATA}.tokenized", f"{_DATA}.prepared")
def exactly_one_origin(context: RuleContext) -> Iterator[Finding]:
    """Text is prepared here, was tokenized before, or was prepared by another job."""
    data = context.spec.data
    given = [name for name in ("sources", "tokenized", "prepared") if getattr(data, name)]
    if not given:
        path = f"{_DATA}.sources" if "sources" in data.model_fields_set else _DATA
        yield Finding(path, "there is no data; write sources: [{name: web, uri: ...}], tokenized or prepared")
    if len(given) > 1:
        yield Finding(_DATA, f"{' and '.join(given)} are given, but a job has one origin of its data; keep one of them")


@rule()
def addresses_are_readable(context: RuleContext) -> Iterator[Finding]:
    """Every address is one that a reader can open."""
    for path, source in named_sources(context):
        if context.intact(f"{path}.uri"):
            schemes = SOURCE_SCHEMES if isinstance(source, Source) else READY_SCHEMES
            yield from _address(f"{path}.uri", source.uri, schemes)
    data = context.spec.data
    for index, ready in enumerate(data.tokenized):
        if ready.validation_uri is not None and context.intact(f"{_DATA}.tokenized[{index}].validationUri"):
            yield from _address(f"{_DATA}.tokenized[{index}].validationUri", ready.validation_uri, READY_SCHEMES)
    if data.prepared is not None and context.intact(f"{_DATA}.prepared"):
        yield from _address(f"{_DATA}.prepared", data.prepared, READY_SCHEMES)
    for index, uri in enumerate(data.decontaminate.against if data.decontaminate else ()):
        if context.intact(f"{_DATA}.decontaminate"):
            yield from _address(f"{_DATA}.decontaminate.against[{index}]", uri)
    questions = "spec.training.evaluation.multipleChoice"
    asked = context.training.evaluation.multiple_choice if context.training and context.intact(questions) else ()
    for index, each in enumerate(asked):
        yield from _address(f"{questions}[{index}].uri", each.uri)
    if data.tokenizer.uri is not None and context.intact(f"{_DATA}.tokenizer.uri"):
        yield from _address(f"{_DATA}.tokenizer.uri", data.tokenizer.uri)


@rule()
def addresses_of_filters_are_readable(context: RuleContext) -> Iterator[Finding]:
    """Models, word lists and training texts of filters can be opened."""
    for place, uri in context.spec.data.clean.addresses():
        path = f"{_DATA}.clean.{place}"
        if context.intact(path):
            yield from _address(path, uri)


@rule()
def dictionaries_are_readable(context: RuleContext) -> Iterator[Finding]:
    """Dictionaries of synonyms can be opened."""
    for index, each in enumerate(context.spec.data.augment):
        path = f"{_DATA}.augment[{index}].dictionary"
        if each.dictionary is not None and context.intact(path):
            yield from _address(path, each.dictionary)


@rule()
def embedding_models_are_readable(context: RuleContext) -> Iterator[Finding]:
    """The model that meanings are compared by can be opened."""
    semantic, path = context.spec.data.dedup.semantic, f"{_DATA}.dedup.semantic.model"
    if semantic is not None and context.intact(path):
        yield from _address(path, semantic.model)


def _address(path: str, uri: str, schemes: tuple[str, ...] = SOURCE_SCHEMES) -> Iterator[Finding]:
    scheme, separator, rest = uri.partition("://")
    if has_control_characters(uri) or uri != uri.strip():
        yield Finding(path, f"{shown(uri)} has spaces around it or characters that do not print; remove them")
    elif separator and scheme not in schemes:
        match = closest(scheme, schemes)
        hint = f"did you mean {match}://? " if match else ""
        why = "cannot be read" if schemes is SOURCE_SCHEMES else "cannot be read in place"
        yield Finding(path, f"{scheme}:// {why}; {hint}write a path, or one of {', '.join(schemes)} with ://")
    elif separator and not rest:
        yield Finding(path, f"{shown(uri)} names nothing; write what to read after {scheme}://")
    elif separator and leaves_its_root(rest):
        yield Finding(path, f"{shown(uri)} leaves its storage by '..'; write the path without it")
    elif scheme == "sample" and separator:
        yield from sample_parameters(path, uri)


OF_PREPARATION = ("clean", "dedup", "decontaminate", "augment", "tokenizer", "split", "keep_removed", "bad_records")


@rule()
def ready_data_is_not_prepared(context: RuleContext) -> Iterator[Finding]:
    """Settings of a preparation that doesn't happen would be ignored."""
    data = context.spec.data
    origin = "prepared" if data.prepared else "tokenized" if data.tokenized else None
    if origin is None or data.sources:
        return
    for name in OF_PREPARATION:
        path = f"{_DATA}.{to_camel(name)}"
        if name == "tokenizer" and origin == "tokenized":
            continue  # that of the tokens is needed
        if name in data.model_fields_set and context.intact(path):
            yield Finding(path, f"has no meaning with {origin}, which is ready data; remove it")


@rule()
def languages_are_codes(context: RuleContext) -> Iterator[Finding]:
    """Languages are given by their ISO 639 codes."""
    for path, source in named_sources(context):
        if isinstance(source, Source) and source.language is not None and context.intact(f"{path}.language"):
            yield from _language(f"{path}.language", source.language)
    language = context.spec.data.clean.language
    if language is not None and context.intact(f"{_DATA}.clean.language.allow"):
        for index, code in enumerate(language.allow):
            yield from _language(f"{_DATA}.clean.language.allow[{index}]", code)


def _language(path: str, code: str) -> Iterator[Finding]:
    if not _LANGUAGE.fullmatch(code):
        yield Finding(path, f"{shown(code)} is not a language code; write one of ISO 639, such as en, de or zh")


@rule()
def thresholds_leave_something(context: RuleContext) -> Iterator[Finding]:
    """A least value above the greatest would remove every document."""
    clean = context.spec.data.clean
    for what in ("characters", "words", "mean_word_length"):
        least, most = getattr(clean, f"min_{what}"), getattr(clean, f"max_{what}")
        paths = [f"{_DATA}.clean.{to_camel(f'{end}_{what}')}" for end in ("min", "max")]
        if least is not None and most is not None and least > most and context.intact(*paths):
            yield Finding(
                paths[0],
                f"{least:g} is more than {to_camel(f'max_{what}')} {most:g}: nothing would be left; write less",
            )
    for name in type(clean.metrics).model_fields:
        bounds, path = getattr(clean.metrics, name), f"{_DATA}.clean.metrics.{to_camel(name)}"
        if bounds and bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
            yield Finding(
                f"{path}.min", f"{bounds.min:g} is more than max {bounds.max:g}: nothing would be left; write less"
            )


@rule(f"{_DATA}.split")
def something_is_left_to_train_on(context: RuleContext) -> Iterator[Finding]:
    """What is held back is not trained on."""
    split = context.spec.data.split
    if split.validation + split.test >= 1:
        yield Finding(
            f"{_DATA}.split.test",
            f"with validation {split.validation:g} nothing is left to train on; write less, such as 0.001",
        )


@rule(f"{_DATA}.split.validation", "spec.training.evaluation.everyTokens", f"{_DATA}.sources")
def evaluation_needs_documents(context: RuleContext) -> Iterator[Finding]:
    """Validation loss is measured on documents that were held back."""
    evaluates = context.training is not None and context.training.evaluation.every_tokens is not None
    if evaluates and context.spec.data.sources and context.spec.data.split.validation == 0:
        yield Finding(
            f"{_DATA}.split.validation",
            "nothing is held back, but spec.training.evaluation.everyTokens asks for a validation loss; write for "
            "example 0.01, or remove everyTokens",
        )
