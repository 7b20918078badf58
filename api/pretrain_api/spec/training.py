"""`spec.training`, `spec.checkpoint` and `spec.stability`: how the network learns and stays well."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.quantities import PositiveTokenCount, TokenCount
from pretrain_api.spec.base import (
    Boolean,
    Fraction,
    Name,
    NonNegativeInteger,
    NonNegativeNumber,
    PositiveInteger,
    PositiveNumber,
    SpecModel,
    Text,
)

Beta = Annotated[float, Field(strict=True, ge=0, lt=1)]


class BatchStage(SpecModel):
    """A stretch of training with one batch size."""

    tokens: PositiveTokenCount = Field(examples=["256Ki"])
    """Tokens a batch: a multiple of microBatchSize x data-parallel ranks x sequenceLength."""
    from_: TokenCount = Field(alias="from", examples=[0])
    """Where the stage starts, in consumed tokens; the first starts at 0."""
    num_nodes: Annotated[PositiveInteger, Field(le=100_000)] | None = None
    """Number of trainer pods in this stage; default: spec.trainer.numNodes."""


class Batch(SpecModel):
    """The batch size over training (GPT-3, table 2.1 and appendix B: 32 K to 3.2 M tokens)."""

    stages: Annotated[tuple[BatchStage, ...], Field(min_length=1, max_length=100)] = Field(
        examples=[[{"tokens": "256Ki", "from": 0}]]
    )
    """Stages in the order of their start; the last one lasts to the end."""


class LearningRate(SpecModel):
    """Linear warm-up, then decay to a floor; measured in tokens, so that batch stages don't bend it."""

    peak: Annotated[float, Field(strict=True, gt=0, lt=1)] = Field(examples=[3e-4])
    """Learning rate at the end of the warm-up."""
    warmup_tokens: TokenCount = 0
    """Length of the linear warm-up."""
    decay: Literal["cosine", "linear", "constant", "inverse-sqrt", "wsd"] = "cosine"
    """Shape after the warm-up. inverse-sqrt falls as the root of warmupTokens / tokens (Raffel et al. 2020, section
    3.1.2); wsd stays at the peak and is annealed at the end (Hu et al. 2024, section 4.2)."""
    decay_tokens: PositiveTokenCount | None = None
    """Where the floor is reached, counted from the start; default: training.tokens."""
    floor: Fraction = 0.1
    """Learning rate at the end, as a share of the peak; of inverse-sqrt the least."""
    anneal_tokens: PositiveTokenCount | None = None
    """Length of the last part of wsd, in which the rate falls; default: a tenth of decayTokens (Hu et al. 2024)."""
    anneal_shape: Literal["linear", "cosine", "1-sqrt"] | None = None
    """How the rate falls in the last part of wsd; default: linear. 1-sqrt: as 1 minus the root of the part that is over
    (Hägele et al. 2024, section 3.2)."""
    batch_scaling: Literal["none", "sqrt", "linear"] = "none"
    """Growth of the rate with the batch of a stage, relative to the first stage: by the root of the ratio (Adam:
    Malladi et al. 2022) or by the ratio (SGD: Goyal et al. 2017)."""


class Optimizer(SpecModel):
    """The optimiser. Weight decay applies to matrices only."""

    type: Literal["adamw", "adam", "sgd", "normalized-gradient", "adafactor", "lion", "muon"] = "adamw"
    """Kind of optimiser: AdamW (Loshchilov and Hutter 2019), Adam (Kingma and Ba 2015), gradient descent with momentum,
    the same with each gradient divided by its global norm, Adafactor (Shazeer and Stern 2018), Lion (Chen et al. 2023),
    or Muon for the matrices inside the network with AdamW for the rest (Jordan et al. 2024). Adafactor and Muon look at
    whole matrices: with them parallelism.zero is 0."""
    betas: tuple[Beta, Beta] | None = None
    """Decay of the first and second moment; default: [0.9, 0.95], of lion [0.9, 0.99]."""
    momentum: Beta | None = None
    """Decay of the momentum of sgd and normalized-gradient (default 0.9) and of muon (default 0.95)."""
    eps: Annotated[float, Field(strict=True, gt=0, lt=0.01)] = 1e-8
    """Term added to the denominator."""
    weight_decay: Fraction = 0.1
    """Weight decay: decoupled from the gradient, but for adam, sgd and normalized-gradient."""

    @property
    def moment_decay(self) -> tuple[float, float]:
        """`betas`, or their default."""
        return self.betas or ((0.9, 0.99) if self.type == "lion" else (0.9, 0.95))

    @property
    def momentum_decay(self) -> float:
        """`momentum`, or its default."""
        if self.momentum is not None:
            return self.momentum
        return 0.95 if self.type == "muon" else 0.9


class Parallelism(SpecModel):
    """How the model is divided; what remains of the world is data parallelism."""

    tensor: PositiveInteger = 1
    """Ranks that share each matrix."""
    pipeline: PositiveInteger = 1
    """Ranks that share the layers."""
    expert: PositiveInteger = 1
    """Ranks that share the experts."""
    zero: Annotated[NonNegativeInteger, Field(le=3)] = 1
    """ZeRO stage: what is sharded over the data-parallel ranks (Rajbhandari et al. 2020)."""
    offload: Literal["none", "cpu", "nvme"] = "none"
    """Where optimiser states live."""


