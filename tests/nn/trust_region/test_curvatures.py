import pytest

from sklearn_dbt.nn.trust_region import CURVATURES, DiagonalCurvature, make_curvature


def test_curvatures_have_names_or_are_what_is_given():
    for name, kind in CURVATURES.items():
        assert type(make_curvature(name)) is kind
    own = DiagonalCurvature()
    assert make_curvature(own) is own
    made = make_curvature("diagonal", exact_limit=3, n_probes=5)
    assert (made.exact_limit, made.n_probes) == (3, 5)
    assert make_curvature("lbfgs", memory=2).memory == 2
    with pytest.raises(ValueError, match=r"'diagonal', 'exact', 'kronecker', 'lbfgs'.*'newton'"):
        make_curvature("newton")
    with pytest.raises(TypeError, match="or a Curvature, got ABCMeta"):
        make_curvature(DiagonalCurvature)
