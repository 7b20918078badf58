"""The page: facts and plots put into one HTML file that needs nothing else."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from importlib import metadata
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pretrain_report import formats
from pretrain_report.facts.answers import answer_rows
from pretrain_report.facts.data import duplicate_summary, funnel, languages, removed_files, stage_rows
from pretrain_report.facts.documents import changes, contaminated_sets, identified_languages
from pretrain_report.facts.events import MAX_EVENTS_SHOWN, event_rows, rollback_rows
from pretrain_report.facts.missing import missing_parts
from pretrain_report.facts.mixture import mixture_rows
from pretrain_report.facts.outcome import key_figures, outcome, start_and_end, trains
from pretrain_report.facts.topics import topics
from pretrain_report.plots import PLOTS, THEMED, draw_clusters, draw_lengths, draw_loss, to_svg
from pretrain_report.series import READ_OUT
from pretrain_report.storage import Records

_SMALL_PLOTS = ("learning-rate", "batch-size", "throughput", "gradient-norm")
_FIELDS = {"learning-rate": "learningRate", "batch-size": "batchTokens", "throughput": "tokensPerSecond"}
MAX_SAMPLE_CHARACTERS = 4000


def render(records: Records) -> str:
    """Return the page as HTML; equal records give equal text."""
    environment = Environment(
        loader=PackageLoader("pretrain_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=formats.count, compact=formats.compact, size=formats.size, percentage=formats.percentage
    )
    environment.filters["duration"] = formats.duration
    environment.globals["formats"] = formats
    return environment.get_template("report.html").render(_context(records))


def _context(records: Records) -> dict[str, Any]:
    start, end = start_and_end(records)
    return {
        "name": records.name,
        "namespace": records.job.get("metadata", {}).get("namespace") or "",
        "outcome": outcome(records),
        "trains": trains(records) or records.metrics is not None,
        "started": formats.moment(start) if start else "",
        "ended": formats.moment(end) if end and end != start else "",
        "figures": key_figures(records),
        "missing": missing_parts(records),
        "problems": records.problems,
        "training": _training(records),
        "evaluation": _last_evaluation(records),
        "mixture": mixture_rows(records),
        "answers": answer_rows(records),
        "rollbacks": rollback_rows(records),
        "samples": [_sample(sample) for sample in records.samples],
        "data": _data(records),
        "stages": stage_rows(records),
        "events": event_rows(records),
        "events_left_out": max(0, len(records.ledger) - MAX_EVENTS_SHOWN),
        "configuration": _yaml(_without_nulls(records.job)),
        "environment": _environment(records),
    }


def _training(records: Records) -> dict[str, Any] | None:
    if records.metrics is None:
        return None
    series = records.metrics.series
    loss = draw_loss(records, THEMED)
    greatest = max(
        [0.0, *series["loss"].points()[1], *(value for one in records.discarded for value in one.loss.points()[1])]
    )
    top = loss.axes[0].get_ylim()[1]
    small = [
        {"name": name, "title": PLOTS[name][0], "svg": _svg(PLOTS[name][1](records, THEMED), name)}
        for name in _SMALL_PLOTS
        if series[_FIELDS.get(name, "gradientNorm")]
    ]
    return {
        "loss_wide": _svg(loss, "loss-wide"),
        "loss_cut": f"The loss is drawn up to {top:.2f}; it went up to {greatest:,.2f}." if greatest > top else "",
        "loss_narrow": _svg(draw_loss(records, THEMED, 400, 300), "loss-narrow"),
        "small": small,
        "discarded": len(records.discarded),
        "not_finite": series["loss"].not_finite_count + sum(one.loss.not_finite_count for one in records.discarded),
        "stages": len(records.metrics.stages),
        "thinned": series["loss"].bucket_values > 1,
        "steps": records.metrics.steps,
        "rows": _json({"columns": READ_OUT, "rows": records.metrics.rows.rows}),
    }


def _svg(figure: Any, name: str) -> dict[str, Any]:
    """Return the SVG and where its axes are: fractions of the width, and the range of steps."""
    axes = figure.axes[0]
    box = axes.get_position()
    low, high = axes.get_xlim()
    geometry = {"left": round(box.x0, 5), "right": round(box.x1, 5), "low": low, "high": high}
    geometry |= {"top": round(1 - box.y1, 5), "bottom": round(1 - box.y0, 5)}
    return {"text": Markup(to_svg(figure, name)), "geometry": geometry}  # noqa: S704 (matplotlib escapes its text)


def _json(value: Any) -> Markup:
    """Return JSON that can stand in a script element: no `<` in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704


def _last_evaluation(records: Records) -> list[tuple[str, str, str]]:
    """Return source, validation loss and perplexity of the newest evaluation, where there is more than one source."""
    losses = records.evaluations[-1].get("perSource") if records.evaluations else None
    if not isinstance(losses, dict) or len(losses) < 2:
        return []
    return [
        (name, formats.decimals(loss), formats.perplexity(loss))
        for name, loss in losses.items()
        if isinstance(loss, (int, float))
    ]


def _sample(sample: dict[str, Any]) -> dict[str, str]:
    prompt, text = (str(sample.get(part) or "") for part in ("prompt", "text"))
    # Some writers repeat the prompt at the beginning of the text.
    text = text.removeprefix(prompt) if prompt else text
    return {"prompt": prompt[:MAX_SAMPLE_CHARACTERS], "text": text[:MAX_SAMPLE_CHARACTERS]}


def _data(records: Records) -> dict[str, Any] | None:
    report = records.data_report
    if report is None:
        return None
    plots = []
    for name, title, draw in (
        ("lengths", "Length of cleaned documents, characters (from)", draw_lengths),
        ("clusters", "Clusters of duplicates by number of documents (from)", draw_clusters),
    ):
        try:
            plots.append({"name": name, "title": title, "svg": _svg(draw(report, THEMED), name)})
        except ValueError:
            continue  # the report has no such numbers: nothing to plot
    return {
        "report": report,
        "funnel": funnel(report.sources),
        "by_source": [(source, funnel([source])) for source in report.sources] if len(report.sources) > 1 else [],
        "plots": plots,
        "duplicates": duplicate_summary(report),
        "changes": changes(report),
        "contamination": contaminated_sets(report),
        "topics": topics(report),
        "languages": languages(report),
        "identified": identified_languages(report),
        "removed_files": removed_files(records),
        "settings": {name: _plain(value) for name, value in report.settings.items() if value is not None},
    }


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, (str, int, float, bool)) else json.dumps(value, ensure_ascii=False)


def _without_nulls(value: Any) -> Any:
    """Leave out what isn't set: a list of nulls tells nobody anything."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def _environment(records: Records) -> dict[str, str]:
    """Return versions: of what made this report, and what the trainer wrote down about itself."""
    found: dict[str, str] = {}
    for event in records.ledger:
        for name in ("environment", "versions"):
            if isinstance(event.get(name), dict):
                found.update({str(key): _plain(value) for key, value in event[name].items()})
    made = {"report made by": f"pretrain {metadata.version('pretrain')}, Python {platform.python_version()}"}
    return made | _trainer_libraries() | found


def _trainer_libraries() -> dict[str, str]:
    """Return versions where the report is made beside the trainer, as in a local run; an image of its own has none."""
    found: dict[str, str] = {}
    for name in ("torch", "deepspeed", "sentencepiece"):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