class Samples(SpecModel):
    """Text the finished model writes, for a first look."""

    count: Annotated[NonNegativeInteger, Field(le=100)] = 3
    """Number of samples."""
    prompts: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """Beginnings to continue; default: beginnings of validation documents."""
    new_tokens: Annotated[PositiveInteger, Field(le=100_000)] = 80
    """Length of a continuation in tokens."""
    temperature: NonNegativeNumber = 0.8
    """Softmax temperature; 0 takes the likeliest token."""


class MultipleChoice(SpecModel):
    """A file of questions with several answers."""

    name: Name = Field(examples=["science"])
    """Name of the file in the results, unique within the job."""
    uri: Text = Field(examples=["evaluation/science.jsonl"])
    """JSON lines, each {"question": …, "choices": […], "answer": index}; a local path or URL."""


class Evaluation(SpecModel):
    """Validation loss and answers to questions, during and after training."""

    every_tokens: PositiveTokenCount | None = None
    """Distance between evaluations; default: at the end only."""
    max_sequences: PositiveInteger = 256
    """Most validation sequences a source and evaluation."""
    samples: Samples = Samples()
    """Text samples at the end."""
    multiple_choice: Annotated[tuple[MultipleChoice, ...], Field(max_length=20)] = ()
    """Questions that the model answers at each evaluation: accuracy, and accuracy by likelihood a character, as
    EleutherAI's lm-evaluation-harness counts them. Of decoders."""


class Training(SpecModel):
    """How the network learns."""

    tokens: PositiveTokenCount = Field(examples=["1.4T"])
    """Length of training in consumed tokens."""
    sequence_length: Annotated[PositiveInteger, Field(ge=8, le=16_777_216)] = 2048
    """Tokens a sequence."""
    micro_batch_size: Annotated[PositiveInteger, Field(le=1_000_000)] = 1
    """Sequences a rank computes at a time."""
    batch: Batch = Field(examples=[{"stages": [{"tokens": "256Ki", "from": 0}]}])
    """Batch size over training."""
    learning_rate: LearningRate = Field(examples=[{"peak": 3e-4}])
    """Learning rate over training."""
    optimizer: Optimizer = Optimizer()
    """The optimiser."""
    gradient_clip: NonNegativeNumber = 1.0
    """Greatest global norm of the gradient; 0: no clipping."""
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "bf16"
    """Number format of weights and activations; optimiser states are FP32."""
    parallelism: Parallelism = Parallelism()
    """How the model is divided."""
    activation_checkpointing: Literal["none", "selective", "full"] = "none"
    """Recomputation of activations in the backward pass: selective recomputes attention only."""
    compile: Boolean = False
    """Compile layers and loss by torch.compile: a third faster, with a fifth less memory, on a GPU
    (benchmarks/results/gpu.md), after a first step that takes some seconds longer. The trainer's image needs a C
    compiler for it."""
    seed: NonNegativeInteger = 1234
    """Seed of weights, data order and everything else that is random."""
    evaluation: Evaluation = Evaluation()
    """Validation loss and samples."""


class Checkpoint(SpecModel):
    """When checkpoints are saved, and which of them stay."""

    every_steps: PositiveInteger | None = 500
    """Distance in steps; null: by time alone."""
    every_minutes: PositiveNumber | None = 30.0
    """Distance in time; null: by steps alone."""
    keep_last: PositiveInteger = 3
    """Newest checkpoints to keep; the newest healthy one always stays."""
    keep_every_steps: PositiveInteger | None = None
    """Checkpoints at multiples of this stay for good."""
    async_: Boolean = Field(default=True, alias="async")
    """Write in the background; the step loop waits for the copy to host memory only."""


class Spike(SpecModel):
    """When a loss or gradient norm counts as a spike."""

    window: Annotated[PositiveInteger, Field(ge=8, le=100_000)] = 128
    """Accepted steps the statistics are taken over."""
    threshold: Annotated[float, Field(strict=True, ge=1)] = 6.0
    """Deviations from the baseline that make a spike (OLMo-core: 6)."""
    warmup_steps: NonNegativeInteger = 100
    """Steps before the detector judges; NaN and infinity are noticed always."""
    healthy_after_steps: PositiveInteger = 50
    """Clean steps after which a checkpoint counts as healthy."""


class Rollback(SpecModel):
    """What a rollback skips, and how often it is tried."""

    skip_sequences: Literal["auto"] | PositiveInteger = "auto"
    """Sequences to skip from the onset; auto: what was read between onset and detection, more each time it repeats."""
    max_rollbacks: NonNegativeInteger = 20
    """Rollbacks after which the job fails (PaLM, section 5.1: about 20 a run)."""
    learning_rate_factor: Annotated[float, Field(strict=True, gt=0, le=1)] = 1.0
    """Factor on the learning rate after each rollback."""


class Stability(SpecModel):
    """What is done when training goes wrong."""

    spike: Spike = Spike()
    """When something counts as a spike."""
    on_spike: Literal["rollback", "skip-step", "pause", "ignore"] = "rollback"
    """What a spike leads to."""
    rollback: Rollback = Rollback()
    """How a rollback is done."""
    hang_timeout_seconds: PositiveNumber = 600.0
    """Time without a step after which processes are restarted."""
