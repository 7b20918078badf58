"""`make bench-operator`: how fast the operator is and what it takes, beside a bare kopf handler, in the same run."""

from __future__ import annotations

import argparse
import asyncio
import functools
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.figures import Figure, show
from benchmarks.operator.answers import Answers
from benchmarks.operator.measured import Measured, MeasuredBareHandler, MeasuredOperator
from benchmarks.operator.plane import control_plane, job, short_job
from benchmarks.operator.recovery import recovery
from benchmarks.operator.submission import Server, delete_all, submit

PEER = "bare kopf handler"
SINGLE_JOBS = 10
MEBIBYTE = 1 << 20
PODS = "/api/v1/namespaces/default/pods"


def main() -> int:
    """Run it; print a table, or with JSON=1 a line a figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operator", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000, help="of the largest submission; default: %(default)s")
    parser.add_argument("--only", choices=["submission", "life", "live", "recovery"], help="a part of it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as name:
        folder = Path(name)
        figures: list[Figure] = []
        if options.only in (None, "recovery"):
            tell("a rank and two pods killed")
            figures += recovery(folder / "recovery")
        if options.only in (None, "submission"):
            figures += submission(folder / "submission", options.jobs)
        if options.only in (None, "life"):
            figures += run_on_plane(folder / "life", 0.0, life)
        if options.only in (None, "live"):
            figures += run_on_plane(folder / "live", 0.0, functools.partial(live, count=options.jobs))
    show(figures)
    return 0


def tell(text: str) -> None:
    """Say on stderr how far it is."""
    print(f"bench-operator: {text}", file=sys.stderr, flush=True)


def submission(folder: Path, most: int) -> list[Figure]:
    """Seconds from a job's submission to its first stage's Job: one by one, 100 at once, 1,000 at once."""
    measured: dict[str, dict[str, list[float]]] = {}
    taken: dict[str, tuple[float, int]] = {}
    with control_plane(folder, seconds_of_a_stage=300.0) as plane:
        programs: dict[str, Callable[[], Measured]] = {
            PEER: lambda: MeasuredBareHandler(plane.kubeconfig, folder),
            "pretrain": lambda: MeasuredOperator(plane.kubeconfig, folder, {}),
        }
        for name, start in programs.items():
            measured[name], taken[name] = asyncio.run(_submit_to(name, start, plane.kubeconfig, most))
    goals = {"1": (0.1, 0.1), "100": (0.7, 1.5), str(most): (None, 6.0)}
    figures = []
    for count, (median_goal, last_goal) in goals.items():
        ours, theirs = (sorted(measured[name][count]) for name in ("pretrain", PEER))
        for part, goal, pick in (
            ("p50", median_goal, statistics.median),
            ("p99", last_goal, _percentile_99),
            ("max", None, max),
        ):
            text = f"{count} jobs submitted at once → first stage's Job, {part}"
            figures.append(_figure(text, pick(ours), "seconds", goal, pick(theirs)))
    (our_seconds, our_bytes), (their_seconds, their_bytes) = (taken[name] for name in ("pretrain", PEER))
    head = f"{most} jobs submitted at once"
    return [
        *figures,
        _figure(f"{head}: CPU time", our_seconds, "seconds", None, their_seconds),
        _figure(f"{head}: resident memory at most", our_bytes / MEBIBYTE, "MiB", None, their_bytes / MEBIBYTE),
    ]


async def _submit_to(
    name: str, start: Callable[[], Measured], kubeconfig: Path, most: int
) -> tuple[dict[str, list[float]], tuple[float, int]]:
    found: dict[str, list[float]] = {"1": [], "100": []}
    async with Server(kubeconfig) as server:
        with start() as process:
            await asyncio.sleep(3)
            tell(f"{name}: {SINGLE_JOBS} jobs one by one")
            for number in range(SINGLE_JOBS + 1):
                seconds = await submit(server, [job(f"one-{number}")])
                found["1"] += seconds if number else []  # the first one warms the connections
            tell(f"{name}: 100 jobs at once")
            found["100"] = await submit(server, [job(f"hundred-{number}") for number in range(100)])
            await delete_all(server)
        with start() as process:
            await asyncio.sleep(3)
            tell(f"{name}: {most} jobs at once")
            before = process.cpu_seconds
            found[str(most)] = await submit(server, [job(f"many-{number}") for number in range(most)])
            used = process.cpu_seconds - before, process.peak_bytes
            for count, seconds in found.items():
                middle, last = statistics.median(seconds), _percentile_99(seconds)
                tell(f"{name}: {count} at once: p50 {middle:.3g} s, p99 {last:.3g} s")
            await delete_all(server)
    return found, used


def run_on_plane(
    folder: Path,
    seconds_of_a_stage: float,
    part: Callable[[Server, MeasuredOperator, Answers], Awaitable[list[Figure]]],
) -> list[Figure]:
    """Run a part with the project's operator on a control plane of its own."""

    async def run() -> list[Figure]:
        async with Server(plane.kubeconfig) as server, Answers() as answers:
            with MeasuredOperator(plane.kubeconfig, folder, {}) as operator:
                return await part(server, operator, answers)

    with control_plane(folder, seconds_of_a_stage) as plane:
        return asyncio.run(run())


