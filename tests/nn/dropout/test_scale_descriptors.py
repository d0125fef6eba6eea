import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, DWT
from sklearn_dbt.nn.dropout import Coefficients, CrossScaleEnergy, Policy, ScaleEnergy
from sklearn_dbt.nn.dropout._bound_policy import BoundPolicy
from sklearn_dbt.nn.dropout._coefficients import log_energy
from sklearn_dbt.nn.dropout._scale_descriptors import parent_indices


def known_of(basis, seed=0, n_samples=3):
    g = torch.Generator().manual_seed(seed)
    energy = torch.randn(n_samples, basis.n_coefficients, generator=g, dtype=torch.float64).exp()
    return Coefficients(basis, None, log_energy(energy[0]), log_energy(energy)), energy.numpy()


def brute_parents(basis, parent):
    """Nearest detail of the parent scale by trying all, from the basis' own bands."""
    position = basis.layout.position.numpy()
    details = np.arange(basis.n_coefficients)[basis.bands[f"d{parent}"]]
    found = np.full(basis.n_coefficients, -1)
    for j in range(1, parent):
        for k in range(basis.n_coefficients)[basis.bands[f"d{j}"]]:
            found[k] = details[np.abs(position[details] - position[k]).argmin()]
    return found


@settings(deadline=None, max_examples=30)
@given(
    st.integers(8, 60),
    st.sampled_from(["haar", "db2", "sym4", "bior2.2"]),
    st.sampled_from(["periodization", "symmetric", "zero"]),
)
def test_parents_are_the_nearest_in_time(n, wavelet, mode):
    basis = DWT(n, wavelet, level=3, mode=mode)
    position = basis.layout.position.numpy()
    for parent in (2, 3):
        found, expected = parent_indices(basis.layout, parent).numpy(), brute_parents(basis, parent)
        assert ((found < 0) == (expected < 0)).all()
        fine = expected >= 0
        # Where two are equally near, either will do.
        np.testing.assert_allclose(
            np.abs(position[found] - position)[fine],
            np.abs(position[expected] - position)[fine],
            atol=1e-5,
        )
        assert set(found[fine]) <= set(range(basis.n_coefficients)[basis.bands[f"d{parent}"]])


def test_padding_breaks_halving_but_not_the_nearest_time():
    # With an extended boundary, k/2 is not the coefficient at the same time.
    basis = DWT(40, "db4", level=2, mode="symmetric")
    position = basis.layout.position.numpy()
    found = parent_indices(basis.layout, 2).numpy()
    fine = np.arange(basis.n_coefficients)[basis.bands["d1"]]
    coarse = np.arange(basis.n_coefficients)[basis.bands["d2"]]
    halved = coarse[np.minimum(np.arange(len(fine)) // 2, len(coarse) - 1)]
    middle = slice(4, -4)
    nearest = np.abs(position[found[fine]] - position[fine])[middle]
    assert nearest.max() <= 2
    assert np.abs(position[halved] - position[fine])[middle].max() > 3


def test_scale_energy_is_the_mean_of_the_scale():
    basis = DWT(16, "haar", level=3)
    known, energy = known_of(basis)
    scale = basis.layout.scale.numpy()
    mean = np.stack([energy[:, scale == scale[k]].mean(-1) for k in range(16)], -1)
    raw = ScaleEnergy("sample", "raw", standardize=False)
    np.testing.assert_allclose(raw(known).numpy(), -mean, rtol=1e-9)
    assert (raw.source, raw.reads_population) == ("sample", False)
    assert (ScaleEnergy().source, ScaleEnergy().reads_population) == ("population", True)
    values = -np.log(mean[0])
    expected = (values - values.mean()) / values.std()
    np.testing.assert_allclose(ScaleEnergy()(known).numpy(), expected, atol=1e-3)
    weak = ScaleEnergy(transform="raw")(known).numpy()
    assert np.argmax(weak) in np.flatnonzero(mean[0] == mean[0].min())


def test_cross_scale_energy_is_the_sum_over_coarser_scales():
    basis = DWT(16, "haar", level=3)
    known, energy = known_of(basis)
    single = {j: np.zeros_like(energy) for j in (2, 3)}
    for j, values in single.items():
        parents = brute_parents(basis, j)
        values[:, parents >= 0] = energy[:, parents[parents >= 0]]
        descriptor = CrossScaleEnergy(j, transform="raw", standardize=False)
        np.testing.assert_allclose(descriptor(known).numpy(), -values, rtol=1e-9, atol=1e-9)
    total = single[2] + single[3]
    raw = CrossScaleEnergy(transform="raw", standardize=False)(known).numpy()
    np.testing.assert_allclose(raw, -total, rtol=1e-9, atol=1e-9)
    # Logarithms, standardised over what has parents; the coarsest scale stays in the middle.
    has = total[0] > 0
    phi = CrossScaleEnergy()(known).numpy()
    assert np.abs(phi[:, ~has]).max() < 1e-9
    values = -np.log(total[:, has])
    centred = values - values.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).sum(-1, keepdims=True) / 16)
    np.testing.assert_allclose(phi[:, has], centred / deviation, atol=1e-4)
    raw = CrossScaleEnergy(transform="raw")(known).numpy()
    assert np.abs(raw[:, ~has]).max() < 1e-9


def test_a_weight_for_each_pair_of_scales():
    basis = DWT(16, "haar", level=3)
    known, energy = known_of(basis)
    descriptors = [
        CrossScaleEnergy(j, transform="raw", standardize=False, sharing="scale") for j in (2, 3)
    ]
    policy = BoundPolicy(Policy(descriptors), basis.layout)
    g = torch.Generator().manual_seed(1)
    gamma = torch.randn(2, 3, generator=g, dtype=torch.float64)  # parents 2 and 3, by own scale
    omega = torch.cat([gamma.flatten(), torch.zeros(1)])
    rates = policy.rates(omega, [d(known) for d in descriptors], 0.0, 1.0)
    scale = basis.layout.scale.numpy()
    z = np.zeros_like(energy)
    for i, parent in enumerate((2, 3)):
        parents = brute_parents(basis, parent)
        for k in np.flatnonzero(parents >= 0):
            z[:, k] -= float(gamma[i, scale[k] - 1]) * energy[:, parents[k]]
    np.testing.assert_allclose(rates.numpy(), 1 / (1 + np.exp(-z)), rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ScaleEnergy("both"), "ScaleEnergy: source must be one of 'population', 'sample'"),
        (lambda: ScaleEnergy(transform="dB"), "ScaleEnergy: transform must be one of"),
        (lambda: CrossScaleEnergy(source="both"), "CrossScaleEnergy: source must be one of"),
        (lambda: CrossScaleEnergy(transform="dB"), "CrossScaleEnergy: transform must be one of"),
        (lambda: CrossScaleEnergy(1), "parent must hold integers of at least 2"),
        (lambda: ScaleEnergy()(known_of(DCT(4))[0]), "ScaleEnergy: .* have no scale"),
        (lambda: CrossScaleEnergy()(known_of(DCT(4))[0]), "CrossScaleEnergy: .* have no scale"),
        (
            lambda: CrossScaleEnergy()(known_of(DWT(8, "haar", level=1))[0]),
            r"no coefficient has parents: the basis has the scales \[1\]",
        ),
        (
            lambda: CrossScaleEnergy(4)(known_of(DWT(8, "haar", level=2))[0]),
            r"no coefficient has parents of scale 4: the basis has the scales \[1, 2\]",
        ),
    ],
)
def test_wrong_arguments_raise(make, match):
    with pytest.raises(ValueError, match=match):
        make()
