"""Bases by name."""

import pytest

from sklearn_dbt.nn.basis import BASES, DCT, DWT, PCA, Fourier, make_basis


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("n", [1, 2, 10])
def test_name_makes_the_basis(name, n):
    basis = make_basis(name, n)
    assert type(basis) is BASES[name]
    assert basis.n_features == n


def test_names():
    first = {"fourier": Fourier, "dct": DCT, "dwt": DWT, "pca": PCA}
    assert first.items() <= BASES.items()
    assert len(set(BASES.values())) == len(BASES)


def test_instance_is_returned_as_it_is():
    basis = DWT(16, "haar")
    assert make_basis(basis, 16) is basis


def test_instance_for_another_length_is_refused():
    with pytest.raises(ValueError, match="signals of 16 samples, got n_features=12"):
        make_basis(DCT(16), 12)


def test_unknown_name_lists_the_right_ones():
    names = ", ".join(repr(name) for name in BASES)
    with pytest.raises(ValueError, match=f"{names} or a Basis, got 'fft'"):
        make_basis("fft", 8)


@pytest.mark.parametrize("basis", [None, 3, DCT])
def test_other_types_are_refused(basis):
    with pytest.raises(TypeError, match=r"'fourier', 'dct', .* or a Basis, got"):
        make_basis(basis, 8)


def test_options_reach_the_named_basis():
    assert make_basis("dwt", 16, wavelet="haar", level=2).bands.keys() == {"a2", "d2", "d1"}


def test_options_that_a_basis_has_not_are_refused():
    with pytest.raises(TypeError, match=r"'dct' has no option \['wavelet'\]; its options: \[\]"):
        make_basis("dct", 8, wavelet="haar")
    with pytest.raises(TypeError, match=r"\['level'\] go with the name of a basis; got a DCT"):
        make_basis(DCT(8), 8, level=1)
