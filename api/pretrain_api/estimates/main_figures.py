"""The main figures of a job's estimate, as its status has them from the start."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.estimates.devices import DEVICES, Device
from pretrain_api.estimates.estimate import judged
from pretrain_api.estimates.flops import seconds, training_flops
from pretrain_api.estimates.plan import DEFAULT_UTILIZATION, plan_of_job
from pretrain_api.spec.job import PretrainJob, Trainer
from pretrain_api.status import JobEstimate
from pretrain_api.world import processes_per_node

_DEVICE_WORDS = (
    ("b200", "b200"),
    ("h200", "h200"),
    ("h100", "h100"),
    ("a100-sxm4-40gb", "a100-40gb"),
    ("a100-pcie-40gb", "a100-40gb"),
    ("nvidia-tesla-a100", "a100-40gb"),  # Google's name of the 40 GB one
    ("a100", "a100-80gb"),
    ("v100", "v100-32gb"),
    ("l40s", "l40s"),
    ("mi300x", "mi300x"),
)
"""In labels of nodes, such as nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3; the more exact ones first."""


def main_figures(job: PretrainJob) -> JobEstimate | None:
    """Return the figures at the last batch stage; None where the job doesn't train or its size can't be known yet.

    The time is left out where nothing says what the accelerators are.
    """
    try:
        plan = plan_of_job(job)
        chosen = judged(plan)
    except ValueError:
        return None
    flops = training_flops(plan.network, plan.tokens, plan.sequence_length, plan.recompute or "none")
    parameters, active = plan.network.parameters(), plan.network.active_parameters()
    figures = JobEstimate(
        parameters=parameters,
        active_parameters=active if active != parameters else None,
        training_flops=flops.total,
        tokens_per_parameter=round(plan.tokens / active, 3),
        gpus=plan.gpus if processes_per_node(job.spec.trainer) is not None else None,
        memory_bytes_per_gpu=round(chosen.memory.total),
    )
    device = device_of(job.spec.trainer)
    if device is not None and figures.gpus is not None:
        peak = device.peak_flops_per_second(plan.precision)
        figures.gpu, figures.utilization = device.name, DEFAULT_UTILIZATION
        figures.training_seconds = round(seconds(flops.total, plan.gpus, peak, DEFAULT_UTILIZATION))
    return figures


def device_of(trainer: Trainer) -> Device | None:
    """Return the accelerator that the trainer's pods select nodes by; None where they don't say."""
    for label in _selected_labels(trainer):
        for word, name in _DEVICE_WORDS:
            if word in label.lower():
                return DEVICES[name]
    return None


def _selected_labels(trainer: Trainer) -> Iterator[str]:
    spec = trainer.pod_template.get("spec")
    selector = spec.get("nodeSelector") if isinstance(spec, dict) else None
    for name, value in selector.items() if isinstance(selector, dict) else ():
        if "gpu" in str(name) or "accelerator" in str(name):
            yield str(value)
