"""What a pair's logit and distance cost: cross-entropy and the contrastive loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


class PairLoss:
    """Cross-entropy of a pair plus a multiple of the contrastive loss.

    The means over positive and negative pairs of the contrastive loss become one mean over all by
    dividing each kind by its share of the training pairs.

    Parameters
    ----------
    contrastive_weight : float
        The multiple; 0 is the logistic loss.
    share : float
        Share of the positive pairs, in (0, 1).
    margin : float
        Distance up to which negative pairs are pushed apart.
    negative_weight : float
        Weight of the negative pairs in the contrastive loss.
    soft_targets : (float, float), default=(0.0, 1.0)
        Probabilities that the cross-entropy asks for, of a negative and of a positive pair.
    """

    def __init__(
        self,
        contrastive_weight: float,
        share: float,
        margin: float,
        negative_weight: float,
        soft_targets: tuple[float, float] = (0.0, 1.0),
    ):
        self.contrastive_weight, self.share = contrastive_weight, share
        self.margin, self.negative_weight = margin, negative_weight
        self.soft_targets = soft_targets

    def __call__(self, output: Tensor, target: Tensor, reduction: str = "none") -> Tensor:
        logit, distance = output.T
        low, high = self.soft_targets
        cross_entropy = functional.binary_cross_entropy_with_logits(
            logit, low + (high - low) * target, reduction=reduction
        )
        if self.contrastive_weight == 0:
            return cross_entropy
        pull = target * distance / self.share
        push = (1 - target) * functional.relu(self.margin - distance) / (1 - self.share)
        return cross_entropy + self.contrastive_weight * (pull + self.negative_weight * push)
