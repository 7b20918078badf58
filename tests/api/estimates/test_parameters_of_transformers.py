"""Parameter counts of small networks of each family against the classes of transformers, on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pretrain_api.estimates import families
from pretrain_api.estimates.deepseek import deepseek_moe
from pretrain_api.estimates.layers import Attention, Experts, FeedForward, LatentAttention
from pretrain_api.estimates.network import Network

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LLAMA_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}
DEEPSEEK_SIZES = LLAMA_SIZES | {
    "num_key_value_heads": 8,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 8,
    "v_head_dim": 10,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 40,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "pad_token_id": None,
}


def count(class_name: str, config_name: str, **sizes: Any) -> int:
    config = getattr(transformers, config_name)(**sizes)
    with torch.device("meta"):
        model = getattr(transformers, class_name)(config)
    return sum(parameter.numel() for parameter in model.parameters())


def deepseek() -> Network:
    return deepseek_moe(
        64,
        3,
        LatentAttention(8, 16, 12, 8, 10, query_rank=24),
        Experts(8, 2, FeedForward(40), shared=FeedForward(40)),
        dense_layers=1,
        dense_intermediate_size=176,
        vocab_size=1000,
    )


CASES: dict[str, tuple[Callable[[], Network], str, str, dict[str, Any]]] = {
    "llama": (
        lambda: families.llama(64, 176, 3, 8, 2, vocab_size=1000),
        "LlamaForCausalLM",
        "LlamaConfig",
        LLAMA_SIZES | {"tie_word_embeddings": False},
    ),
    "llama-tied": (
        lambda: families.llama(64, 176, 3, 8, 2, vocab_size=1000, tied=True, head_dim=16),
        "LlamaForCausalLM",
        "LlamaConfig",
        LLAMA_SIZES | {"tie_word_embeddings": True, "head_dim": 16},
    ),
    "qwen": (
        lambda: families.llama(64, 176, 3, 8, 2, vocab_size=1000, query_key_value_bias=True),
        "Qwen2ForCausalLM",
        "Qwen2Config",
        LLAMA_SIZES | {"tie_word_embeddings": False},
    ),
    "gpt2": (
        lambda: families.gpt2(64, 3, 8, positions=128, vocab_size=1000),
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_embd": 64, "n_layer": 3, "n_head": 8, "n_positions": 128, "vocab_size": 1000},
    ),
    "opt": (
        lambda: families.opt(64, 3, 8),
        "OPTForCausalLM",
        "OPTConfig",
        {
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 8,
            "ffn_dim": 256,
            "word_embed_proj_dim": 64,
        },
    ),
    "bloom": (
        lambda: families.bloom(64, 3, 8, vocab_size=1000),
        "BloomForCausalLM",
        "BloomConfig",
        {"hidden_size": 64, "n_layer": 3, "n_head": 8, "vocab_size": 1000},
    ),
    "bert": (
        lambda: families.bert(64, 3, 8),
        "BertForPreTraining",
        "BertConfig",
        {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 8, "intermediate_size": 256},
    ),
    "t5-1.0": (
        lambda: families.t5(64, 176, 3, 8, head_dim=16),
        "T5ForConditionalGeneration",
        "T5Config",
        {"d_model": 64, "d_ff": 176, "num_layers": 3, "num_heads": 8, "d_kv": 16},
    ),
    "t5-1.1": (
        # Recent T5Config ties what is being built; the published counts check the projection of its own.
        lambda: replace(families.t5(64, 176, 3, 8, head_dim=16, version="1.1"), tied=True),
        "T5ForConditionalGeneration",
        "T5Config",
        {
            "d_model": 64,
            "d_ff": 176,
            "num_layers": 3,
            "num_heads": 8,
            "d_kv": 16,
            "feed_forward_proj": "gated-gelu",
        },
    ),
    "mixtral": (
        lambda: families.mixtral(64, 176, 3, 8, 2, vocab_size=1000),
        "MixtralForCausalLM",
        "MixtralConfig",
        LLAMA_SIZES | {"tie_word_embeddings": False},
    ),
    "falcon-multi-query": (
        lambda: families.falcon(64, 3, 8, 1, norms=1),
        "FalconForCausalLM",
        "FalconConfig",
        {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 8, "vocab_size": 65_024},
    ),
    "falcon-grouped": (
        lambda: families.falcon(64, 3, 8, 2),
        "FalconForCausalLM",
        "FalconConfig",
        {
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 8,
            "num_kv_heads": 2,
            "new_decoder_architecture": True,
            "vocab_size": 65_024,
        },
    ),
    "gpt-neox": (
        lambda: families.gpt_neox(64, 3, 8, vocab_size=1000),
        "GPTNeoXForCausalLM",
        "GPTNeoXConfig",
        {
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 8,
            "intermediate_size": 256,
            "vocab_size": 1000,
            "tie_word_embeddings": False,
        },
    ),
    "deepseek-latent-attention": (deepseek, "DeepseekV2ForCausalLM", "DeepseekV2Config", DEEPSEEK_SIZES),
}


@pytest.mark.parametrize("case", CASES)
def test_count(case: str) -> None:
    network, class_name, config_name, sizes = CASES[case]
    assert network().parameters() == count(class_name, config_name, **sizes)


def test_plain_attention_of_deepseek_moe() -> None:
    experts = Experts(4, 2, FeedForward(40), shared=FeedForward(80))
    network = deepseek_moe(
        64, 3, Attention(8, 8, 8), experts, dense_layers=1, dense_intermediate_size=176, vocab_size=1000
    )
    dense = families.llama(64, 176, 1, 8, vocab_size=1000).parameters()
    layer = 4 * 64 * 64 + (4 * 40 + 80) * 3 * 64 + 4 * 64 + 2 * 64
    assert network.parameters() == dense + 2 * layer
    assert network.active_parameters() == network.parameters() - 2 * 2 * 3 * 64 * 40
