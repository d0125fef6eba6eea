"""Held-out pairs share no group with the training pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.pairs._held_out_pairs import held_out_pairs

GROUPS = np.random.default_rng(0).integers(0, 20, size=(200, 2))
SAME = np.arange(200) % 2


@settings(deadline=None, max_examples=30)
@given(fraction=st.floats(0.05, 0.3), seed=st.integers(0, 99))
def test_groups_stay_apart(fraction, seed):
    kept = np.arange(0, 200, 2) + 1 - np.arange(100) % 2
    train, held_out = held_out_pairs(SAME, kept, GROUPS, fraction, seed, "Face")
    assert set(train) | set(held_out) <= set(kept)
    inner, outer = set(GROUPS[train].ravel()), set(GROUPS[held_out].ravel())
    assert not inner & outer
    crossing = np.setdiff1d(kept, np.r_[train, held_out])
    for left, right in GROUPS[crossing]:
        assert not {left, right} <= inner
        assert not {left, right} <= outer


def test_errors():
    kept = np.arange(200)
    with pytest.raises(ValueError, match=r"Face: groups must have shape \(200, 2\).*\(200,\)"):
        held_out_pairs(SAME, kept, GROUPS[:, 0], 0.1, 0, "Face")
    with pytest.raises(ValueError, match="leaves 0 training and 200 held-out pairs when 20 of 20"):
        held_out_pairs(SAME, kept, GROUPS, 0.99, 0, "Face")
