"""The identity; what every basis does is in test_properties.py."""

import torch

from sklearn_dbt.nn.basis import Identity


def test_coefficients_are_a_copy_of_the_samples():
    x, basis = torch.tensor([1.0, 5.0, 2.0]), Identity(3)
    c = basis.analysis(x)
    assert torch.equal(c, x)
    c[0] = 7.0  # what is done to coefficients must not reach the signal
    assert x[0] == 1.0
    basis.synthesis(c)[1] = 9.0
    assert c[1] == 5.0
    assert basis.layout.position.tolist() == [0.0, 1.0, 2.0]
    assert basis.layout.frequency.isnan().all()
