"""No group on both sides, against brute force; every error fires."""

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_dbt.model_selection import PairGroupKFold


def all_pairs(n_groups):
    return np.array([(i, j) for i in range(n_groups) for j in range(n_groups) if i != j])


@settings(max_examples=40)
@given(st.integers(2, 4), st.integers(0, 50), st.booleans())
def test_sides_share_no_group_and_only_crossing_pairs_are_dropped(n_splits, seed, shuffle):
    groups = all_pairs(3 * n_splits)
    folds = PairGroupKFold(n_splits, shuffle=shuffle, random_state=seed)
    tested = []
    for train, test in folds.split(groups, groups=groups):
        inside, outside = set(groups[test].ravel()), set(groups[train].ravel())
        assert not inside & outside
        dropped = np.setdiff1d(np.arange(len(groups)), np.concatenate([train, test]))
        for a, b in groups[dropped]:
            assert (a in inside) != (b in inside)
        tested.append(inside)
    assert sorted(g for inside in tested for g in inside) == list(range(3 * n_splits))


def test_the_seed_decides():
    groups = all_pairs(9)
    deal = lambda seed: [  # noqa: E731
        test.tolist() for _, test in PairGroupKFold(random_state=seed).split(groups, groups=groups)
    ]
    assert deal(0) == deal(0)
    assert deal(0) != deal(1)


def test_groups_may_be_names():
    names = np.array(["ann", "bob", "cy", "dan"])[all_pairs(4)]
    assert len(list(PairGroupKFold(2).split(names, groups=names))) == 2


def test_it_serves_scikit_learn_with_and_without_routing():
    groups = all_pairs(8)
    y = (groups.sum(1) % 2).astype(int)
    X = np.c_[y, groups]
    scores = cross_val_score(LogisticRegression(), X, y, groups=groups, cv=PairGroupKFold(2))
    assert len(scores) == 2
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=PairGroupKFold(2))
        assert search.fit(X, y, groups=groups).best_score_ == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PairGroupKFold(1), "n_splits must be an int >= 2, got 1"),
        (lambda: next(PairGroupKFold().split(np.ones(3))), "groups must be given"),
        (
            lambda: next(PairGroupKFold().split(np.ones(3), groups=np.ones(3))),
            r"shape \(3, 2\).*got \(3,\)",
        ),
        (
            lambda: next(PairGroupKFold().split(np.ones(1), groups=[[0, 1]])),
            "n_splits=3 needs as many groups; got 2",
        ),
        (
            lambda: next(
                PairGroupKFold(2, shuffle=False).split(np.ones(2), groups=[[0, 2], [1, 3]])
            ),
            "split 0 has 0 training and 0 test pairs, 2 crossing",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
