"""What bases made of other bases share."""

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.basis import DCT, PCA
from sklearn_dbt.nn.basis._members import (
    along_axis,
    check_bases,
    check_moments,
    linear_image,
    on_complex,
)


@pytest.fixture
def affine():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    offset = torch.randn(5, generator=generator, dtype=torch.float64)
    return matrix, offset, lambda x: x @ matrix.T + offset


def test_along_axis_is_tensordot():
    generator = torch.Generator().manual_seed(1)
    grid = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    matrix = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    expected = np.moveaxis(np.tensordot(grid, matrix, (2, 1)), -1, 2)
    for axis in (2, -2):
        actual = along_axis(lambda x: x @ matrix.T, grid, axis)
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_complex_numbers_go_through_a_real_affine_map_linearly(affine):
    matrix, offset, function = affine
    z = torch.tensor([1 + 2j, -1j, 3.0], dtype=torch.complex128)
    expected = torch.mv(matrix.to(z.dtype), z) + offset
    torch.testing.assert_close(on_complex(function, z), expected)
    assert torch.equal(on_complex(function, z.real), function(z.real))


def test_moments_of_an_affine_image(affine):
    matrix, offset, function = affine
    root = torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.5, -1.0, 3.0]], dtype=torch.float64)
    mean, covariance = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64), root @ root.T
    image_mean, image_covariance = linear_image(function, mean, covariance)
    torch.testing.assert_close(image_mean, matrix @ mean + offset)
    torch.testing.assert_close(image_covariance, matrix @ covariance @ matrix.T)


def test_bases_are_checked():
    assert check_bases("Here", "bases", (DCT(2), PCA(2)))[0].n_features == 2
    with pytest.raises(ValueError, match="Here: bases must hold at least 1 basis, got none"):
        check_bases("Here", "bases", [])
    with pytest.raises(TypeError, match=r"Here: bases\[1\] must be a Basis, got str"):
        check_bases("Here", "bases", [DCT(2), "dct"])


def test_moments_are_checked():
    check_moments("Here", 2, torch.zeros(2), torch.eye(2))
    with pytest.raises(ValueError, match=r"Here: mean must have shape \(2,\), got \(3,\)"):
        check_moments("Here", 2, torch.zeros(3), torch.eye(2))
    with pytest.raises(ValueError, match=r"Here: covariance must have shape \(2, 2\), got \(2,\)"):
        check_moments("Here", 2, torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match="Here: covariance has values that are not finite"):
        check_moments("Here", 2, torch.zeros(2), torch.full((2, 2), torch.nan))
