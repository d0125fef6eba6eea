import pytest
import torch

from sklearn_dbt.nn.trust_region import stationarity
from sklearn_dbt.nn.trust_region._group import (
    RateGroup,
    distance,
    mean_rate,
    n_rates,
)


class Sampled:
    """Rates that differ between the samples of the probe."""

    def __init__(self, omega):
        self.omega = torch.as_tensor(omega, dtype=torch.float32)

    def get_omega(self):
        return self.omega.clone()

    def set_omega(self, omega):
        self.omega.copy_(omega)

    def rate_bounds(self):
        return 0.0, 0.9

    def rates_at(self, omega, probe, snapshot, *, smooth=False):
        rates = 0.9 * torch.sigmoid(omega[0] * probe.to(omega) + omega[1] + snapshot)
        return rates if smooth else torch.where(rates < 0.05, 0.0, rates)


@pytest.fixture
def group(plain_layer):
    probe = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    return RateGroup(
        [plain_layer([0.1, 0.5, 0.9], sigmoid=True), Sampled([1.0, -1.0])], [None, probe]
    )


SNAPSHOTS = [torch.zeros(()), torch.zeros(())]


def test_flat_vectors_are_what_the_layers_store(group):
    omega = group.omega
    assert omega.dtype == torch.float64
    assert omega.tolist() == pytest.approx([0.1, 0.5, 0.9, 1.0, -1.0])
    third = torch.full((5,), 1 / 3, dtype=torch.float64)
    assert group.rounded(third)[:3].tolist() == [1 / 3] * 3
    assert group.rounded(third)[3:].tolist() == [float(torch.tensor(1 / 3))] * 2
    group.set_omega(third)
    assert torch.equal(group.omega, group.rounded(third))
    assert [part.dtype for part in group.split(third)] == [torch.float64, torch.float32]


def test_distance_is_the_definition(group):
    omega = group.omega
    a, b = group.rates(omega, SNAPSHOTS), group.rates(omega + 0.3, SNAPSHOTS)
    assert [tuple(r.shape) for r in a] == [(1, 3), (7, 5)]
    total = sum((x - y) ** 2 for x, y in zip(a[0][0].tolist(), b[0][0].tolist(), strict=True))
    for row, other in zip(a[1].tolist(), b[1].tolist(), strict=True):
        total += sum((x - y) ** 2 for x, y in zip(row, other, strict=True)) / 7
    assert distance(a, b) == pytest.approx(total**0.5)
    assert distance(a, a) == 0
    assert n_rates(a) == 8
    expected = (float(a[0].sum()) + float(a[1].mean(0).sum())) / 8
    assert mean_rate(a) == pytest.approx(expected)


def scaled(group, omega):
    rates = group.rates(omega, SNAPSHOTS, smooth=True)
    return torch.cat([(r / len(r) ** 0.5).flatten() for r in rates])


def test_the_jacobian_is_the_rates_derivative_and_its_length_the_distance(group):
    omega = group.omega
    a, b = (group.rates(w, SNAPSHOTS, smooth=True) for w in (omega, omega + 0.3))
    square = (scaled(group, omega) - scaled(group, omega + 0.3)).square().sum()
    assert float(square) ** 0.5 == pytest.approx(distance(a, b))
    expected = torch.autograd.functional.jacobian(lambda w: scaled(group, w), omega)
    blocks = group.jacobian(omega, SNAPSHOTS)
    assert [tuple(block.shape) for block in blocks] == [(1, 3, 3), (7, 5, 2)]
    assert group.columns == [slice(0, 3), slice(3, 5)]
    found = torch.block_diag(*(block.flatten(0, 1) for block in blocks))
    torch.testing.assert_close(found, expected)
    metric = group.metric(blocks, 0.5)
    torch.testing.assert_close(metric, expected.T @ expected + 0.5 * torch.eye(5).double())


def test_a_rate_that_does_not_depend_on_parameters_has_a_zero_jacobian(group):
    class Locked(Sampled):
        def rates_at(self, omega, probe, snapshot, *, smooth=False):
            return torch.zeros(4, dtype=omega.dtype)

    locked = RateGroup([Locked([1.0, 2.0])], [None])
    assert locked.jacobian(locked.omega, [None])[0].tolist() == [[[0.0, 0.0]] * 4]


def test_stationarity_is_that_of_all_layers_inside_the_box(group):
    omega, gradient = group.omega, torch.tensor([1.0, -2.0, 3.0, 0.5, -1.0], dtype=torch.float64)
    rates = group.rates(omega, SNAPSHOTS)
    assert (rates[1] == 0).any()  # what is zero cannot shrink
    blocks = group.jacobian(omega, SNAPSHOTS)
    down = torch.cat([-rates[0][0], (-rates[1] / 7**0.5).flatten()])
    up = torch.cat([1 - rates[0][0], ((0.9 - rates[1]) / 7**0.5).flatten()])
    expected = stationarity(
        torch.block_diag(*(b.flatten(0, 1) for b in blocks)), gradient, down, up
    )
    assert group.stationarity(blocks, gradient, rates) == pytest.approx(expected)


def test_straight_fraction_is_where_a_straight_line_leaves_the_ball(group):
    g = torch.Generator().manual_seed(0)
    origin, start, end = (
        [torch.randn(1, 3, generator=g).double(), torch.randn(4, 2, generator=g).double()]
        for _ in range(3)
    )
    start = [o + 0.1 * (s - o) for o, s in zip(origin, start, strict=True)]
    radius = (distance(origin, start) + distance(origin, end)) / 2
    t = group.straight_fraction(origin, start, end, radius)
    there = [s + t * (e - s) for s, e in zip(start, end, strict=True)]
    assert distance(origin, there) == pytest.approx(radius)
    assert group.straight_fraction(origin, start, start, radius) == 1


def test_rates_are_computed_once_a_place(group):
    omega = group.omega
    first = group.rates(omega, SNAPSHOTS)
    assert group.rates(omega.clone(), list(SNAPSHOTS)) is first
    assert group.rates(omega + 0.1, SNAPSHOTS) is not first
    assert group.rates(omega, SNAPSHOTS, smooth=True) is not first
    assert group.rates(omega, [torch.zeros(()), SNAPSHOTS[1]]) is not first
    leaf = omega.clone().requires_grad_()
    assert group.rates(leaf, SNAPSHOTS)[0].requires_grad
