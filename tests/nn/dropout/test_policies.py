import pytest
import torch

from sklearn_dbt.nn.dropout import (
    POLICIES,
    Policy,
    PopulationEnergy,
    SampleEnergy,
    SquaredIndex,
    make_policy,
)


def test_what_a_policy_reads():
    policy = Policy([PopulationEnergy(), SquaredIndex()], [1, -2], weight_max=4, bias_max=9)
    assert policy.weights == (1.0, -2.0)
    assert (policy.per_sample, policy.reads_population) == (False, True)
    assert (POLICIES["sample_energy"].per_sample, Policy().reads_population) == (True, False)
    raw = Policy([SampleEnergy("raw")])
    assert (raw.per_sample, raw.reads_population) == (True, False)
    weighted = Policy([SampleEnergy("eigenvalue")])
    assert (weighted.per_sample, weighted.reads_population) == (True, True)


def test_starts_are_numbers_or_as_many_as_groups():
    policy = Policy([SquaredIndex()], weights=[torch.tensor([1.0, 2.0])], bias=[0, 1])
    assert policy.weights == ((1.0, 2.0),)
    assert policy.bias == (0.0, 1.0)
    assert hash(policy) == hash(Policy([SquaredIndex()], weights=[[1.0, 2.0]], bias=(0.0, 1.0)))


def test_registry():
    names = {"energy", "sample_energy", "frequency", "index", "uniform", "free"}
    assert set(POLICIES) == names
    for name, policy in POLICIES.items():
        assert make_policy(name) is policy
    own = Policy()
    assert make_policy(own) is own
    with pytest.raises(ValueError, match=r"'energy', 'sample_energy', .* got 'enrgy'"):
        make_policy("enrgy")
    with pytest.raises(TypeError, match=r"'energy', .* got int"):
        make_policy(3)


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"descriptors": [PopulationEnergy]}, TypeError, r"descriptors\[0\]"),
        ({"weights": [1.0]}, ValueError, "0 descriptors, got 1"),
        ({"descriptors": [SquaredIndex()], "weights": [9.0]}, ValueError, "weight_max"),
        ({"descriptors": [SquaredIndex()], "weights": [float("nan")]}, ValueError, "weight_max"),
        ({"phi_max": 0.0}, ValueError, "phi_max"),
        ({"bias_max": float("inf")}, ValueError, "bias_max"),
        ({"bias": 13.0}, ValueError, "bias must be within ±bias_max=12.0, got 13.0"),
        ({"bias": [0.0, float("nan")]}, ValueError, "bias must be within"),
        ({"descriptors": [SquaredIndex()], "weights": [[0, 9.0]]}, ValueError, "weight_max"),
        ({"bias_sharing": "none"}, ValueError, "bias_sharing must be one of 'all', 'scale'"),
        ({"link": "probit"}, ValueError, "link must be one of 'sigmoid', 'linear'"),
    ],
)
def test_wrong_arguments_raise(wrong, error, match):
    with pytest.raises(error, match=match):
        Policy(**wrong)
