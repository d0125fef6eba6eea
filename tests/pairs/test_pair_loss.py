"""The losses of a pair are the written ones."""

import pytest
import torch
from torch.nn import functional

from sklearn_dbt.pairs._pair_loss import PairLoss


def test_the_contrastive_loss_is_two_means():
    output = torch.tensor([[0.3, 0.5], [-1.0, 0.2], [2.0, 3.0], [0.1, 0.9]], dtype=torch.float64)
    same = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    rows = PairLoss(2.0, 0.5, margin=1.5, negative_weight=3.0)(output, same)
    entropy = functional.binary_cross_entropy_with_logits(output[:, 0], same)
    pull, push = (0.5 + 0.9) / 2, (1.3 + 0) / 2
    assert rows.mean().item() == pytest.approx(entropy.item() + 2 * (pull + 3 * push))
    logistic = PairLoss(0.0, 0.5, 1.0, 1.0)(output, same)
    assert logistic.mean().item() == pytest.approx(entropy.item())


def test_soft_targets_only_soften_the_cross_entropy():
    output = torch.tensor([[0.3, 0.5], [-1.0, 0.2]], dtype=torch.float64)
    same = torch.tensor([1.0, 0.0], dtype=torch.float64)
    soft = torch.tensor([0.9, 0.2], dtype=torch.float64)
    entropy = functional.binary_cross_entropy_with_logits(output[:, 0], soft)
    rows = PairLoss(1.0, 0.5, 1.0, 1.0, (0.2, 0.9))(output, same)
    assert rows.mean().item() == pytest.approx(entropy.item() + 0.5 + 0.8)
