"""The losses of a pair are the written ones."""

import pytest
import torch
from torch.nn import functional

from sklearn_dbt.pairs._pair_loss import PairLoss

OUTPUT = torch.tensor([[0.3, 0.5], [-1.0, 0.2], [2.0, 3.0], [0.1, 0.9]], dtype=torch.float64)
SAME = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
ONE = torch.ones(4, dtype=torch.float64)


def test_the_contrastive_loss_is_two_means():
    entropy = functional.binary_cross_entropy_with_logits(OUTPUT[:, 0], SAME)
    pull, push = (0.5 + 0.9) / 2, (1.3 + 0) / 2
    combined = PairLoss(2.0, 0.5, margin=1.5, negative_weight=3.0)(OUTPUT, (SAME, ONE))
    assert combined.item() == pytest.approx(entropy.item() + 2 * (pull + 3 * push))
    logistic = PairLoss(0.0, 0.5, 1.0, 1.0)(OUTPUT, (SAME, ONE))
    assert logistic.item() == pytest.approx(entropy.item())


def test_without_a_share_the_batch_gives_it():
    weights = torch.tensor([1.0, 2.0, 1.0, 0.0], dtype=torch.float64)
    entropy = functional.binary_cross_entropy_with_logits(OUTPUT[:, 0], SAME, reduction="none")
    pull, push = 0.5, (2 * 1.3 + 0) / 3
    found = PairLoss(2.0, None, margin=1.5, negative_weight=3.0)(OUTPUT, (SAME, weights))
    expected = (weights @ entropy).item() / 4 + 2 * (pull + 3 * push)
    assert found.item() == pytest.approx(expected)
    one_kind = PairLoss(1.0, None, 1.5, 1.0)(OUTPUT[:1], (SAME[:1], ONE[:1]))
    assert one_kind.item() == pytest.approx(entropy[0].item() + 0.5)


def test_weights_count_pairs():
    loss = PairLoss(1.5, 0.4, 1.0, 0.7)
    weights = torch.tensor([2.0, 1.0, 0.0, 3.0], dtype=torch.float64)
    rows = torch.tensor([0, 0, 1, 3, 3, 3])
    repeated = loss(OUTPUT[rows], (SAME[rows], torch.ones(6, dtype=torch.float64)))
    torch.testing.assert_close(loss(OUTPUT, (SAME, weights)), repeated)


def test_soft_targets_only_soften_the_cross_entropy():
    soft = torch.tensor([0.9, 0.2, 0.2, 0.9], dtype=torch.float64)
    entropy = functional.binary_cross_entropy_with_logits(OUTPUT[:, 0], soft)
    rows = PairLoss(1.0, 0.5, 1.5, 1.0, (0.2, 0.9))(OUTPUT, (SAME, ONE))
    assert rows.item() == pytest.approx(entropy.item() + 0.7 + 0.65)
