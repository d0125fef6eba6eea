import math

import pytest
import torch

from sklearn_dbt.nn.dropout import TransformDropout, spectrum_diagnostics


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


def test_wrong_arguments_raise():
    layer = TransformDropout(8)
    with pytest.raises(ValueError, match="has not observed anything"):
        spectrum_diagnostics(layer)
    layer.observe(torch.eye(8))
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        spectrum_diagnostics(layer, 0)
