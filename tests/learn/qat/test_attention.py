"""Attention: the quantised products near the float ones, one token without a softmax."""

import pytest
import torch
from diffusers.models.attention_processor import Attention

from hqdm.learn.qat.attention import OneTokenAttention, Products, check_supported
from hqdm.learn.qat.timestep import Timestep


def heads(seed: int) -> torch.Tensor:
    return torch.randn(2, 3, 16, 8, generator=torch.Generator().manual_seed(seed))


def test_products_at_8_bits_are_near_softmax():
    timestep = Timestep([1])
    products = Products(8, timestep)
    q, k, v = (heads(i) for i in range(3))
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    with timestep.observation():
        torch.testing.assert_close(products(q, k, v, 8 ** -0.5), wanted, atol=1e-5, rtol=0)
    got = products(q, k, v, 8 ** -0.5)
    assert (got - wanted).square().mean() < 1e-3 * wanted.square().mean()
    assert not torch.equal(got, wanted)


def test_weights_of_a_row_add_up_to_one():
    """The sum is of the quantised probabilities, so equal values pass unchanged."""
    products = Products(8, timestep := Timestep([1]))
    v = torch.ones(2, 3, 16, 8)
    with timestep.observation():
        products(heads(1), heads(2), v, 1.0)
    got = products(heads(1), heads(2), v, 1.0)
    torch.testing.assert_close(got.amin(), got.amax(), atol=1e-6, rtol=0)


def test_one_token_equals_attention_with_a_softmax():
    torch.manual_seed(0)
    attention = Attention(query_dim=16, cross_attention_dim=6, heads=2, dim_head=8).eval()
    x, token = torch.randn(2, 9, 16), torch.randn(2, 1, 6)
    wanted = attention(x, encoder_hidden_states=token)
    attention.set_processor(OneTokenAttention())
    attention.to_q = attention.to_k = torch.nn.Identity()
    got = attention(x, encoder_hidden_states=token)
    torch.testing.assert_close(got.expand_as(wanted), wanted)
    with pytest.raises(ValueError, match="wanted one token, as when it was converted, got 2"):
        attention(x, encoder_hidden_states=torch.randn(2, 2, 6))
    with pytest.raises(ValueError, match=r"wanted one token, .* got none"):
        attention(x)


def test_unsupported_options():
    attention = Attention(query_dim=16, heads=2, dim_head=8, qk_norm="layer_norm")
    with pytest.raises(ValueError, match="neither normed nor masked products, got norm_q, norm_k"):
        check_supported(attention)
    with pytest.raises(ValueError, match="got a mask"):
        check_supported(Attention(query_dim=16), torch.ones(1))
