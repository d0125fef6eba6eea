"""Every name makes its method."""

import pytest

from sklearn_dbt.decomposition._methods import METHODS, make_method


@pytest.mark.parametrize("name", METHODS)
def test_names(name):
    method = make_method(name, "auto", 3, 0)
    assert type(method) is METHODS[name]
    network = method.network(4, 3, 8, [5])
    assert method.signed == (name != "tcl")
    assert hasattr(network, "renew") == METHODS[name].needs_segments


def test_options_reach_their_method():
    method = make_method("tcl", "fastica", 3, 7)
    assert (method.unmixing, method.seed) == ("fastica", 7)
    assert make_method("ivae", "auto", 3, 7).n_components == 3


def test_least_segments():
    least = {name: make_method(name, "auto", 3, 0).least_segments(3) for name in METHODS}
    assert least == {"tcl": 4, "pcl": 1, "gcl": 4, "ivae": 7}
