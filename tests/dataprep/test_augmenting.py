"""Augmentation: a share at most, the same for the same seed, and every method's own promise."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pretrain_dataprep.augmenting import METHODS, Augmenter
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.standalone.command import run

from .conftest import WORDS, article, write_jsonl
from .test_standalone import read

DICTIONARY = {word: [f"{word}like", f"un{word}"] for word in WORDS}


def texts(seed: int, count: int = 400) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(article(generator, 6).split("\n")) for _ in range(count)]


def augmenter(method: str, share: float = 0.1, **options: object) -> Augmenter:
    defaults = {"dictionary": DICTIONARY, "rewriter": lambda some: [text.upper() for text in some], **options}
    return Augmenter(method, share, **defaults)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_the_share_is_kept_and_the_seed_decides(method: str) -> None:
    given, others = texts(1), texts(2)
    made = list(augmenter(method).augment(given, others))
    size, read_bytes = sum(map(len, made)), sum(map(len, given))
    assert 0.05 * read_bytes < size <= 0.115 * read_bytes
    assert made == list(augmenter(method).augment(given, others))
    assert made != list(augmenter(method, seed=2).augment(given, others))
    assert not set(made) & set(given)


def test_shuffling_keeps_every_sentence() -> None:
    given = texts(1)
    originals = {tuple(sorted(text.split(". "))) for text in [each.rstrip(".") for each in given]}
    for text in augmenter("sentence-shuffle").augment(given):
        assert tuple(sorted(text.rstrip(".").split(". "))) in originals


def test_synonyms_come_from_the_dictionary_and_keep_capitals() -> None:
    given = texts(1)
    known = {each for synonyms in DICTIONARY.values() for each in synonyms}
    made = list(augmenter("synonyms", rate=0.5).augment(given))
    new = {word for text in made for word in text.replace(".", "").split()} - {
        word for text in given for word in text.replace(".", "").split()
    }
    assert new
    assert {word[:1].lower() + word[1:] for word in new} <= known
    assert any(word[0].isupper() for word in new)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ValueError, match="need a dictionary"):
        Augmenter("synonyms", 0.1)
    with pytest.raises(ValueError, match="share and rate"):
        Augmenter("concatenate", 1.5)
    with pytest.raises(ValueError, match="1 texts came back for"):
        list(augmenter("rewrite", rewriter=lambda some: list(some)[:1]).augment(texts(1)))
    with pytest.raises(ValueError, match="came back, more than were given"):
        list(augmenter("rewrite", rewriter=lambda some: [*some, "more"]).augment(texts(1)))


def test_the_block_writes_a_source_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", texts(1))
    arguments = ["augment", str(path), "-o", str(tmp_path / "out"), "--share", "0.1"]
    run([*arguments, "--method", "rewrite", "--command", "tr a-z A-Z", "--name", "loud"])
    records = read(tmp_path / "out/documents")
    assert f"{len(records)} new documents are in" in capsys.readouterr().out
    assert {(record["source"], record["augmented"]) for record in records} == {("loud", "rewrite")}
    assert all(record["text"].isupper() for record in records)
    with pytest.raises(InputError, match="reads JSON strings, one a line"):
        run([*arguments, "--method", "rewrite", "--command", "false"])
    with pytest.raises(InputError, match="texts came back for"):
        run([*arguments, "--method", "rewrite", "--command", "head -1"])
    with pytest.raises(ConfigurationError, match="augment: code-mix needs --other"):
        run([*arguments, "--method", "code-mix"])
    with pytest.raises(ConfigurationError, match="augment: synonyms need a dictionary"):
        run([*arguments, "--method", "synonyms"])
    (tmp_path / "synonyms.tsv").write_text("river\tstream\tbrook\nstone\trock\n")
    run([*arguments, "--method", "synonyms", "--dictionary", str(tmp_path / "synonyms.tsv"), "--rate", "1.0"])
    assert any("stream" in record["text"] for record in read(tmp_path / "out/documents"))
