"""Tokens are drawn from the distribution that transformers' processors leave."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_trainer.inference.sampling import SamplingSettings, draw, keep_likeliest

LOGITS = torch.randn(50, generator=torch.Generator().manual_seed(1)) * 3


def of_transformers(logits: torch.Tensor, wanted: SamplingSettings) -> torch.Tensor:
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    processors = [TemperatureLogitsWarper(wanted.temperature)]
    processors += [TopKLogitsWarper(wanted.top_k)] if wanted.top_k else []
    processors += [TopPLogitsWarper(wanted.top_p)] if wanted.top_p < 1 else []
    scores = logits[None]
    for processor in processors:
        scores = processor(torch.zeros((1, 1), dtype=torch.int64), scores)
    return scores[0]


@settings(max_examples=60, deadline=None)
@given(
    temperature=st.floats(0.1, 3),
    top_k=st.integers(0, 60),
    top_p=st.one_of(st.just(1.0), st.floats(0.05, 0.99)),
)
def test_the_distribution_is_that_of_transformers(temperature: float, top_k: int, top_p: float) -> None:
    wanted = SamplingSettings(temperature, top_k, top_p)
    torch.testing.assert_close(keep_likeliest(LOGITS, wanted), of_transformers(LOGITS, wanted))


def test_the_likeliest_token_always_stays() -> None:
    kept = keep_likeliest(LOGITS, SamplingSettings(top_p=0.0))
    assert kept.isfinite().nonzero().tolist() == [[int(LOGITS.argmax())]]


def test_temperature_0_takes_the_likeliest() -> None:
    assert draw(LOGITS, SamplingSettings(temperature=0), torch.Generator()) == int(LOGITS.argmax())


def test_draws_follow_the_probabilities() -> None:
    wanted, generator = SamplingSettings(temperature=1.0, top_k=5), torch.Generator().manual_seed(7)
    count = 4000
    drawn = torch.bincount(torch.tensor([draw(LOGITS, wanted, generator) for _ in range(count)]), minlength=50)
    expected = keep_likeliest(LOGITS, wanted).softmax(0)
    assert (drawn > 0).sum() <= 5
    assert (drawn / count).tolist() == pytest.approx(expected.tolist(), abs=0.035)
