import pytest
import torch

from sklearn_dbt.nn.trust_region._group import RateGroup, distance, mean_rate, n_rates


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


def test_scaled_rates_have_the_distance_as_their_norm_and_the_jacobian_is_theirs(group):
    omega = group.omega
    scaled = lambda w: group.scaled_rates(w, SNAPSHOTS)  # noqa: E731
    a, b = (group.rates(w, SNAPSHOTS, smooth=True) for w in (omega, omega + 0.3))
    assert float((scaled(omega) - scaled(omega + 0.3)).norm()) == pytest.approx(distance(a, b))
    # Single precision in the second layer's parameters, double in the rates made of them.
    expected = torch.autograd.functional.jacobian(scaled, omega)
    torch.testing.assert_close(group.jacobian(omega, SNAPSHOTS), expected)


def test_a_rate_that_does_not_depend_on_parameters_has_a_zero_jacobian(group):
    class Locked(Sampled):
        def rates_at(self, omega, probe, snapshot, *, smooth=False):
            return torch.zeros(4, dtype=omega.dtype)

    locked = RateGroup([Locked([1.0, 2.0])], [None])
    assert locked.jacobian(locked.omega, [None]).tolist() == [[0.0, 0.0]] * 4


def test_box_is_the_room_that_is_left(group):
    down, up = group.box(group.omega, SNAPSHOTS)
    rates = group.rates(group.omega, SNAPSHOTS)
    torch.testing.assert_close(down[:3], -rates[0][0])
    torch.testing.assert_close(up[:3], 1 - rates[0][0])
    torch.testing.assert_close(up[3:], (0.9 - rates[1]).flatten() / 7**0.5)
    assert (rates[1] == 0).any()
    assert not down[3:][rates[1].flatten() == 0].any()  # what is zero cannot shrink