async def life(server: Server, operator: MeasuredOperator, answers: Answers) -> list[Figure]:
    """What one job has the API server write in its life, and how soon a lost trainer pod is replaced."""
    count = 10
    tell(f"the whole life of {count} jobs")
    await submit(server, [job(f"life-{number}", nodes=2) for number in range(count)])
    await _wait_for(operator, "pretrain_operator_jobs", count, phase="Training")
    replaced = await _replacements(server, count)
    answers.training(1000, "Completed")
    await _wait_for(operator, "pretrain_operator_jobs", count, phase="Completed")
    writes: defaultdict[tuple[str, str], float] = defaultdict(float)
    for labels, value in operator.samples("pretrain_operator_api_requests_total"):
        if labels["method"] != "GET":
            writes[labels["method"], labels["resource"]] += value  # of each status that the server answered with
    figures = [
        _figure("writes to the API a job, over its life", sum(writes.values()) / count, "requests", 30.0),
        *(
            _figure(f"writes to the API a job: {method} {resource}", value / count, "requests")
            for (method, resource), value in sorted(writes.items())
        ),
        _figure("trainer pod lost → replacement created, p50", statistics.median(replaced), "seconds"),
        _figure("trainer pod lost → replacement created, max", max(replaced), "seconds", 2.0),
    ]
    await delete_all(server)
    return figures


async def _replacements(server: Server, count: int) -> list[float]:
    """Lose the first pod of each trainer; return the seconds until another one is there."""
    found = []
    for number in range(count):
        name = f"life-{number}-trainer-0"
        gone: dict[str, float] = {}
        new: dict[str, float] = {}
        watching = [
            asyncio.create_task(server.watch(PODS, gone, f"pretrain.dev/job=life-{number}", "DELETED")),
            asyncio.create_task(server.watch(PODS, new, f"pretrain.dev/job=life-{number}", "ADDED")),
        ]
        await asyncio.sleep(0.5)
        new.clear()
        await server.ask("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})
        for _ in range(600):
            if name in gone and name in new:
                break
            await asyncio.sleep(0.05)
        found.append(new[name] - gone[name])
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    return found


async def live(server: Server, operator: MeasuredOperator, answers: Answers, count: int) -> list[Figure]:
    """What many jobs in training take of the operator's machine."""
    tell(f"{count} jobs until all of them train")
    for first in range(0, count, 100):
        await submit(server, [short_job(f"live-{number}") for number in range(first, min(count, first + 100))])
    await _wait_for(operator, "pretrain_operator_jobs", count, seconds=1800, phase="Training")
    rest_seconds = 60.0
    await asyncio.sleep(20)
    tell(f"{count} jobs at rest for {rest_seconds:.0f} s")
    at_rest = await _share_of_core(operator, rest_seconds)
    tell(f"{count} jobs that make steps, for {rest_seconds:.0f} s")
    written = operator.metric("pretrain_operator_api_requests_total", method="PATCH", resource="pretrainjobs")
    stepping = asyncio.create_task(_step(answers))
    busy = await _share_of_core(operator, rest_seconds)
    stepping.cancel()
    written = operator.metric("pretrain_operator_api_requests_total", method="PATCH", resource="pretrainjobs") - written
    return [
        _figure(f"{count} live jobs: resident memory", operator.resident_bytes / MEBIBYTE, "MiB", 250.0),
        _figure(f"{count} live jobs: resident memory at most", operator.peak_bytes / MEBIBYTE, "MiB"),
        _figure(f"{count} live jobs at rest: share of a core", at_rest, "cores", 0.30),
        _figure(f"{count} live jobs that make steps: share of a core", busy, "cores"),
        _figure(
            f"{count} live jobs that make steps: writes of progress a job each 10 s",
            written / count / rest_seconds * 10,
            "requests",
            1.0,
        ),
    ]


async def _step(answers: Answers) -> None:
    step = 1
    while True:
        step = min(step + 1, 999)
        answers.training(step)
        await asyncio.sleep(1)


async def _share_of_core(process: Measured, seconds: float) -> float:
    before = process.cpu_seconds
    await asyncio.sleep(seconds)
    return (process.cpu_seconds - before) / seconds


async def _wait_for(operator: MeasuredOperator, name: str, value: float, seconds: float = 300.0, **labels: str) -> None:
    for waited in range(int(seconds)):
        now = operator.metric(name, **labels)
        if now >= value:
            return
        if waited % 30 == 29:
            tell(f"{now:.0f} of {value:.0f} {labels}")
        await asyncio.sleep(1)
    raise TimeoutError(f"{name} {labels} is {operator.metric(name, **labels)} and not {value}: {operator.said()}")


def _percentile_99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.99 * (len(values) - 1)))]


def _figure(name: str, value: float, unit: str, goal: float | None = None, peer_value: float | None = None) -> Figure:
    peer = PEER if peer_value is not None else None
    return Figure(name=name, value=value, unit=unit, goal=goal, peer=peer, peer_value=peer_value)


if __name__ == "__main__":
    sys.exit(main())
