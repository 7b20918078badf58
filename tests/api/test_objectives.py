import pytest

from pretrain_api.objectives import ModelKind, denoisers_of, noise_counts, num_sentinels, reserved_tokens, sample_shape
from pretrain_api.spec.objective import Objective


def test_span_corruption_takes_the_text_that_t5_takes() -> None:
    """Raffel et al. 2020: sequences of 512 take 568 tokens of text and have 114 targets."""
    shape = sample_shape(Objective(type="span-corruption"), "encoder-decoder", 512)
    assert (shape.window, shape.inputs, shape.targets) == (568, 512, 114)


@pytest.mark.parametrize("kind", ["encoder-decoder", "decoder"])
@pytest.mark.parametrize("length", [16, 128, 512, 2048])
@pytest.mark.parametrize("kind_of_noise", ["span-corruption", "mixture-of-denoisers"])
def test_corrupted_text_and_targets_fit(kind: ModelKind, length: int, kind_of_noise: str) -> None:
    objective = Objective.model_validate({"type": kind_of_noise})
    shape = sample_shape(objective, kind, length)
    mode = kind_of_noise == "mixture-of-denoisers"
    for denoiser in denoisers_of(objective.parts[0]):
        noise, spans = noise_counts(shape.window, denoiser)
        kept = shape.window - (1 if denoiser.mode == "S" else noise)
        assert mode + kept + spans + (kind == "encoder-decoder") <= length
        assert noise + spans + 1 <= shape.targets
        if kind == "decoder":
            assert mode + shape.window + 2 * spans + 1 <= length + 1


def test_long_sequences_need_many_sentinels() -> None:
    part = Objective(type="span-corruption").parts[0]
    assert num_sentinels(part, "encoder-decoder", 512) == 28
    assert num_sentinels(part, "encoder-decoder", 2048) == 114


def test_reserved_tokens_are_those_of_the_objective() -> None:
    assert reserved_tokens(Objective(), "decoder", 128) == ()
    assert reserved_tokens(Objective(type="masked-lm"), "encoder", 128) == ("[CLS]", "[SEP]", "[MASK]")
    mixture = Objective.model_validate({"type": "mixture-of-denoisers", "denoisers": [{"mode": "S", "rate": 0.25}]})
    assert reserved_tokens(mixture, "decoder", 128) == ("[S]", "<extra_id_0>")


def test_a_mixture_takes_the_text_of_its_most_frugal_part() -> None:
    parts = [{"type": "causal-lm"}, {"type": "span-corruption"}]
    mixture = Objective.model_validate({"type": "mixture", "mixture": parts})
    alone = Objective(type="span-corruption")
    assert sample_shape(mixture, "decoder", 128).window == sample_shape(alone, "decoder", 128).window < 128
