"""The peers' side, run with their own Python: prints CPU seconds and what came out as a line of JSON.

Imports and start-up aren't counted.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BANDS, ROWS = 9, 13


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    """Return CPU seconds and result."""
    began = cpu_seconds()
    result = work()
    return {"seconds": cpu_seconds() - began, "result": result}


def read_texts(path: str) -> list[str]:
    """Return the documents of a corpus."""
    with Path(path).open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def word_ngrams(text: str) -> list[str]:
    """Return the word 5-grams as people make them in Python."""
    words = re.findall(r"\w+", text.lower())
    return [" ".join(words[first : first + 5]) for first in range(max(1, len(words) - 4))]


def datatrove_filters(path: str) -> dict[str, Any]:
    """Gopher's quality and repetition rules; returns the documents kept."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter

    filters = [GopherQualityFilter(), GopherRepetitionFilter()]
    documents = [Document(text=text, id=str(number)) for number, text in enumerate(read_texts(path))]
    for rule in filters:
        rule.filter(documents[0])
    return timed(lambda: sum(all(rule.filter(document) is True for rule in filters) for document in documents))


def datasketch_signatures(path: str) -> dict[str, Any]:
    """MinHash of word 5-grams, 128 permutations; returns the documents signed."""
    from datasketch import MinHash

    texts = read_texts(path)

    def sign() -> int:
        for text in texts:
            MinHash(num_perm=128).update_batch([gram.encode() for gram in word_ngrams(text)])
        return len(texts)

    return timed(sign)


def rensa_signatures(path: str) -> dict[str, Any]:
    """R-MinHash of word 5-grams, 128 permutations, all documents in one call; returns the documents signed."""
    from rensa import RMinHash

    texts = read_texts(path)
    return timed(lambda: len(RMinHash.digests_from_token_sets([word_ngrams(text) for text in texts], 128, 1)))


def text_dedup(path: str, folder: str) -> dict[str, Any]:
    """From text to what is kept; returns the documents kept."""
    from datasets import disable_progress_bars, load_from_disk
    from text_dedup.minhash import main

    disable_progress_bars()
    output = f"{folder}/text-dedup"
    arguments = {
        "path": "json", "data_files": path, "split": "train", "output": output, "column": "text", "num_proc": "1",
        "cache_dir": f"{folder}/cache", "ngram": "5", "num_perm": "128", "threshold": "0.8", "min_length": "0",
    }  # fmt: skip
    flags = [part for name, value in arguments.items() for part in (f"--{name}", value)]
    result = timed(lambda: main(flags, standalone_mode=False))
    return {**result, "result": len(load_from_disk(output))}


def datatrove_dedup(path: str, folder: str) -> dict[str, Any]:
    """From text to what is kept; returns the documents kept."""
    _emptied(folder)
    return timed(lambda: _deduplicate(path, folder, []))


def datatrove_pipeline(path: str, folder: str, tokenizer: str) -> dict[str, Any]:
    """Filters, deduplication, tokens; returns the documents tokenized."""
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer
    from datatrove.pipeline.writers import JsonlWriter

    _emptied(folder)

    def prepare() -> int:
        filtered = f"{folder}/filtered"
        steps = [GopherQualityFilter(), GopherRepetitionFilter(), JsonlWriter(filtered, compression=None)]
        _execute([_reader(path), *steps], folder)
        kept = _deduplicate(f"{filtered}/00000.jsonl", folder, [JsonlWriter(f"{folder}/kept", compression=None)])
        tokens = DocumentTokenizer(
            f"{folder}/tokens", tokenizer_name_or_path=tokenizer, eos_token="</s>", shuffle_documents=False
        )
        _execute([JsonlReader(f"{folder}/kept"), tokens], folder)
        return kept

    return timed(prepare)


def scikit_learn_clusters(path: str, clusters: str) -> dict[str, Any]:
    """From text to clusters by TF-IDF of as many places, one start; returns the rounds of k-means."""
    vectorizer, model = _topics(int(clusters))
    texts = read_texts(path)
    return timed(lambda: int(model.fit(vectorizer.fit_transform(texts)).n_iter_))


def scikit_learn_assignment(path: str, clusters: str) -> dict[str, Any]:
    """From text to each one's cluster; returns the documents."""
    vectorizer, model = _topics(int(clusters))
    texts = read_texts(path)
    model.fit(vectorizer.fit_transform(texts))
    return timed(lambda: len(model.predict(vectorizer.transform(texts))))


def _topics(clusters: int) -> tuple[Any, Any]:
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.pipeline import make_pipeline

    counts = HashingVectorizer(n_features=1 << 15, alternate_sign=False, norm=None)
    vectors = make_pipeline(counts, TfidfTransformer(sublinear_tf=True))
    return vectors, KMeans(clusters, n_init=1, max_iter=25, random_state=1)


def _reader(path: str) -> Any:
    from datatrove.pipeline.readers import JsonlReader

    return JsonlReader(str(Path(path).parent), glob_pattern=Path(path).name)


def _deduplicate(path: str, folder: str, then: list[Any]) -> int:
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig

    config = MinhashConfig(
        n_grams=5, num_buckets=BANDS, hashes_per_bucket=ROWS, hash_config=HashConfig(precision=32, hash_fc="xxhash")
    )
    signatures, buckets, removed = (f"{folder}/{name}" for name in ("signatures", "buckets", "removed"))
    _execute([_reader(path), MinhashDedupSignature(signatures, config)], folder)
    _execute([MinhashDedupBuckets(signatures, buckets, config=config)], folder, tasks=BANDS)
    _execute([MinhashDedupCluster(buckets, removed, config=config)], folder)
    kept: list[int] = []
    _execute([_reader(path), MinhashDedupFilter(removed), *then, _counting(kept)], folder)
    return len(kept)


def _counting(seen: list[int]) -> Callable[..., Any]:
    def count(documents: Any, rank: int = 0, world_size: int = 1) -> Any:
        for document in documents:
            seen.append(rank)
            yield document

    return count


def _emptied(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)


def _execute(pipeline: list[Any], folder: str, tasks: int = 1) -> None:
    from datatrove.executor import LocalPipelineExecutor

    # What is done is remembered by the folder of the logs.
    LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=tempfile.mkdtemp(dir=folder)).run()


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    function.__name__: function
    for function in (
        datatrove_filters,
        datasketch_signatures,
        rensa_signatures,
        text_dedup,
        datatrove_dedup,
        datatrove_pipeline,
        scikit_learn_clusters,
        scikit_learn_assignment,
    )
}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))
