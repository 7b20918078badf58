"""Pairs are what Megatron-LM documents of its indexed data sets, read here by a reader written from that definition;
they are what datatrove writes and reads.

Megatron-LM, megatron/core/datasets/indexed_dataset.py: the header of the .idx is the magic MMIDIDX, the version, a code
of the tokens' type, the number of sequences and of documents; then come the sequences' lengths (int32), their pointers
into the .bin in bytes (int64), and the documents' first sequences (int64), closed by the number of sequences.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain_dataprep.megatron import read_facts, write_pair
from pretrain_dataprep.tokenizers.folder import load_tokenizer
from pretrain_dataprep.tokenizers.interface import end_token

from .conftest import Preparation

DTYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f8", 7: "<f4", 8: "<u2"}


def read_documents(prefix: Path) -> list[list[int]]:
    """Return the tokens of each document."""
    index, tokens = Path(f"{prefix}.idx").read_bytes(), Path(f"{prefix}.bin").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    assert struct.unpack("<Q", index[9:17]) == (1,)
    dtype = np.dtype(DTYPES[index[17]])
    sequences, documents = struct.unpack("<QQ", index[18:34])
    at = 34
    lengths = np.frombuffer(index, "<i4", sequences, at)
    at += lengths.nbytes
    pointers = np.frombuffer(index, "<i8", sequences, at)
    at += pointers.nbytes
    first = np.frombuffer(index, "<i8", documents, at)
    assert at + first.nbytes == len(index)
    assert (first[0], first[-1]) == (0, sequences)
    parts = [np.frombuffer(tokens, dtype, n, p).tolist() for n, p in zip(lengths, pointers, strict=True)]
    return [list(chain.from_iterable(parts[a:b])) for a, b in pairwise(first)]


@pytest.mark.parametrize(("dtype", "most"), [(np.uint16, 65_499), (np.int32, 2**31 - 1)])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_document_comes_back(dtype: type, most: int, data: st.DataObject, tmp_path: Path) -> None:
    documents = data.draw(st.lists(st.lists(st.integers(0, most), max_size=20), max_size=10))
    with write_pair(tmp_path / "pair", dtype) as pair:
        for document in documents:
            pair.add(np.array(document, np.int64), 3)
    assert read_documents(tmp_path / "pair") == [[*document, 3] for document in documents]
    assert read_facts(tmp_path / "pair") == (np.dtype(dtype), len(documents), sum(map(len, documents)) + len(documents))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["sentencepiece-bpe", "huggingface-bpe"])
def test_the_pairs_of_a_job_are_what_datatrove_writes_and_reads(
    algorithm: str, preparation: Callable[..., Preparation], small_corpus: Path, tmp_path: Path
) -> None:
    prepared = preparation(
        sources=[{"name": "web", "uri": str(small_corpus)}],
        shards=1,
        tokenizer={"train": {"algorithm": algorithm, "vocabSize": 500}},
    )
    prepared.call_all()
    end = end_token(load_tokenizer(prepared.layout.tokenizer))
    for part in ("train", "validation"):
        prefix = prepared.layout.tokenized / f"web-00000.{part}"
        check_with_datatrove(prefix, end, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_pairs_of_both_types_are_what_datatrove_writes_and_reads(dtype: type, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    with write_pair(tmp_path / "pair", dtype) as pair:
        for length in (0, 1, 700, 3, 1299):
            pair.add(generator.integers(10, 65_000 if dtype == np.uint16 else 250_000, length), 3)
    check_with_datatrove(tmp_path / "pair", 3, tmp_path)


def check_with_datatrove(prefix: Path, end: int | None, folder: Path) -> None:
    """Write the documents again by datatrove, and read the .bin by its data set for training."""
    from datatrove.pipeline.tokens.megatron_tokenizer import MegatronTokenizedFile
    from datatrove.utils.dataset import DatatroveFileDataset

    documents = read_documents(prefix)
    size = read_facts(prefix).dtype.itemsize
    theirs = MegatronTokenizedFile(str(folder), "theirs", token_size=size)
    for document in documents:
        theirs.write(document)
    theirs.close()
    for suffix in (".bin", ".idx"):
        assert (folder / f"theirs{suffix}").read_bytes() == Path(f"{prefix}{suffix}").read_bytes()

    tokens = list(chain.from_iterable(documents))
    positions = list(chain.from_iterable(range(len(document)) for document in documents))
    window = 64
    found = DatatroveFileDataset(
        f"{prefix}.bin", window - 1, size, return_positions=True, positions_from_eos_token_id=end
    )
    assert len(found) == len(tokens) // window > 0
    for place in range(len(found)):
        first = place * window
        assert found[place]["input_ids"].tolist() == tokens[first : first + window]
        # A document that began in the window before counts from the window's beginning.
        cut = next((at for at in range(window) if positions[first + at] == 0), window)
        expected = [*range(cut), *positions[first + cut : first + window]]
        assert found[place]["positions"].tolist() == expected
