import math

import pytest
import torch

from sklearn_dbt.nn.dropout import (
    EnsembleDropout,
    TransformDropout,
    effective_regularization,
    spectrum_diagnostics,
)


def test_white_spectrum_has_full_rank():
    layer = TransformDropout(8, "dct", "index", p=0.3)
    layer.observe(torch.eye(8))
    numbers = spectrum_diagnostics(layer, n_samples=32)
    assert numbers["effective_rank"] == pytest.approx(8, rel=1e-4)
    assert numbers["rank_rate"] == pytest.approx(0.5, rel=1e-4)
    assert numbers["kept_information"] + numbers["dropped_information"] == pytest.approx(
        math.log(8), rel=1e-4
    )
    assert numbers["dropped_information"] == pytest.approx(0.3 * math.log(8), rel=1e-3)
    assert numbers["dropped_energy"] == pytest.approx(0.3, rel=1e-3)
    assert "rank_rate" not in spectrum_diagnostics(layer)


def test_complex_coefficients_count_twice():
    layer = TransformDropout(8, "fourier", "uniform")
    layer.observe(torch.eye(8))  # equal energy per sample, twice as much in the inner bins
    expected = torch.tensor([1.0, 2, 2, 2, 1]) / 8
    rank = float((-expected * expected.log()).sum().exp())
    assert spectrum_diagnostics(layer)["effective_rank"] == pytest.approx(rank, rel=1e-4)


@pytest.mark.parametrize("policy", ["energy", "sample_energy"])
@pytest.mark.parametrize("basis", ["fourier", "pca"])
def test_effective_regularization_is_rate_times_variance(policy, basis):
    g = torch.Generator().manual_seed(0)
    x = 3 + torch.randn(400, 2, 8, generator=g) * torch.arange(1, 9)
    layer = TransformDropout(8, basis, policy, p=0.4, seed=0)
    layer.observe(x)
    c = layer.basis.analysis(x).flatten(0, 1)
    variance = (c - c.mean(0)).abs().double().square().mean(0)
    expected = layer.rates.double() * variance
    strength = effective_regularization(layer)
    torch.testing.assert_close(strength, expected, rtol=1e-4, atol=1e-6)
    total = spectrum_diagnostics(layer)["total_regularization"]
    weighted = layer.basis.layout.weight.double() @ expected
    assert total == pytest.approx(float(weighted), rel=1e-4)
    over_samples = effective_regularization(layer, x)
    mean = layer._rates_for(layer.basis.analysis(x)).double()
    mean = mean.flatten(0, 1).mean(0) if policy == "sample_energy" else mean
    torch.testing.assert_close(over_samples, mean * variance, rtol=1e-4, atol=1e-6)
    assert (policy == "energy") == torch.equal(over_samples, strength)


def test_small_rates_are_a_ridge_of_that_strength():
    # Squared loss of a linear layer on zero-mean coefficients: the masks add p/(1-p) E[c²] w².
    g = torch.Generator().manual_seed(0)
    x = torch.randn(5000, 4, generator=g, dtype=torch.float64) * torch.tensor([1.0, 2.0, 3.0, 4.0])
    layer = TransformDropout(4, "dct", "uniform", p=0.01, p_zero=0.0, seed=0)
    layer.observe(x - x.mean(0))
    c = layer.basis.analysis(x - x.mean(0))
    w = torch.randn(4, generator=g, dtype=torch.float64)
    p = layer.rates.double()
    added = (p / (1 - p) * c.square().mean(0) * w.square()).sum()  # variance of Σ w c m / (1 - p)
    ridge = effective_regularization(layer) @ w.square()
    assert float(ridge / added) == pytest.approx(1 - 0.01, rel=1e-4)


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="effective_regularization: the layer has not observed"):
        effective_regularization(TransformDropout(8))
    layer = TransformDropout(8)
    with pytest.raises(ValueError, match="has not observed anything"):
        spectrum_diagnostics(layer)
    layer.observe(torch.eye(8))
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        spectrum_diagnostics(layer, 0)


@pytest.mark.parametrize("diagnose", [effective_regularization, spectrum_diagnostics])
def test_what_is_no_single_layer_raises(diagnose):
    name = diagnose.__name__
    for wrong in (EnsembleDropout([TransformDropout(8)]), torch.nn.Dropout()):
        got = type(wrong).__name__
        message = f"{name}: layer must be a TransformDropout, got {got}"
        with pytest.raises(TypeError, match=message):
            diagnose(wrong)
    with pytest.raises(TypeError, match=r"its `members`"):
        diagnose(EnsembleDropout([TransformDropout(8)]))
