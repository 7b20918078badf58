"""The memory estimate against what the trainer's network really keeps for its backward pass."""

from __future__ import annotations

import pytest

from pretrain_api.estimates.activations import (
    TRAINER_KERNELS,
    Microbatch,
    chunk_bytes,
    ends_bytes,
    layer_bytes,
    logits_bytes,
)
from pretrain_api.estimates.families import from_architecture
from pretrain_api.estimates.flops import Recompute
from pretrain_api.presets import architecture
from pretrain_api.spec.model import Model

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")

SIZES = Model(hidden_size=128, intermediate_size=352, num_hidden_layers=6, num_attention_heads=8, vocab_size=512)
SMALL_EXPERTS = {"moe_intermediate_size": 96, "num_local_experts": 8, "num_experts_per_tok": 3}
LATENT = {"kv_lora_rank": 64, "q_lora_rank": 48, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 24}
MODELS = {
    "llama": SIZES.model_copy(update={"num_key_value_heads": 4}),
    "falcon-7b": SIZES.model_copy(update={"family": "falcon", "num_key_value_heads": 1}),
    "falcon-40b": SIZES.model_copy(update={"family": "falcon", "num_key_value_heads": 2}),
    "mixtral": SIZES.model_copy(update={"family": "mixtral"}),
    "deepseek-moe": SIZES.model_copy(update={"family": "deepseek-moe", **SMALL_EXPERTS}),
    "deepseek-v2": SIZES.model_copy(update={"family": "deepseek-v2", **SMALL_EXPERTS, **LATENT}),
    "deepseek-v3": SIZES.model_copy(update={"family": "deepseek-v3", **SMALL_EXPERTS, **LATENT}),
    **{
        family: SIZES.model_copy(update={"family": family}) for family in ("gpt2", "gpt-neox", "opt", "baichuan", "glm")
    },
}
SEQUENCES, LENGTH = 2, 256


def kept_bytes(spec: Model, dtype: str, recompute: Recompute) -> int:
    """Bytes of the distinct storages that autograd saves in a forward pass, parameters and constants aside."""
    from pretrain_trainer.models.families import build_model, initialize

    torch.manual_seed(0)
    model = build_model(spec, 512, LENGTH, recompute)
    initialize(model, 1)
    model = model.to(getattr(torch, dtype)).train()
    tokens = torch.randint(0, 512, (SEQUENCES, LENGTH))
    model(tokens, tokens)  # tables of positions are made here
    ours = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    ours.add(tokens.untyped_storage().data_ptr())
    turned = model.rotary.head_size if hasattr(model, "rotary") else 0
    saved: dict[int, int] = {}
    alive = []

    def pack(tensor):
        storage = tensor.untyped_storage()
        is_constant = tensor.shape == (LENGTH, turned)
        if storage.data_ptr() not in ours and not is_constant:
            saved[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(tokens, tokens)
    assert loss.isfinite()
    return sum(saved.values())


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
@pytest.mark.parametrize(("dtype", "value_bytes"), [("bfloat16", 2), ("float32", 4)])
def test_kept_bytes(family: str, dtype: str, value_bytes: int, recompute: Recompute) -> None:
    network = from_architecture(architecture(MODELS[family]), positions=LENGTH)
    batch = Microbatch(LENGTH, SEQUENCES, value_bytes)
    layers = sum(
        group.count * layer_bytes(network, group, batch, TRAINER_KERNELS, recompute) for group in network.layers
    )
    # What is there while the loss is computed, but gone when the forward pass ends: the chunk's logits, the FP32 copy
    # of the projection's gradient, the projection's input.
    loss = logits_bytes(network, batch, TRAINER_KERNELS) - chunk_bytes(network, batch)
    loss -= value_bytes * batch.tokens * network.hidden_size
    loss -= 4 * network.embedding_size if value_bytes == 2 else 0
    expected = layers + ends_bytes(network, batch, TRAINER_KERNELS) + loss
    assert kept_bytes(MODELS[family], dtype, recompute) == pytest.approx(expected, rel=0.005)
