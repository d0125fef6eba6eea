import pytest
import torch

from sklearn_dbt.nn.alignment._band import admitted, least_band


def has_path(inside):
    """Whether steps (1, 0), (0, 1), (1, 1) join the corners of a boolean matrix."""
    n, m = inside.shape
    reached = torch.zeros(n + 1, m + 1, dtype=torch.bool)
    reached[0, 0] = True
    for i in range(n):
        for j in range(m):
            before = reached[i, j] | reached[i, j + 1] | reached[i + 1, j]
            reached[i + 1, j + 1] = inside[i, j] & before
        reached[0, 0] = False
    return bool(reached[n, m])


def mask(n, m, band):
    return admitted(torch.tensor([n]), torch.tensor([m]), n, m, band)[0]


def test_least_band_is_the_least_with_a_path():
    for n in range(1, 14):
        for m in range(1, 14):
            least = least_band(n, m)
            assert has_path(mask(n, m, least))
            assert least == least_band(m, n)
            if least > 0:
                assert not has_path(mask(n, m, least - 1))


@pytest.mark.parametrize("band", range(4))
def test_equal_lengths_have_the_classical_band(band):
    i = torch.arange(9)
    assert torch.equal(mask(9, 9, band), (i[:, None] - i).abs() <= band)


@pytest.mark.parametrize(("n", "m"), [(12, 5), (5, 12), (9, 8), (1, 6), (6, 1), (7, 7)])
@pytest.mark.parametrize("band", [1, 2, 3])
def test_band_is_a_distance_along_the_longer_series(n, m, band):
    inside = mask(n, m, band)
    assert torch.equal(inside, mask(m, n, band).T)
    assert torch.equal(inside, inside.flip(0, 1))
    if min(n, m) == 1:
        assert inside.all()
        return
    rows, short = (inside, m) if n >= m else (inside.T, n)
    centre = torch.arange(short) * (max(n, m) - 1) / (short - 1)
    distance = (torch.arange(max(n, m))[:, None] - centre).abs()
    assert torch.equal(rows, distance <= band + 1e-6)


def test_lengths_of_a_batch():
    inside = admitted(torch.tensor([4, 6]), torch.tensor([5, 2]), 6, 5, 2)
    assert torch.equal(inside[0, :4, :5], mask(4, 5, 2))
    assert torch.equal(inside[1, :6, :2], mask(6, 2, 2))
    assert inside.sum() == mask(4, 5, 2).sum() + mask(6, 2, 2).sum()
