"""The library: its page's example, and that it decides as a job does."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pretrain_dataprep import clean_documents, deduplicate, load_tokenizer, minhash_signatures, tokenize
from pretrain_dataprep.megatron import read_facts

from .conftest import Preparation, corpus, write_jsonl

PAGE = Path(__file__).parents[2] / "docs" / "library.md"


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    assert names["tokens"] == read_facts(tmp_path / "tokens/web.train").tokens
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    assert tokenizer.vocab_size == 300


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, pretrain_dataprep; print(sorted({'numpy', 'numba', 'pyarrow', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_it_decides_as_a_job_does(preparation: Callable[..., Preparation], tmp_path: Path) -> None:
    texts = [text for seed in range(3) for text in corpus(seed, 40)]
    cleaned = clean_documents(texts, {"preset": "gopher", "pii": {"redact": ["email", "phone"]}})
    result = deduplicate(cleaned.texts)
    path = write_jsonl(tmp_path / "a.jsonl", texts)
    job = preparation(
        sources=[{"name": "web", "uri": str(path)}],
        shards=1,
        clean={"preset": "gopher", "pii": {"redact": ["email", "phone"]}},
    )
    for stage in ("clean", "dedup-pairs", "dedup-clusters"):
        job.call(stage)
    from pretrain_dataprep.context import load_context
    from pretrain_dataprep.standalone.writing import write_documents

    context = load_context("blend", job.variables("blend"))
    assert write_documents(context, tmp_path / "documents", "parquet") == len(result.texts)
    import pyarrow.parquet as pq

    kept = pq.read_table(tmp_path / "documents/web-00000.parquet")["text"].to_pylist()
    assert sorted(kept) == sorted(result.texts)
    assert sorted([*result.indices, *result.duplicate_of]) == list(range(len(cleaned.texts)))
    assert set(result.reasons.values()) == {"exact-duplicate", "near-duplicate"}
    assert set(cleaned.removed.values()) == {"too-few-words"}


def test_signatures_are_those_of_datasketch() -> None:
    from datasketch import MinHash, MinHashLSH

    texts = corpus(1, 20)
    signatures = minhash_signatures(texts)
    lsh = MinHashLSH(threshold=0.8, num_perm=128)
    for number, signature in enumerate(signatures):
        lsh.insert(number, MinHash(num_perm=128, scheme="affine32", hashvalues=signature))
    same = next(number for number, text in enumerate(texts) if texts.count(text) > 1)
    assert len(lsh.query(MinHash(num_perm=128, scheme="affine32", hashvalues=signatures[same]))) >= 2
    assert minhash_signatures([]).shape == (0, 128)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValidationError, match="presett"):
        clean_documents(["text"], {"presett": "gopher"})
    with pytest.raises(ValidationError, match="threshold"):
        minhash_signatures(["text"], {"threshold": 2.0})


def test_tokens_of_given_documents(tmp_path: Path) -> None:
    from pretrain_dataprep import train_tokenizer

    tokenizer = train_tokenizer(corpus(1, 20), tmp_path / "tokenizer", {"vocabSize": 400})
    assert tokenize(["one two", ""], tokenizer, tmp_path / "a") == read_facts(tmp_path / "a").tokens
    tokens = np.fromfile(tmp_path / "a.bin", np.uint16)
    assert (tokens[-2:] == 3).all()
