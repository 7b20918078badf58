"""Data that one job prepares, with models of filters and new documents, and others train on in place."""

from __future__ import annotations

from typing import Any

import pytest

from .jobs import Document, Jobs, data_only, small_job

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

ONE_POD = {"numNodes": 1, "numProcPerNode": 1}


def corpus(name: str) -> Document:
    """Return a job that fits clusters to a sample, caps them, and makes new documents of what is left."""
    return data_only(
        name,
        data__clean__clusters={"count": 4, "maxShare": 0.4},
        data__augment=[{"source": "docs", "method": "sentence-shuffle", "share": 0.2}],
    )


def reader(name: str, data: Document, **changes: Any) -> Document:
    """Return a job that trains on such data alone."""
    document = small_job(name, training__tokens="128Ki", trainer=ONE_POD, **changes)
    document["spec"]["data"] = data
    return document


def test_what_one_job_prepared_others_train_on(jobs: Jobs) -> None:
    source = jobs.apply(corpus("corpus"))
    jobs.wait_for_phase(source, "Completed", 400)
    preparation = jobs.status(source)["dataPreparation"]
    stages = [stage["name"] for stage in preparation["stages"]]
    assert stages.index("filter-models") < stages.index("clean")
    assert stages.index("augment-plan") < stages.index("tokenize")
    assert preparation["augmentedDocuments"] > 0
    assert preparation["documents"] > preparation["augmentedDocuments"]

    claim = f"pvc://{source}-storage"
    jobs.apply(reader("of-the-job", {"prepared": claim}))
    pairs = [{"name": "docs", "uri": f"{claim}/data/tokenized/docs-*.train.bin"}]
    jobs.apply(reader("of-pairs", {"tokenized": pairs}, model__vocabSize=512))
    for name in ("of-the-job", "of-pairs"):
        jobs.wait_for_phase(name, "Completed", 400)
        status = jobs.status(name)
        assert status["training"]["step"] == 64
        assert [stage["name"] for stage in status["dataPreparation"]["stages"] if stage["name"] == "clean"] == []
    seen = {each["name"] for each in jobs.status("of-the-job")["training"]["sources"]}
    assert seen == {"docs", "docs+sentence-shuffle"}
    assert jobs.phase(source) == "Completed"
