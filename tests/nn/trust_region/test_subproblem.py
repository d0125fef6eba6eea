import pytest

from sklearn_dbt.nn.trust_region import STEPS, cauchy_step, make_step


def test_steps_have_names_or_are_what_is_given():
    assert {make_step(name) for name in STEPS} == set(STEPS.values())
    assert make_step(cauchy_step) is cauchy_step
    with pytest.raises(ValueError, match=r"one of \['cauchy', 'dogleg', 'steihaug'\]"):
        make_step("newton")
    with pytest.raises(TypeError, match="or a callable, got int"):
        make_step(3)
