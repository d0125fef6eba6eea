"""Batches hold what they say: parts of the pairs, or anchors with mined negatives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklearn_dbt.pairs._pair_batches import (
    AnchorBatches,
    PairDataset,
    choose_negatives,
    pairs_of_anchors,
)
from sklearn_dbt.pairs._pair_data import Pairs

RNG = np.random.default_rng(0)
PAIRS = Pairs(
    RNG.normal(size=(5, 2, 8)),
    np.array([8, 6, 8, 5, 7]),
    np.array([[0, 1], [1, 2], [3, 0], [4, 4], [0, 1]]),
)
DATA = PairDataset(PAIRS, np.array([1, 0, 0, 1, 1]), np.ones(5), "cpu")


def test_a_part_of_the_data():
    part = DATA.part(np.array([2, 0]), torch.arange(5.0))
    assert len(part) == 2
    inputs, (same, weights) = part[torch.tensor([1])]
    assert inputs["distance"].tolist() == [0.0]
    assert same.tolist() == [1.0]
    assert weights.tolist() == [1.0]
    inputs, _ = DATA.part(np.array([2, 0]), None)[torch.tensor([0])]
    assert inputs["ids"].tolist() == [[3, 0]]
    assert inputs["lengths"].tolist() == [[5, 8]]


def test_anchors_have_pairs_of_both_kinds():
    ids = np.array([[0, 1], [0, 2], [1, 2], [3, 3], [3, 0], [4, 5]])
    same = np.array([1, 0, 0, 1, 0, 1])
    found = [tuple(map(sorted, sides)) for sides in pairs_of_anchors(ids, same)]
    assert found == [([0], [1, 4]), ([0], [2]), ([3], [4])]  # of 0, 1 and 3


@settings(deadline=None, max_examples=100)
@given(
    negatives=hnp.arrays(float, st.integers(1, 12), elements=st.floats(0, 10)),
    positive=st.floats(0, 10),
    margin=st.floats(0.1, 5),
    seed=st.integers(0, 99),
)
def test_semi_hard_negatives_go_first(negatives, positive, margin, seed):
    order = choose_negatives(positive, negatives, margin, "semi-hard", np.random.default_rng(seed))
    assert sorted(order) == list(range(len(negatives)))
    semi_hard = (positive < negatives) & (negatives < positive + margin)
    n = semi_hard.sum()
    assert semi_hard[order[:n]].all()
    assert (np.diff(negatives[order[n:]]) >= 0).all()  # then the hardest
    hard = choose_negatives(positive, negatives, margin, "hard", np.random.default_rng(seed))
    assert (np.diff(negatives[hard]) >= 0).all()


def test_semi_hard_and_random_negatives_are_drawn():
    negatives = np.array([5.0, 1.5, 1.6, 0.5, 1.7])
    first = {
        mining: {
            int(choose_negatives(1.0, negatives, 1.0, mining, np.random.default_rng(seed))[0])
            for seed in range(40)
        }
        for mining in ("semi-hard", "hard", "random")
    }
    assert first == {"semi-hard": {1, 2, 4}, "hard": {3}, "random": {0, 1, 2, 3, 4}}


def class_pairs(n=12, n_classes=3):
    """All pairs of recordings of a few classes, and distances that tell nothing of them."""
    i, j = np.triu_indices(n, 1)
    same = (i % n_classes == j % n_classes).astype(int)
    pairs = Pairs(RNG.normal(size=(n, 1, 4)), np.full(n, 4), np.stack([i, j], 1))
    return PairDataset(pairs, same, 2 * np.ones(len(same)), "cpu"), RNG.uniform(1, 2, len(same))


def anchor_batches(data, distance, **options):
    options = {"mining": "hard", "n_positives": 2, "n_negatives": 3, "batch_size": 20, **options}
    return AnchorBatches(
        data,
        generator=torch.Generator().manual_seed(0),
        distances=lambda dataset: torch.tensor(distance)[: len(dataset)],
        margin=lambda: 0.5,
        **options,
    )


@pytest.mark.parametrize("mining", ["semi-hard", "hard", "random"])
def test_batches_are_balanced(mining):
    data, distance = class_pairs()
    batches = list(anchor_batches(data, distance, mining=mining))
    assert len(batches) == 4  # 12 anchors of 2 positives and 2 * 3 negatives, in batches of 24
    for inputs, (same, weights) in batches:
        counts = weights / 2
        assert counts.sum() == 24
        assert counts[same == 1].sum() == 6
        assert len(torch.unique(inputs["ids"], dim=0)) == len(same)  # none is computed twice


def test_hard_negatives_are_the_nearest_of_their_anchor():
    data, distance = class_pairs()
    options = {"n_positives": 1, "n_negatives": 1, "batch_size": 1}
    for inputs, (same, _) in anchor_batches(data, distance, **options):
        (positive,), (negative,) = inputs["ids"][same == 1], inputs["ids"][same == 0]
        touches = [set(negative.tolist()) & {a} for a in positive.tolist()]
        anchor = next(iter(touches[0] or touches[1]))
        of_anchor = ((data.ids == anchor).any(1) & (data.same == 0)).numpy()
        row = (data.ids == negative).all(1).numpy()
        assert distance[row] == distance[of_anchor].min()


def test_epochs_differ_and_the_seed_repeats_them():
    data, distance = class_pairs()

    def epochs():
        batches = anchor_batches(data, distance, mining="random")
        return [torch.cat([inputs["ids"] for inputs, _ in batches]) for _ in range(2)]

    (a, b), (c, d) = epochs(), epochs()
    assert a.shape != b.shape or (a != b).any()
    torch.testing.assert_close(a, c)
    torch.testing.assert_close(b, d)
