"""What positions see: prefixes and documents, in every decoder."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import DECODERS, LENGTH, numbers, stirred, tiny
from torch import Tensor

from pretrain_trainer.models.attention import CAUSAL, decoder_view, padding_view
from pretrain_trainer.models.network import Network


def influence(network: Network, place: int, **options: Tensor) -> list[int]:
    """Return the positions whose logits change with the token at `place` of the first sample."""
    tokens = numbers(2, LENGTH)
    changed = tokens.clone()
    changed[0, place] = (changed[0, place] + 1) % 50
    with torch.no_grad():
        difference = (network(tokens, **options) - network(changed, **options))[0].abs().amax(-1)
    return torch.nonzero(difference > 1e-6).flatten().tolist()


@pytest.mark.parametrize("family", DECODERS)
def test_a_prefix_is_seen_by_all(family: str) -> None:
    network = stirred(tiny(family)).eval()
    prefixes = torch.tensor([10, 3])
    assert influence(network, 9, prefix_lengths=prefixes) == list(range(LENGTH))
    assert influence(network, 10, prefix_lengths=prefixes) == list(range(10, LENGTH))
    assert influence(network, 20, prefix_lengths=prefixes) == list(range(20, LENGTH))


@pytest.mark.parametrize("family", DECODERS)
def test_a_prefix_of_one_token_is_causal(family: str) -> None:
    network = stirred(tiny(family)).eval()
    with torch.no_grad():
        found = network(numbers(2, LENGTH), prefix_lengths=torch.tensor([1, 0]))
        torch.testing.assert_close(found, network(numbers(2, LENGTH)))


@pytest.mark.parametrize("family", DECODERS)
def test_documents_do_not_see_each_other(family: str) -> None:
    """A packed document has the logits it has alone."""
    network, cut = stirred(tiny(family)).eval(), 12
    place = torch.arange(LENGTH)
    documents = (place >= cut).long().expand(2, -1)
    positions = torch.where(place >= cut, place - cut, place).expand(2, -1)
    tokens = numbers(2, LENGTH)
    with torch.no_grad():
        packed = network(tokens, document_ids=documents, position_ids=positions)
        torch.testing.assert_close(packed[:, :cut], network(tokens[:, :cut]))
        torch.testing.assert_close(packed[:, cut:], network(tokens[:, cut:]))
    assert influence(network, 3, document_ids=documents, position_ids=positions) == list(range(3, cut))


def test_no_mask_is_made_where_none_is_needed() -> None:
    assert decoder_view(numbers(2, LENGTH)) is CAUSAL
    assert decoder_view(numbers(2, LENGTH), torch.tensor([1, 2])).mask is not None


def test_padding_is_hidden_but_for_a_first_token() -> None:
    mask = padding_view(torch.tensor([[1, 1, 0], [0, 0, 0]])).mask
    assert mask is not None
    assert mask[:, 0, 0].tolist() == [[True, True, False], [True, False, False]]
