"""Pairs are what they are labelled, distinct and balanced; every error fires."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.model_selection import PairGroupKFold
from sklearn_dbt.pairs import make_pairs

X = np.arange(12 * 2 * 5, dtype=np.float32).reshape(12, 2, 5)
Y = np.array(list("aabbbccccccc"))


@settings(max_examples=25)
@given(
    y=st.lists(st.integers(0, 3), min_size=4, max_size=30),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 100),
)
def test_labels_are_true_and_pairs_distinct(y, fraction, seed):
    y = np.array([0, 0, 1, 1, *y])
    indices, same, groups = make_pairs(
        np.zeros((len(y), 1, 2)),
        y,
        positive_fraction=fraction,
        return_indices=True,
        random_state=seed,
    )
    np.testing.assert_array_equal(same, y[indices[:, 0]] == y[indices[:, 1]])
    assert (indices[:, 0] != indices[:, 1]).all()
    assert len({tuple(sorted(pair)) for pair in indices.tolist()}) == len(indices)
    np.testing.assert_array_equal(groups, indices)
    assert 0 < same.sum() < len(same)
    assert abs(same.sum() - fraction * len(same)) <= 1


def test_the_recordings_are_those_of_the_indices():
    indices, same, _ = make_pairs(X, Y, n_pairs=20, return_indices=True, random_state=0)
    pairs, again, _ = make_pairs(X, Y, n_pairs=20, random_state=0)
    np.testing.assert_array_equal(pairs, X[indices])
    np.testing.assert_array_equal(same, again)
    assert pairs.dtype == X.dtype
    assert pairs.shape == (20, 2, 2, 5)
    table, _, _ = make_pairs(X[:, 0], Y, n_pairs=20, random_state=0)
    np.testing.assert_array_equal(table, X[indices][:, :, :1])
    ragged = [x[:, : 5 - i % 2] for i, x in enumerate(X)]
    tuples, _, _ = make_pairs(ragged, Y, n_pairs=20, random_state=0)
    for (a, b), (i, j) in zip(tuples, indices, strict=True):
        assert a is ragged[i]
        assert b is ragged[j]


def test_anchors_take_turns():
    indices, same, _ = make_pairs(X, Y, n_pairs=48, return_indices=True, random_state=0)
    negatives = np.bincount(indices[same == 0, 0], minlength=12)
    assert negatives.min() >= 1
    assert negatives.max() - negatives.min() <= 1
    # the large class alone could fill the positive pairs, but each recording gets its turn
    small, _, _ = make_pairs(X, Y, n_pairs=20, return_indices=True, random_state=0)
    positives = small[Y[small[:, 0]] == Y[small[:, 1]]]
    assert {"a", "b", "c"} == set(Y[positives[:, 0]])


def test_how_many():
    pairs, same, _ = make_pairs(X, Y, random_state=0)
    assert len(pairs) == 24
    assert same.sum() == 12
    everything, same, _ = make_pairs(X, Y, n_pairs=50, positive_fraction=0.5, random_state=0)
    assert len(everything) == 50
    assert same.sum() == 25  # 1 + 3 + 21 pairs of one class
    few, _, _ = make_pairs(X[:4], Y[:4], random_state=0)
    assert len(few) == 4


def test_groups_are_handed_on_and_split():
    groups = np.array(["ann", "bob", "cy"])[np.arange(12) // 4]
    pairs, same, of_pairs = make_pairs(X, Y, groups, n_pairs=40, random_state=0)
    indices, _, _ = make_pairs(X, Y, n_pairs=40, return_indices=True, random_state=0)
    np.testing.assert_array_equal(of_pairs, groups[indices])
    for train, test in PairGroupKFold(3).split(pairs, same, of_pairs):
        assert not set(of_pairs[train].ravel()) & set(of_pairs[test].ravel())


def test_the_seed_decides_and_the_global_state_is_untouched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_pairs(X, Y, return_indices=True, random_state=3)[0]
    np.testing.assert_array_equal(
        first, make_pairs(X, Y, return_indices=True, random_state=np.random.RandomState(3))[0]
    )
    assert not np.array_equal(first, make_pairs(X, Y, return_indices=True, random_state=4)[0])
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": np.zeros(12)}, "in y there is only one class"),
        ({"y": np.arange(12)}, "in y no class has two recordings"),
        ({"y": Y[:5]}, "inconsistent numbers of samples"),
        ({"groups": Y[:5]}, "inconsistent numbers of samples"),
        ({"X": X[None]}, r"panel .* got shape \(1, 12, 2, 5\)"),
        ({"n_pairs": 1}, "n_pairs must be an int >= 2; got 1"),
        ({"n_pairs": 4.0}, "n_pairs must be an int >= 2; got 4.0"),
        ({"n_pairs": 60}, "30 pairs of the same class and 30 .* y allows 25 and 41"),
        ({"positive_fraction": 0.0}, r"positive_fraction must lie in \(0, 1\); got 0.0"),
        ({"positive_fraction": 1}, "positive_fraction must lie in"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_pairs(**{"X": X, "y": Y, **arguments})
