import pytest
import torch

from sklearn_dbt.nn.alignment import _diagonals, _kernels


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (6, 1), (17, 17), (9, 30), (40, 33)])
@pytest.mark.parametrize("band", [None, 6])
@pytest.mark.parametrize("gamma", [1e-3, 5.0])
@pytest.mark.parametrize("ragged", [False, True])
def test_both_engines_agree(n, m, band, gamma, ragged):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, n, generator=generator, dtype=torch.float64)
    y = torch.randn(4, 3, m, generator=generator, dtype=torch.float64)
    lengths_x, lengths_y = torch.full((4,), n), torch.full((4,), m)
    if ragged:
        lengths_x[1:3], lengths_y[2:] = max(1, n // 2), max(1, m - 3)
        x[1, :, lengths_x[1] :] = torch.nan
    batch = (x, y, lengths_x, lengths_y, band, gamma)
    wanted = ({"gradient": True, "by_gamma": True}, {"by_gamma": True}, {"alignment": True}, {})
    for some in wanted:
        for truth, result in zip(
            _diagonals.solve(*batch, **some), _kernels.solve(*batch, **some), strict=True
        ):
            assert truth.numel() == result.numel()
            if truth.numel():
                torch.testing.assert_close(result, truth, rtol=1e-8, atol=1e-10)


def test_dtype_and_nan():
    x = torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(0))
    x[0, 0, 2] = torch.nan
    lengths = torch.tensor([5, 5])
    value, grad, *_ = _diagonals.solve(x, x.roll(1, 2), lengths, lengths, None, 1.0, gradient=True)
    assert value.dtype == grad.dtype == torch.float32
    assert value[0].isnan()
    assert value[1].isfinite()
