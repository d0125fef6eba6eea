"""What half precision is not meant for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from torch import Tensor, nn

__all__ = ["SinglePrecision"]


class SinglePrecision(nn.Module):
    """A module whose buffers, and those of its parts, are never less precise than they were.

    ``module.half()`` and ``.bfloat16()`` are meant for activations; rates and energies keep
    float32.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = [
            (module, name, buffer)
            for module in self.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None and buffer.is_floating_point()
        ]
        super()._apply(fn, recurse)
        for module, name, buffer in before:
            after = module._buffers[name]
            if after is not None and after.dtype.itemsize < 4:
                module._buffers[name] = buffer.to(after.device)
        return self
