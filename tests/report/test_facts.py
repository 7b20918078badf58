"""What a report says about a job."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pretrain_api.wire import DataReport, SourceReport
from pretrain_report.facts.data import duplicate_summary, funnel, languages, removed_files, stage_rows
from pretrain_report.facts.documents import identified_languages
from pretrain_report.facts.events import event_rows, rollback_rows
from pretrain_report.facts.missing import missing_parts
from pretrain_report.facts.outcome import key_figures, outcome
from pretrain_report.facts.topics import topics
from pretrain_report.page import render
from pretrain_report.storage import Records, read_records


def records_of(storage: Any) -> Records:
    return read_records(storage.job, storage.layout)


def test_figures_of_a_finished_job(finished: Any) -> None:
    figures = {figure.label: figure for figure in key_figures(records_of(finished))}
    assert figures["Validation loss"].value == "3.524"
    assert figures["Perplexity"].value == "33.9"
    assert figures["Steps"].value == "320"
    assert figures["Wall time"].value == "3 min 41 s"
    assert figures["Rollbacks"].value == "1"
    assert figures["Restarts"].value == "0"
    assert figures["Goodput"].value == "94.8 %"
    assert outcome(records_of(finished)).title == "Completed"
    assert missing_parts(records_of(finished)) == {}


def test_a_failed_job_says_why(storage: Any) -> None:
    events = [{"event": "start"}, {"event": "failed", "message": "rank 1: out of memory; lower microBatchSize"}]
    storage.layout.ledger.write_text("".join(json.dumps(event) + "\n" for event in events))
    state = outcome(records_of(storage))
    assert (state.title, state.tone) == ("Failed", "bad")
    assert state.message == "rank 1: out of memory; lower microBatchSize"


def test_a_failure_before_training_is_told_by_the_conditions(storage: Any) -> None:
    condition = {"type": "DataReady", "status": "False", "reason": "MissingData", "message": "/corpus: isn't there"}
    storage.layout.status.write_text(json.dumps({"phase": "Failed", "conditions": [condition]}))
    assert outcome(records_of(storage)).message == "/corpus: isn't there"


def test_a_failed_stage_is_a_failure_before_the_phase_says_so(storage: Any) -> None:
    stages = [{"name": "clean", "state": "Failed", "message": "/corpus/a.jsonl:7: not JSON; mend it"}]
    storage.layout.status.write_text(json.dumps({"phase": "Preparing", "dataPreparation": {"stages": stages}}))
    state = outcome(records_of(storage))
    assert (state.title, state.message) == ("Failed", "Stage clean: /corpus/a.jsonl:7: not JSON; mend it")


def test_a_job_that_goes_on_after_a_failure_has_not_failed(storage: Any) -> None:
    events = [{"event": "failed", "message": "x"}, {"event": "resume"}]
    storage.layout.ledger.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert outcome(records_of(storage)).title == "Not finished"


@pytest.mark.parametrize(
    ("phase", "title"), [("Suspended", "Suspended"), ("Training", "Not finished"), ("Completed", "Completed")]
)
def test_status_decides_where_the_files_leave_it_open(storage: Any, phase: str, title: str) -> None:
    storage.layout.status.write_text(json.dumps({"phase": phase}))
    assert outcome(records_of(storage)).title == title


def test_missing_parts_are_named_with_their_reason(storage: Any) -> None:
    reasons = missing_parts(records_of(storage))
    assert reasons.keys() == {"training", "validation", "samples", "data", "events"}
    assert "the data preparation hasn't finished" in reasons["training"]
    storage.write_job({"metadata": {"name": "prep"}, "spec": {"data": {"sources": []}}})
    assert "only prepares data" in missing_parts(records_of(storage))["training"]
    storage.write_job({"spec": {"data": {"tokenized": [{"name": "a"}]}, "training": {"tokens": 1}}})
    assert "ready-made" in missing_parts(records_of(storage))["data"]
    samples = {"evaluation": {"samples": {"count": 0}}}
    storage.write_job({"spec": {"data": {"prepared": "pvc://a/b"}, "training": samples}})
    assert "None were asked for" in missing_parts(records_of(storage))["samples"]
    assert "another job (pvc://a/b)" in missing_parts(records_of(storage))["data"]


def test_the_funnel_adds_up(finished: Any) -> None:
    report = records_of(finished).data_report
    assert report is not None
    steps = funnel(report.sources)
    removed = [step for step in steps if step.kind == "removed"]
    assert steps[0].kind == "read"
    assert steps[-1].kind == "kept"
    assert steps[0].documents - sum(step.documents for step in removed) == steps[-1].documents
    assert [step.stage for step in removed] == ["", "clean", "clean", "clean", "dedup", "dedup"]
    assert removed[1].label == "too-short", "the commonest reason of a stage first"
    assert removed[-1].before - removed[-1].share == pytest.approx(steps[-1].share)


def test_new_documents_are_no_part_of_the_funnel(finished: Any) -> None:
    report = json.loads(finished.layout.data_report.read_text())
    before = funnel(DataReport.model_validate(report).sources)
    part = {"name": "web+synonyms", "source": "web", "method": "synonyms", "share": 0.05, "sourceBytes": 10_000}
    part |= {"documents": 12, "documentsTaken": 20, "unused": 5, "tooLong": 3, "bytes": 420, "trainTokens": 111}
    finished.layout.data_report.write_text(json.dumps(report | {"augmented": [{**part, "samples": ["<b>bold</b>"]}]}))
    records = records_of(finished)
    assert records.data_report is not None
    assert funnel(records.data_report.sources) == before
    for path in (finished.layout.metrics, finished.layout.evaluations):
        path.unlink()
    figures = {one.label: one for one in key_figures(records_of(finished))}
    assert figures["Training tokens"].note == "111 in new documents"
    page = render(records)
    assert "web+synonyms" in page
    assert "4.2 %" in page
    assert '<td class="number">15</td><td class="number">8</td>' in page
    assert "<b>bold" not in page


def test_the_funnel_of_nothing_is_empty() -> None:
    assert funnel([]) == []


def test_duplicates_are_summed() -> None:
    report = DataReport(sources=[], duplicate_clusters={"all": {2: 10, 5: 2}, "exact": {}})
    assert duplicate_summary(report) == [("exact and similar", 12, 18, 5)]


def test_rare_languages_are_one_row() -> None:
    counts = {f"l{number:02}": 100 - number for number in range(25)}
    sizes = dict.fromkeys(counts, 10)
    report = DataReport(sources=[SourceReport(name="a", uri="-", languages=counts, language_bytes=sizes)])
    rows = identified_languages(report)
    assert len(rows) == 21
    assert (rows[0].language, rows[0].documents, rows[0].bytes) == ("l00", 100, 10)
    assert (rows[-1].language, rows[-1].documents, rows[-1].bytes) == ("5 others", 80 + 79 + 78 + 77 + 76, 50)


def test_stages_have_state_and_time_where_the_status_is_known(finished: Any) -> None:
    assert [(row.name, row.state) for row in stage_rows(records_of(finished))] == [("clean", ""), ("tokenize", "")]
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:30Z"}
    stages = [
        {
            "name": "clean",
            "state": "Succeeded",
            "completed": 8,
            "total": 8,
            "documentsIn": 5,
            "documentsOut": 4,
            **times,
        },
        {"name": "dedup-pairs", "state": "Failed", "completed": 1, "total": 8, "message": "disk full"},
    ]
    finished.layout.status.write_text(json.dumps({"phase": "Failed", "dataPreparation": {"stages": stages}}))
    clean, pairs = stage_rows(records_of(finished))
    assert (clean.items, clean.seconds, clean.documents_out) == ("8 of 8", 90.0, 4)
    assert (pairs.state, pairs.seconds, pairs.message) == ("Failed", None, "disk full")


def test_rollbacks_come_with_their_verdict(finished: Any) -> None:
    (row,) = rollback_rows(records_of(finished))
    assert (row.detected, row.resumed, row.loss, row.baseline) == ("171", "150", "9.410", "3.660")
    assert row.skipped == "896 (5,120 to 6,016)"
    assert row.recovered == "yes"


def test_a_rollback_has_the_loss_of_its_spike_and_a_repeated_one_did_not_help(storage: Any) -> None:
    rollback = {"event": "rollback", "reason": "LossSpike", "detectedAtStep": 62, "resumedFromStep": 50}
    spike = {"event": "spike", "loss": 8.61, "baseline": 1.09}
    verdict = {"event": "verdict", "recovered": True}
    events = [spike, rollback, {"event": "spike", "loss": None, "baseline": 1.1}, rollback, verdict]
    storage.layout.ledger.write_text("".join(json.dumps(event) + "\n" for event in events))
    rows = [(row.number, row.loss, row.baseline, row.recovered) for row in rollback_rows(records_of(storage))]
    assert rows == [(1, "8.610", "1.090", "no, spiked again"), (2, "not finite", "1.100", "yes")]


def test_rollbacks_come_from_the_status_where_the_ledger_says_too_little(storage: Any) -> None:
    rollback = {
        "time": "2026-01-01T00:00:00Z",
        "reason": "NonFinite",
        "detectedAtStep": 7,
        "resumedFromStep": 5,
        "skippedSequences": {"from": 1, "to": 3},
        "loss": None,
    }
    storage.layout.status.write_text(json.dumps({"phase": "Training", "rollbacks": [rollback]}))
    (row,) = rollback_rows(records_of(storage))
    assert (row.detected, row.loss, row.recovered) == ("7", "not finite", "not known yet")


def test_events_show_the_day_once_and_the_newest_last(finished: Any) -> None:
    rows = event_rows(records_of(finished))
    assert rows[0].time == "31 Jan 23:58:31"
    assert rows[1].time == "23:58:38"
    assert [row.time for row in rows if "Feb" in row.time] == ["1 Feb 00:00:00"]
    assert (rows[-1].name, rows[-1].tone, rows[-1].elapsed) == ("complete", "good", "+3 min 41 s")


def test_an_event_without_a_message_shows_its_fields(storage: Any) -> None:
    storage.layout.ledger.write_text('{"event": "restart", "reason": "RankFailed", "rank": 1, "step": 8}\n')
    (row,) = event_rows(records_of(storage))
    assert row.message == "reason RankFailed, rank 1"


def test_damaged_files_are_named_and_the_rest_is_read(finished: Any) -> None:
    finished.layout.data_report.write_text('{"sources": [{"name": 3}]}')
    finished.layout.samples.write_text("[{]")
    finished.layout.completed.write_text("[]")
    with finished.layout.metrics.open("a") as file:
        file.write('oops\n{"step": 321, "loss": NaN}\n{"step": 322, "lo')
    records = records_of(finished)
    assert records.metrics is not None
    assert records.metrics.last["step"] == 321
    assert len(records.ledger) > 10
    problems = "\n".join(records.problems)
    assert "data/report.json: sources.0.name: Input should be a valid string" in problems
    assert "samples.json: " in problems
    assert "completed.json: holds no dict" in problems
    assert "metrics.jsonl: 2 lines, the first of them line 321, can't be read and are left out" in problems


def test_a_torn_last_line_is_no_problem(finished: Any) -> None:
    with finished.layout.metrics.open("a") as file:
        file.write('{"step": 32')
    assert records_of(finished).problems == []


def test_the_speed_of_a_worker_comes_from_the_times_of_work_items(finished: Any) -> None:
    folder = finished.layout.root / "timings"
    folder.mkdir()
    timings = [
        {"name": "clean", "items": 2, "documentsIn": 100, "documentsOut": 90, "bytesIn": 12_000_000, "seconds": 4.0},
        {"name": "tokenize", "items": 2, "documentsIn": 90, "documentsOut": 90, "bytesIn": 0, "seconds": 0.5},
    ]
    (folder / "stages.json").write_text(json.dumps(timings))
    assert [(row.name, row.speed) for row in stage_rows(records_of(finished))] == [
        ("clean", "3 MB/s"),
        ("tokenize", "180 documents/s"),
    ]
    (folder / "stages.json").write_text(json.dumps([{"name": "clean"}, timings[1]]))
    records = records_of(finished)
    assert [row.speed for row in stage_rows(records)] == ["", "180 documents/s"]
    assert any("stages.json" in problem for problem in records.problems)


def test_languages_are_summed_over_sources() -> None:
    def source(name: str, language: str | None, tokens: int) -> SourceReport:
        return SourceReport(
            name=name, uri="-", language=language, documents_kept=2, bytes_kept=tokens * 4, train_tokens=tokens
        )

    sources = [source("a", "en", 10), source("b", "de", 100), source("c", "en", 20), source("d", None, 5)]
    rows = languages(DataReport(sources=sources))
    assert [(row.language, row.documents, row.tokens) for row in rows] == [
        ("de", 2, 100),
        ("en", 4, 30),
        ("not known", 2, 5),
    ]
    assert languages(DataReport(sources=sources[3:])) == []


def test_clusters_that_the_cap_made_smaller_are_counted() -> None:
    clusters = [
        {"words": ["river"], "documents": 60, "kept": 20},
        {"words": ["stone"], "documents": 30, "kept": 20},
        {"words": [], "documents": 10, "kept": 10},
    ]
    report = DataReport.model_validate({"sources": [], "topicClusters": clusters, "topicClusterCap": 20})
    found = topics(report)
    assert (found.count, found.documents, found.cut, len(found.shown)) == (3, 100, 2, 3)
    assert topics(DataReport(sources=[])).shown == []


def test_where_removed_documents_are_is_said_if_they_are_kept(finished: Any) -> None:
    assert removed_files(records_of(finished)) == []
    finished.write_job({**finished.job, "spec": {**finished.job["spec"], "data": {"keepRemoved": True}}})
    assert "data/clean/*/removed.parquet" in removed_files(records_of(finished))
