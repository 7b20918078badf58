"""An estimate as tables: figure and formula side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from pretrain_api.estimates.devices import GIB
from pretrain_api.estimates.estimate import Estimate
from pretrain_api.estimates.layouts import (
    KERNEL_UTILIZATION,
    USABLE_MEMORY,
    LayoutEstimate,
    runs_in_this_version,
)
from pretrain_api.quantities import humanize_tokens

Row = tuple[str, str, str]
WIDTH_WITHOUT_TERMINAL = 130
SHOWN_LAYOUTS = 10

_PARTS = {
    "embedding": "embedding",
    "positions": "positions",
    "tokenTypes": "token types",
    "relativePositions": "relative positions",
    "normalization": "normalisation",
    "outputProjection": "output projection",
    "heads": "pooler and heads",
    "attention": "attention",
    "feedForward": "feed-forward",
    "router": "router",
    "experts": "experts",
}


def console() -> Console:
    """Return where tables go: as wide as the terminal, or wide enough where there is none."""
    probe = Console(highlight=False)
    return probe if probe.is_terminal else Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def show(estimate: Estimate) -> None:
    """Print an estimate."""
    out = console()
    plan = estimate.plan
    rate = f"{estimate.flops_per_second_per_gpu:.3g} FLOP/s at {estimate.utilization:.0%}"
    device = plan.device.name if plan.flops_per_second_per_gpu is None else "GPU"
    out.print(f"[bold]{plan.name}[/bold]  {plan.network.family}, {plan.gpus:,} x {device} ({rate}, {plan.precision})")
    for title, rows in (
        ("Parameters", _parameters(estimate)),
        ("Compute", _compute(estimate)),
        ("Scaling laws", _scaling_laws(estimate)),
        ("Memory of one GPU", _memory(estimate)),
        ("Storage and failures", _storage_and_failures(estimate)),
    ):
        out.print()
        out.print(_table(title, rows))
    out.print()
    _show_layouts(out, estimate)


def _table(title: str, rows: Iterable[Row]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), title=title)
    table.title_justify, table.title_style = "left", "bold cyan"
    table.add_column(min_width=26, no_wrap=True)
    table.add_column(justify="right", min_width=18, no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _parameters(estimate: Estimate) -> Iterable[Row]:
    network = estimate.plan.network
    yield "all", f"{estimate.parameters:,}", network.formula
    if estimate.active_parameters != estimate.parameters:
        yield "active", f"{estimate.active_parameters:,}", "with the experts that one token passes"
    for part, count in network.parameters_by_part().items():
        yield f"  {_PARTS[part]}", f"{count:,}", f"{count / estimate.parameters:.1%}"


def _compute(estimate: Estimate) -> Iterable[Row]:
    plan, flops = estimate.plan, estimate.flops
    full = flops.parameter_recomputation > 0
    yield "tokens", humanize_tokens(plan.tokens), f"C {plan.tokens_note}".rstrip() + f"; T = {plan.sequence_length:,}"
    yield "training FLOPs", f"{flops.total:.4g}", "8CP: full recomputation" if full else "6CP"
    yield "  attention beside it", f"{flops.attention:.4g}", "12·L·H·T a token, no causal discount"
    if flops.attention_recomputation:
        yield "  attention again", f"{flops.attention_recomputation:.4g}", "4·L·H·T a token: recomputation"
    yield "  model FLOPs", f"{flops.model:.4g}", "C(6N + 12·L·H·T), N without looked-up tables: what MFU counts"
    yield "training time", _duration(estimate.training_seconds), "FLOPs / (GPUs x FLOP/s x utilisation)"
    yield "  by model FLOPs", _duration(estimate.seconds_by_model_flops), "model FLOPs / (GPUs x FLOP/s x MFU)"
    yield "with failures", _duration(estimate.wall_seconds), "training time / goodput"
    if estimate.cost is not None:
        yield "cost", _money(estimate.cost), f"GPUs x hours with failures x {plan.price_per_gpu_hour:g}"


def _scaling_laws(estimate: Estimate) -> Iterable[Row]:
    chinchilla = estimate.chinchilla
    optimum, twenty = chinchilla.optimum, chinchilla.twenty
    yield "tokens a parameter", f"{chinchilla.tokens_per_parameter:.3g}", "D/N; Chinchilla's rule of thumb is 20"
    yield "predicted loss", f"{chinchilla.predicted_loss:.4f}", "Chinchilla: 1.69 + 406.4/N^0.34 + 410.7/D^0.28"
    yield "", f"{chinchilla.kaplan_loss:.4f}", "Kaplan: ((8.8e13/N)^(0.076/0.095) + 5.4e13/D)^0.095"
    yield (
        "best for the same FLOPs",
        f"{_sizes(optimum.parameters, optimum.tokens)}",
        f"N, D of Chinchilla's parametric loss at C = 6ND: {chinchilla.optimum_loss:.4f}",
    )
    yield "", f"{_sizes(twenty.parameters, twenty.tokens)}", "N, D = 20N at C = 6ND"


def _sizes(parameters: float, tokens: float) -> str:
    return f"{humanize_tokens(parameters)}, {humanize_tokens(tokens)}"


def _memory(estimate: Estimate) -> Iterable[Row]:
    memory, layout, numbers = estimate.chosen.memory, estimate.chosen.layout, estimate.numbers
    usable = USABLE_MEMORY * estimate.memory_bytes
    fits = "fits" if estimate.chosen.fits else "does not fit"
    yield "all", _gib(memory.total), f"{fits}: {_gib(usable)} of {_gib(estimate.memory_bytes)} are planned with"
    unfused = "" if estimate.plan.kernels.fused_attention else ", dropout, scores kept"
    sources = {
        "weights": f"{numbers.value_bytes} B a parameter{_sharded(layout.zero >= 3)}",
        "gradients": f"{numbers.gradients(layout.zero)} B a parameter{_sharded(layout.zero >= 2)}",
        "optimizer": f"{numbers.optimizer(layout.zero)} B a parameter: Adam{_sharded(layout.zero >= 1)}",
        "activations": f"Korthikanti et al. 2022, recomputation {layout.recompute}{unfused}",
        "recomputation": "one layer computed again",
        "logits": "the loss chunk by chunk: gradients of hidden states and projection" if not unfused else "4sbv/t",
        "buffers": "buckets of ZeRO and gradient reduction",
    }
    for part, value in asdict(memory).items():
        if value:
            yield f"  {part}", _gib(value), sources[part]
    copies = f"{layout.data:,} {'copy' if layout.data == 1 else 'copies'}"
    yield "layout", copies, _describe(estimate.chosen, chosen=estimate.plan.choose_layout)


def _sharded(is_sharded: bool) -> str:
    return ", shared by the data-parallel ranks" if is_sharded else ""


def _describe(one: LayoutEstimate, *, chosen: bool) -> str:
    layout = one.layout
    text = (
        f"tensor {layout.tensor}, pipeline {layout.pipeline}, expert {layout.expert}, ZeRO {layout.zero}, "
        f"micro-batch {layout.micro_batch_size}"
    )
    if not (chosen and one.fits):
        return text
    whose = " and this version can train" if runs_in_this_version(layout) else ""
    return f"{text}; chosen: the fastest that fits{whose}"


def _storage_and_failures(estimate: Estimate) -> Iterable[Row]:
    checkpointing, plan = estimate.checkpointing, estimate.plan
    rate = checkpointing.rate
    width = estimate.token_bytes // plan.tokens
    yield "tokenised data", _bytes(estimate.token_bytes), f"{width} B a token"
    per_parameter = estimate.numbers.value_bytes + estimate.numbers.optimizer(estimate.chosen.layout.zero)
    yield "a checkpoint", _bytes(checkpointing.checkpoint_bytes), f"{per_parameter} B a parameter"
    yield "storage", _bytes(estimate.storage_bytes), f"data, {plan.checkpoints_kept} checkpoints, the model"
    source = "" if plan.hours_between_failures is not None else ": 50,677 GPU-hours (Llama 3, section 3.3.4)"
    yield "between failures", _duration(rate.seconds_between_failures), f"of the job{source}"
    young = f"Young: √(2 · save {rate.save_seconds:.3g} s · time between failures)"
    if checkpointing.interval_seconds > checkpointing.young_interval_seconds:
        written = f"as long as one takes to write at {plan.storage_bytes_per_second / 1e9:g} GB/s"
        yield "checkpoint every", _duration(checkpointing.interval_seconds), written
        yield "", _duration(checkpointing.young_interval_seconds), f"{young}, on faster storage"
    else:
        yield "checkpoint every", _duration(checkpointing.interval_seconds), young
        yield "", _duration(checkpointing.daly_interval_seconds), "Daly's higher order"
    yield "goodput", f"{checkpointing.goodput:.2%}", f"Daly's completion time, restart {rate.restart_seconds:g} s"


def _show_layouts(out: Console, estimate: Estimate) -> None:
    if not estimate.layouts:
        remedy = "no number of GPUs up to 65,536 is enough; take GPUs with more memory"
        if estimate.fewest_gpus is not None:
            remedy = f"{estimate.fewest_gpus:,} GPUs are enough"
        out.print(f"No layout of {estimate.plan.gpus:,} GPUs fits; {remedy}.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="Layouts that fit, by expected speed")
    table.title_justify, table.title_style = "left", "bold cyan"
    for name in ("data", "tensor", "pipeline", "expert", "ZeRO", "micro-batch"):
        table.add_column(name, justify="right")
    table.add_column("recompute")
    for name in ("memory", "tokens/s", "MFU"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in estimate.layouts[:SHOWN_LAYOUTS]:
        table.add_row(*_layout_row(one))
    out.print(table)
    note = f"Expected speed: kernels at {KERNEL_UTILIZATION:.0%} of the peak, less bubbles, launches and communication."
    out.print(f"{note} *: this version's trainer can't divide the model so yet.", style="dim")


def _layout_row(one: LayoutEstimate) -> tuple[str, ...]:
    layout = one.layout
    sizes = (layout.data, layout.tensor, layout.pipeline, layout.expert, layout.zero, layout.micro_batch_size)
    return (
        *(str(size) for size in sizes),
        layout.recompute,
        _gib(one.memory.total),
        humanize_tokens(one.tokens_per_second),
        f"{one.utilization:.0%}",
        "" if runs_in_this_version(layout) else "*",
    )


def _gib(value: float) -> str:
    return f"{value / GIB:,.2f} GiB"


def _bytes(value: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{value / size:,.2f} {unit}"
    return f"{value:,.0f} B"


def _money(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "never done"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "never done"
    for unit, size in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds:,.4g} s = {seconds / size:,.3g} {unit}"
    return f"{seconds:.3g} s"
