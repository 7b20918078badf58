"""Documents that overlap with evaluation sets: found by the definition, dropped or cut, and the items are named."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.spec.data import Normalize
from pretrain_api.spec.decontaminate import Decontaminate
from pretrain_dataprep.decontamination.decontaminator import Decontaminator
from pretrain_dataprep.decontamination.evaluation_sets import read_items
from pretrain_dataprep.decontamination.ngrams import ngrams_of
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.cuts import merged, without

from .conftest import Preparation, article, corpus, sentence, write_jsonl

Make = Callable[..., Preparation]
QUESTION = "Which of the seven rivers runs from the old mountain through our valley to the northern ocean?"
ANSWER = "It is the third, which people of the village call silver for the colour of its stones."


def written(path: Path, *items: dict[str, object]) -> str:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return str(path)


def decontaminator(path: str, action: str = "drop", ngram: int = 13) -> Decontaminator:
    options = Decontaminate.model_validate({"against": [path], "action": action, "ngram": ngram})
    return Decontaminator(options, Normalize())


@given(st.text(alphabet="ab' ’é中\n.X7_", max_size=60), st.integers(1, 4))
def test_ngrams_have_their_places(text: str, ngram: int) -> None:
    document = text.encode()
    for key, start, end in zip(*ngrams_of(document, ngram), strict=True):
        again = ngrams_of(document[start:end], ngram)
        assert again.keys.tolist() == [key]
        assert (again.starts.tolist(), again.ends.tolist()) == ([0], [end - start])
    assert len(ngrams_of(document, ngram).keys) == max(0, len(ngrams_of(document, 1).keys) - ngram + 1)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted).map(tuple), max_size=8))
def test_cuts(spans: list[tuple[int, int]]) -> None:
    document = bytes(range(65, 86))
    union = {byte for start, end in spans for byte in range(start, end)}
    assert without(document, spans) == bytes(value for place, value in enumerate(document) if place not in union)
    parts = list(merged(spans))
    assert all(one[1] < other[0] for one, other in itertools.pairwise(parts))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), ngram=st.integers(2, 6))
def test_overlaps_are_those_of_the_definition(tmp_path_factory: pytest.TempPathFactory, seed: int, ngram: int) -> None:
    generator = random.Random(seed)
    words = [f"w{number}" for number in range(12)]
    items = [[generator.choice(words) for _ in range(generator.randint(1, 12))] for _ in range(10)]
    documents = [[generator.choice(words) for _ in range(generator.randint(0, 30))] for _ in range(20)]
    path = tmp_path_factory.mktemp("sets") / "a.jsonl"
    written(path, *({"question": " ".join(item)} for item in items))
    owners: dict[tuple[str, ...], str] = {}
    for line, item in enumerate(items, start=1):
        for first in range(len(item) - ngram + 1):
            owners.setdefault(tuple(item[first : first + ngram]), f"{path}:{line}")
    expected = [
        {owners[gram] for gram in zip(*(document[first:] for first in range(ngram)), strict=False) if gram in owners}
        for document in documents
    ]
    checker = decontaminator(str(path), ngram=ngram)
    batch = TextBatch.of(" ".join(document).encode() for document in documents)
    assert checker.overlaps(batch).tolist() == [bool(items) for items in expected]
    hits = checker.check(batch).hits
    for item in set().union(*expected):
        assert hits[item] == sum(item in items for items in expected)
    assert set(hits) == set().union(*expected)


def test_all_text_of_a_record_counts_whatever_its_case_and_punctuation(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"q": QUESTION, "choices": [{"text": ANSWER}], "n": 7}, {"q": "short"})
    checker = decontaminator(path)
    documents = [
        "Before. " + QUESTION.upper().replace(" ", "\n") + " After.",
        "Before. " + ANSWER.replace(",", ";") + " After.",
        "Before. " + " ".join(QUESTION.split()[:12]) + " another end.",
    ]
    found = checker.check(TextBatch.of(text.encode() for text in documents))
    assert found.dropped.tolist() == [True, True, False]
    assert found.hits == {f"{path}:1": 2}


def test_passages_are_cut(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"q": QUESTION})
    before, after = sentence(random.Random(1), 40), sentence(random.Random(2), 40)
    documents = [f"{before}\n{QUESTION}\n{after}", QUESTION + " too little is left", before]
    found = decontaminator(path, "cut").check(TextBatch.of(text.encode() for text in documents))
    assert found.dropped.tolist() == [False, True, False]
    assert found.batch.document(0).decode() == f"{before}\n?\n{after}"
    assert found.batch.document(2).decode() == before
    assert found.cut == 1


def test_items_are_lines_of_json_or_paragraphs(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"\none\ntwo\n\n\nthree\n"))
    assert list(read_items(f"{tmp_path}/a.txt.gz")) == [
        (f"{tmp_path}/a.txt.gz:2", ["one\ntwo"]),
        (f"{tmp_path}/a.txt.gz:6", ["three"]),
    ]
    (tmp_path / "b.jsonl").write_text('{"a": "one"}\n\n["two", {"b": "three"}]\n{"a"\n')
    with pytest.raises(InputError, match=r"b\.jsonl:4: not JSON"):
        list(read_items(f"{tmp_path}/b.jsonl"))
    with pytest.raises(
        InputError, match=r"the evaluation set can't be read .* mend spec\.data\.decontaminate\.against"
    ):
        list(read_items(f"{tmp_path}/missing.jsonl"))
    (tmp_path / "c.csv").touch()
    with pytest.raises(InputError, match=r"c\.csv: an evaluation set is JSON lines or text"):
        list(read_items(f"{tmp_path}/c.csv"))


def test_through_the_stages(preparation: Make, tmp_path: Path) -> None:
    generator = random.Random(5)
    texts = [text for text in corpus(1, 30) if len(text) > 100]
    texts += [article(generator) + "\n" + QUESTION for _ in range(3)]
    path = write_jsonl(tmp_path / "a.jsonl", texts)
    evaluation = written(tmp_path / "evaluation.jsonl", {"q": "Another one?"}, {"q": QUESTION})
    prepared = preparation(
        sources=[{"name": "web", "uri": str(path)}], shards=1, decontaminate={"against": [evaluation]}
    )
    prepared.call_all()
    report = json.loads(prepared.layout.data_report.read_bytes())
    assert report["contamination"] == {f"{evaluation}:2": 3}
    assert {entry["reason"]: entry["documents"] for entry in report["sources"][0]["removed"]}["contaminated"] == 3
    assert report["sources"][0]["files"] == 1
    kept = pq.read_table(prepared.layout.clean / "web-00000" / "documents.parquet").column("text").to_pylist()
    assert not [text for text in kept if QUESTION in text]
    # A changed evaluation set is noticed and named.
    written(tmp_path / "evaluation.jsonl", {"q": "Another one?"})
    assert f"input evaluation set {evaluation} changed" in prepared.run("clean").log
