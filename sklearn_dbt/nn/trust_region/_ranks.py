"""The processes of a distributed training, and what they tell each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn

from ._protocol import RateLayer


class Ranks:
    """The ranks that train together, or this process alone.

    Parameters
    ----------
    process_group : torch.distributed.ProcessGroup, default=None
        The ranks; None is all of them where `torch.distributed` is initialised.
    """

    def __init__(self, process_group: Any = None) -> None:
        self.process_group = process_group

    @property
    def several(self) -> bool:
        """Whether there is anyone to tell."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return False
        return distributed.get_world_size(self.process_group) > 1

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Sums over the ranks, in one message, bitwise the same on each."""
        if not self.several:
            return list(tensors)
        flat = torch.cat([t.detach().flatten().to("cpu", torch.float64) for t in tensors])
        message = flat.to(self._device())
        distributed.all_reduce(message, group=self.process_group)
        parts = message.cpu().split([t.numel() for t in tensors])
        return [p.reshape(t.shape).to(t) for p, t in zip(parts, tensors, strict=True)]

    def mean(self, tensors: Sequence[Tensor], weight: float) -> list[Tensor]:
        """Weighted means over the ranks, in one message, bitwise the same on each.

        A rank of weight 0 takes part, whatever its tensors hold. Where all weights are 0 the
        means are nan.
        """
        if not self.several:
            return list(tensors)
        weighted = [t.double() * weight if weight else torch.zeros_like(t) for t in tensors]
        *sums, total = self.sum([*weighted, torch.tensor(weight, dtype=torch.float64)])
        return [(s / total).to(t) for s, t in zip(sums, tensors, strict=True)]

    def _device(self) -> torch.device:
        """Where messages must be: NCCL sends from GPUs only."""
        on_gpu = distributed.get_backend(self.process_group) == "nccl"
        return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")

    def __getstate__(self) -> dict[str, Any]:
        return {"process_group": None}  # a connection cannot be saved


class Intake(NamedTuple):
    """What a layer has taken in of a batch: numbers of samples, and of series in each."""

    n_samples: int
    n_series: int


def pool_statistics(
    ranks: Ranks, layers: Sequence[RateLayer], taken: Sequence[Intake], fresh: Sequence[bool]
) -> list[Intake]:
    """Make the layers' running statistics those of all ranks' batches, in one message.

    Running means are linear in the batches' moments: their mean over ranks that started from the
    same ones, weighted by numbers of samples, is the running mean of the joined batch.

    Parameters
    ----------
    ranks : Ranks
        Who takes part.
    layers : sequence of RateLayer
        All layers of the controller.
    taken : sequence of Intake
        What each layer has taken in here; the number of samples may be 0.
    fresh : sequence of bool
        Whether the layer had no statistics before.

    Returns
    -------
    list of Intake
        What each layer has taken in anywhere.
    """
    buffers = [_statistics(layer) for layer in layers]
    # Sums and not means: each layer has a weight of its own.
    sums = [b.double() * t.n_samples for own, t in zip(buffers, taken, strict=True) for b in own]
    counts = [[t.n_samples, t.n_samples * t.n_series] for t in taken]
    pooled = ranks.sum([torch.tensor(counts, dtype=torch.float64), *sums])
    rows = iter(pooled[1:])
    everywhere = []
    for layer, own, first, (n, series) in zip(
        layers, buffers, fresh, pooled[0].round().long().tolist(), strict=True
    ):
        everywhere.append(Intake(n, series // max(n, 1)))
        for buffer, total in zip(own, rows, strict=False):
            if n:
                buffer.copy_(total / n)
        if n and first and own:
            # The first batch's statistics are in force at once: those of all ranks.
            layer.adopt_snapshot(layer.candidate_snapshot())
    return everywhere


def _statistics(layer: Any) -> list[Tensor]:
    """Buffers that hold running means, its members' too; none where a layer has no such."""
    statistics = getattr(layer, "statistics", None)
    if isinstance(statistics, nn.Module):
        return list(statistics.buffers())
    return [b for member in getattr(layer, "members", ()) for b in _statistics(member)]
