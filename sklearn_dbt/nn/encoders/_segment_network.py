"""What networks that tell segments apart have in common: their linear start."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

__all__ = ["SegmentNetwork"]


class SegmentNetwork(nn.Module, ABC):
    """Base of networks that learn from segments; not public.

    Subclasses say how their networks begin (``_begin``) and what belongs to segments (``renew``).
    """

    def start(self, unmixing: Tensor, x: Tensor, segments: Tensor) -> None:
        """Start from a linear unmixing, see :meth:`SourceNetwork.start` and `renew`.

        Parameters
        ----------
        unmixing : Tensor of shape (n_components, n_channels)
            Linear unmixing matrix.
        x : Tensor of shape (n_samples, n_channels)
            Time points.
        segments : Tensor of int64, shape (n_samples,)
            Their segments, from 0; each one occurs.
        """
        self._begin(unmixing)
        self.renew(x, segments)

    @abstractmethod
    def _begin(self, unmixing: Tensor) -> None:
        """Let source networks begin as a linear unmixing."""

    @abstractmethod
    def renew(self, x: Tensor, segments: Tensor) -> None:
        """Forget the segments and start with others, given as in `start`."""
