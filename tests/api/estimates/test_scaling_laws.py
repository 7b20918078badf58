"""Scaling laws against the papers' own figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.estimates.scaling_laws import (
    Allocation,
    chinchilla_loss,
    chinchilla_optimum,
    kaplan_loss,
    kaplan_loss_of_parameters,
    kaplan_loss_of_tokens,
    twenty_tokens_per_parameter,
)


def test_kaplan() -> None:
    # A network of Nc parameters, or a corpus of Dc tokens, has a loss of 1 by definition (equations 1.1 and 1.2).
    assert kaplan_loss_of_parameters(8.8e13) == 1.0
    assert kaplan_loss_of_tokens(5.4e13) == 1.0
    assert kaplan_loss_of_parameters(1.5e9) == pytest.approx(2.304, abs=0.005)
    assert kaplan_loss(1.5e9, 1e30) == pytest.approx(kaplan_loss_of_parameters(1.5e9), rel=1e-6)
    assert kaplan_loss(1e40, 1e10) == pytest.approx(kaplan_loss_of_tokens(1e10), rel=1e-6)


def test_chinchilla_and_gopher() -> None:
    # Hoffmann et al. 2022: 70B parameters and 1.4T tokens beat Gopher's 280B and 300B tokens at the same budget.
    chinchilla, gopher = chinchilla_loss(70e9, 1.4e12), chinchilla_loss(280e9, 300e9)
    assert chinchilla == pytest.approx(1.9364, abs=1e-3)
    assert gopher == pytest.approx(1.9933, abs=1e-3)
    assert pytest.approx(5.88e23) == 6 * 70e9 * 1.4e12


def test_rule_of_twenty_gives_chinchilla() -> None:
    rule = twenty_tokens_per_parameter(5.88e23)
    assert rule.parameters == pytest.approx(70e9)
    assert rule.tokens == pytest.approx(1.4e12)


@given(flops=st.floats(1e17, 1e27), factor=st.floats(0.2, 5))
def test_optimum_is_least(flops: float, factor: float) -> None:
    best = chinchilla_optimum(flops)
    assert 6 * best.parameters * best.tokens == pytest.approx(flops)
    other = Allocation(best.parameters * factor, best.tokens / factor)
    least = chinchilla_loss(best.parameters, best.tokens)
    assert least <= chinchilla_loss(other.parameters, other.tokens) + 1e-12
