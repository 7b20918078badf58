"""Kneser-Ney estimation against its definition, scores against KenLM's."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from pretrain_dataprep.errors import InputError
from pretrain_dataprep.filtering.arpa import read_arpa
from pretrain_dataprep.filtering.kneser_ney import train_ngram_model
from pretrain_dataprep.filtering.ngram_model import NgramModel
from pretrain_dataprep.text.batch import TextBatch

BEGIN, END = "<s>", "</s>"
Gram = tuple[str, ...]


class PlainKneserNey:
    """The formulas, gram by gram."""

    def __init__(self, lines: list[list[str]], order: int) -> None:
        sentences = [[BEGIN, *line, END] for line in lines]
        self.order = order
        self.words = {word for sentence in sentences for word in sentence}
        occurrences = [
            Counter(tuple(s[i : i + n]) for s in sentences for i in range(len(s) - n + 1)) for n in range(1, order + 1)
        ]
        self.counts: list[dict[Gram, int]] = [dict(occurrences[-1])]
        for n in range(order - 1, 0, -1):
            before: dict[Gram, set[str]] = defaultdict(set)
            for gram in occurrences[n]:
                before[gram[1:]].add(gram[0])
            level = {
                gram: occurrences[n - 1][gram] if gram[0] == BEGIN else len(before[gram]) for gram in occurrences[n - 1]
            }
            self.counts.insert(0, level)
        self.counts[0][BEGIN,] = 0
        self.discounts = [self._discounts(list(level.values())) for level in self.counts]

    @staticmethod
    def _discounts(counts: list[int]) -> list[float]:
        t = [sum(count == k for count in counts) for k in range(5)]
        if min(t[1:]) == 0:
            return [0.0, 0.5, 1.0, 1.5]
        y = t[1] / (t[1] + 2 * t[2])
        estimated = [k - (k + 1) * y * t[k + 1] / t[k] for k in (1, 2, 3)]
        within = all(0 < discount <= k for k, discount in enumerate(estimated, start=1))
        return [0.0, *(estimated if within else [0.5, 1.0, 1.5])]

    def probability(self, word: str, context: Gram) -> float:
        level = self.counts[len(context)]
        seen = {gram[-1]: count for gram, count in level.items() if gram[:-1] == context}
        lower = 1 / len(self.words) if not context else self.probability(word, context[1:])
        total = sum(seen.values())
        if not total:
            return lower
        discounts = self.discounts[len(context)]
        left = sum(discounts[min(count, 3)] for count in seen.values()) / total
        own = (seen[word] - discounts[min(seen[word], 3)]) / total if word in seen else 0.0
        return own + left * lower

    def perplexity(self, line: list[str]) -> float:
        tokens = [BEGIN, *line, END]
        logs = [
            math.log10(self.probability(tokens[i], tuple(tokens[max(0, i - self.order + 1) : i])))
            for i in range(1, len(tokens))
        ]
        return 10 ** (-sum(logs) / len(logs))


def lines_of(seed: int, count: int) -> list[list[str]]:
    generator = random.Random(seed)
    words = [f"w{n}" for n in range(25)]
    return [generator.choices(words, weights=range(25, 0, -1), k=generator.randint(1, 9)) for _ in range(count)]


def perplexity(model: NgramModel, text: str) -> float:
    return float(model.perplexities(TextBatch.of([text.encode()]))[0])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [3, 60])
def test_estimation_equals_its_definition(order: int, count: int) -> None:
    lines = lines_of(1, count)
    plain = PlainKneserNey(lines, order)
    half = len(lines) // 2
    texts = ["\n".join(" ".join(line) for line in some).encode() for some in (lines[:half], lines[half:])]
    model = train_ngram_model(texts, order)
    for line in [*lines_of(2, 20), lines[0], ["unheard", "of", "w1", "w2"]]:
        assert perplexity(model, " ".join(line)) == pytest.approx(plain.perplexity(line), rel=1e-4), line


def test_probabilities_add_up_to_one() -> None:
    lines = lines_of(3, 80)
    plain = PlainKneserNey(lines, 3)
    words = [*(plain.words - {BEGIN}), "unknown"]
    for context in [(), ("w0",), (BEGIN, "w1"), ("w3", "w2"), ("w24", "unknown")]:
        assert sum(plain.probability(word, context) for word in words) == pytest.approx(1.0)


def test_documents_are_lines_in_lower_case_without_punctuation() -> None:
    model = train_ngram_model([b"The river is high.\nThe bridge is closed."], 2)
    assert perplexity(model, "the RIVER, is high!\n\n— the bridge is closed") == perplexity(
        model, "The river is high.\nThe bridge is closed."
    )
    assert math.isnan(perplexity(model, "...\n!!!"))
    assert perplexity(model, "high closed the is") > perplexity(model, "the river is closed")
    with pytest.raises(ValueError, match="no word"):
        train_ngram_model([b"...", b""], 3)


def test_the_order_of_documents_does_not_matter(tmp_path: Path) -> None:
    model = train_ngram_model([b"a b c", b"b c d e"], 3)
    files = model.save(tmp_path)
    loaded = NgramModel.load(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)
    other = train_ngram_model([b"b c d e", b"a b c"], 3)
    for text in ("a b c d", "e e", "x a b"):
        assert perplexity(loaded, text) == perplexity(model, text) == pytest.approx(perplexity(other, text), rel=1e-6)


ARPA = """\\data\\
ngram 1=6
ngram 2=4
ngram 3=2

\\1-grams:
-1.5\t<unk>\t0
-99\t<s>\t-0.30103
-0.9\t</s>\t0
-0.7\tthe\t-0.2
-0.8\triver\t-0.1
-1.1\t,\t-0.4

\\2-grams:
-0.2\t<s> the\t-0.05
-0.4\tthe river\t-0.15
-0.3\triver </s>
-0.6\triver ,

\\3-grams:
-0.1\t<s> the river
-0.25\tthe river </s>

\\end\\
"""
KENLM = {
    "the river": 1.525222970494277,
    "the the": 5.623413251903491,
    "a river": 9.268512099351957,
    "the": 4.731512719489874,
    "river a river": 8.917794906921431,
}
"""kenlm.Model(...).perplexity of this file (KenLM 0.3.0)."""


def test_scores_of_an_arpa_file_are_those_of_kenlm() -> None:
    model = read_arpa(ARPA.splitlines(), "a.arpa")
    assert model.order == 3
    for text, expected in KENLM.items():
        assert perplexity(model, text) == pytest.approx(expected, rel=1e-4), text


@pytest.mark.parametrize("text", ["", "not a model", "\\1-grams:\nx the", "\\2-grams:\n-1 the", "\\1-grams:\n-1 ,"])
def test_what_is_no_arpa_file_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"a\.arpa.*arpa file"):
        read_arpa(text.splitlines(), "a.arpa")
