"""What a pair's logit and distance cost: cross-entropy and the contrastive loss."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class PairLoss(nn.Module):
    """Cross-entropy of a pair plus a multiple of the contrastive loss.

    The means over positive and negative pairs of the contrastive loss become one mean over all by
    dividing each kind by its share.

    Parameters
    ----------
    contrastive_weight : float
        The multiple; 0 is the logistic loss.
    share : float or None
        Share of the positive pairs in all of the data, in (0, 1). None takes that of each batch,
        for batches of chosen pairs.
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
        share: float | None,
        margin: float,
        negative_weight: float,
        soft_targets: tuple[float, float] = (0.0, 1.0),
    ):
        super().__init__()
        self.contrastive_weight, self.share = contrastive_weight, share
        self.margin, self.negative_weight = margin, negative_weight
        self.soft_targets = soft_targets

    def forward(self, output: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        """Return the weighted mean over pairs; the target is what they are, and their weights."""
        same, weights = target
        weights = weights / weights.sum()
        logit, distance = output.T
        low, high = self.soft_targets
        losses = functional.binary_cross_entropy_with_logits(
            logit, low + (high - low) * same, reduction="none"
        )
        if self.contrastive_weight:
            share = (weights * same).sum() if self.share is None else self.share
            least = 1e-6  # a batch of one kind has no pair of the other to divide
            pull = same * distance / max(share, least)
            push = (1 - same) * functional.relu(self.margin - distance) / max(1 - share, least)
            losses = losses + self.contrastive_weight * (pull + self.negative_weight * push)
        return (weights * losses).sum()
