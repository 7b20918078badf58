"""`pretrain estimate FILE | --preset NAME`: what a run will need, before it starts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Annotated, Any, Literal, NoReturn

import typer

from pretrain_api.quantities import parse_tokens


def _tokens(text: str) -> int:
    try:
        tokens = parse_tokens(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if tokens == 0:
        raise typer.BadParameter("0 tokens are nothing to train on; write 1 or more")
    return tokens


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a number; write one such as 2.5 or 2e14") from None
    if not math.isfinite(value) or value <= 0:
        raise typer.BadParameter(f"{text} is out of range; write a number greater than 0")
    return value


def estimate(  # noqa: PLR0913, PLR0917 (each is an option)
    file: Annotated[str | None, typer.Argument(help="A PretrainJob; - is the standard input.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="A published model instead; `pretrain presets` lists them.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Default: the job's; 8 for a preset.")] = None,
    gpu: Annotated[str | None, typer.Option(help="b200, h200, h100, a100-80gb, a100-40gb, v100-32gb, …")] = None,
    flops_per_gpu: Annotated[
        float | None, typer.Option(parser=_positive, metavar="FLOP/S", help="Instead of the GPU's peak.")
    ] = None,
    utilization: Annotated[
        float | None,
        typer.Option(
            parser=_positive, metavar="SHARE", help="Share of that rate which is reached: 0.4; 1 with --flops-per-gpu."
        ),
    ] = None,
    memory_gb: Annotated[
        float | None, typer.Option(parser=_positive, metavar="GB", help="Memory of a GPU instead of its own.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(parser=_tokens, metavar="TOKENS", help="Such as 1.4T.")] = None,
    sequence_length: Annotated[int | None, typer.Option(min=1, help="Tokens a sequence.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(parser=_tokens, metavar="TOKENS", help="Such as 4Mi.")] = None,
    micro_batch_size: Annotated[int | None, typer.Option(min=1, help="Sequences a rank computes at a time.")] = None,
    zero: Annotated[int | None, typer.Option(min=0, max=3, help="ZeRO stage.")] = None,
    tensor: Annotated[int | None, typer.Option(min=1, help="Ranks that share each matrix.")] = None,
    pipeline: Annotated[int | None, typer.Option(min=1, help="Ranks that share the layers.")] = None,
    expert: Annotated[int | None, typer.Option(min=1, help="Ranks that share the experts.")] = None,
    sequence_parallel: Annotated[
        bool | None, typer.Option(help="Divide along the sequence what tensor parallelism leaves whole.")
    ] = None,
    recompute: Annotated[
        Literal["none", "selective", "full"] | None, typer.Option(help="Activations computed again.")
    ] = None,
    precision: Annotated[Literal["fp32", "tf32", "bf16", "fp16"] | None, typer.Option(help="Number format.")] = None,
    gradients: Annotated[Literal["fp32", "16-bit"] | None, typer.Option(help="Format gradients accumulate in.")] = None,
    kernels: Annotated[
        Literal["fused", "unfused"],
        typer.Option(
            help="fused: as this trainer; unfused: dropout, scores and logits kept (Korthikanti et al. 2022)."
        ),
    ] = "fused",
    price_per_gpu_hour: Annotated[float | None, typer.Option(parser=_positive, metavar="PRICE")] = None,
    mean_time_between_failures_hours: Annotated[
        float | None,
        typer.Option(parser=_positive, metavar="HOURS", help="Of the job. Default: 50,677 GPU-hours (Llama 3)."),
    ] = None,
    checkpoint_seconds: Annotated[
        float | None, typer.Option(parser=_positive, metavar="SECONDS", help="How long saving keeps training waiting.")
    ] = None,
    restart_seconds: Annotated[
        float | None, typer.Option(parser=_positive, metavar="SECONDS", help="From a failure to the next step: 120.")
    ] = None,
    output: Annotated[
        Literal["text", "json"], typer.Option("-o", "--output", help="text: tables; json: one object.")
    ] = "text",
) -> None:
    """Estimate parameters, FLOPs, time, memory, storage, failures and cost, each with the formula beside it.

    Without a layout (--zero, --tensor, …) a preset takes the fastest one that fits.
    """
    # Imported here: the command line starts fast.
    from pretrain_api.estimates.activations import TRAINER_KERNELS, UNFUSED_KERNELS

    layout = _given(tensor=tensor, pipeline=pipeline, expert=expert, zero=zero, micro_batch_size=micro_batch_size)
    choices = layout | _given(
        gpus=gpus,
        flops_per_second_per_gpu=flops_per_gpu,
        utilization=_share(utilization),
        memory_bytes=None if memory_gb is None else memory_gb * 1e9,
        tokens=tokens,
        sequence_length=sequence_length,
        batch_tokens=batch_tokens,
        sequence_parallel=sequence_parallel,
        recompute=recompute,
        precision=precision,
        gradient_bytes={"fp32": 4, "16-bit": 2, None: None}[gradients],
        price_per_gpu_hour=price_per_gpu_hour,
        hours_between_failures=mean_time_between_failures_hours,
        save_seconds=checkpoint_seconds,
        restart_seconds=restart_seconds,
        device=None if gpu is None else _device(gpu),
    )
    if tokens is not None:
        choices["tokens_note"] = ""
    if layout or sequence_parallel is not None:
        choices["choose_layout"] = False
    choices["kernels"] = TRAINER_KERNELS if kernels == "fused" else UNFUSED_KERNELS
    _write([replace(plan, **choices) for plan in _plans(file, preset)], output)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _share(utilization: float | None) -> float | None:
    if utilization is not None and utilization > 1:
        raise typer.BadParameter(
            f"{utilization:g} is more than all of it; write a share such as 0.4", param_hint="--utilization"
        )
    return utilization


def _fail(message: str) -> NoReturn:
    typer.echo(f"pretrain estimate: {message}", err=True)
    raise typer.Exit(1)


def _device(name: str) -> Any:
    from pretrain_api.estimates.devices import DEVICES
    from pretrain_api.validation.suggestions import did_you_mean

    known = {**DEVICES, "a100": DEVICES["a100-80gb"], "v100": DEVICES["v100-32gb"]}
    if name.lower() not in known:
        _fail(f"--gpu: '{name}' is unknown; {did_you_mean(name, DEVICES)} Or give --flops-per-gpu and --memory-gb.")
    return known[name.lower()]


def _plans(file: str | None, preset: str | None) -> list[Any]:
    from pretrain_api.estimates import plan_of_job, plan_of_preset, published_models
    from pretrain_api.validation import validate_file
    from pretrain_api.validation.suggestions import closest

    if (file is None) == (preset is None):
        _fail("give either the file of a PretrainJob or --preset NAME; `pretrain presets` lists the names")
    if preset is not None:
        models = published_models()
        if preset not in models:
            match = closest(preset, models)
            hint = f"did you mean '{match}'?" if match else "`pretrain presets` lists them"
            _fail(f"--preset: '{preset}' is unknown; {hint}")
        return [plan_of_preset(models[preset])]
    assert file is not None
    result = validate_file(file)
    if not result.valid:
        for problem in result.problems:
            typer.echo(f"{file}: {problem}", err=True)
        raise typer.Exit(1)
    try:
        return [plan_of_job(job) for job in result.jobs]
    except ValueError as error:
        _fail(f"{file}: {error}")


def _write(plans: list[Any], output: str) -> None:
    from pretrain_api.estimates import estimate as estimate_plan
    from pretrain_api.estimates import estimate_document

    try:
        estimates = [estimate_plan(plan) for plan in plans]
    except ValueError as error:
        _fail(str(error))
    if output == "json":
        documents = [estimate_document(one) for one in estimates]
        whole = documents[0] if len(documents) == 1 else documents
        typer.echo(json.dumps(whole, ensure_ascii=False, indent=2, allow_nan=False))
        return
    from pretrain_cli.commands.estimate_tables import show

    for one in estimates:
        show(one)
