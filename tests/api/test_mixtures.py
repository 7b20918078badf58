"""Documented mixtures: their tables, and what they make of a job's sources."""

from __future__ import annotations

import pytest

from pretrain_api.mixtures import MIXTURES, with_mixture
from pretrain_api.spec.data import Data


@pytest.mark.parametrize(
    ("name", "total"), [("llama", 100), ("llama-paper", 100), ("gpt-3", 101), ("gopher", 100), ("the-pile", 100)]
)
def test_shares_add_up_as_published(name: str, total: float) -> None:
    assert sum(part.weight for part in MIXTURES[name].values()) == pytest.approx(total, abs=0.05)


def test_llama_passes_over_its_sources() -> None:
    """The published passes, for 1.4 T tokens, and sizes that they imply (Touvron et al. 2023, table 1)."""
    assert MIXTURES["llama"]["wikipedia"] == (4.5, 2.0)
    assert MIXTURES["llama-paper"]["github"] == (4.5, 0.64)
    # 300 B tokens: 410 B of filtered Common Crawl are passed over 0.44 times.
    part = MIXTURES["gpt-3"]["commoncrawl"]
    assert 300 * part.weight / 100 / 410 == pytest.approx(part.epochs, abs=0.005)


def test_sources_get_weights_and_epochs() -> None:
    data = Data.model_validate(
        {
            "sources": [{"name": "web", "uri": "a"}, {"name": "wiki", "uri": "b", "epochs": 3.0}],
            "mixture": {"preset": "llama", "sources": {"commoncrawl": "web", "wikipedia": "wiki"}},
        }
    )
    assert [(source.weight, source.epochs) for source in with_mixture(data).sources] == [(67.0, 1.0), (4.5, 3.0)]
    plain = data.model_copy(update={"mixture": None})
    assert with_mixture(plain) is plain


def test_names_of_the_mixture_are_names_of_sources() -> None:
    sources = [{"name": name, "uri": name} for name in ("books", "c4")]
    data = Data.model_validate({"sources": sources, "mixture": {"preset": "gopher"}})
    assert [source.weight for source in with_mixture(data).sources] == [27.0, 10.0]
