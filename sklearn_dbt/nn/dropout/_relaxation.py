"""Relaxed passes: smooth in the parameters, at uniforms that every evaluation repeats."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from ._relaxed_scale import relaxed_scale

if TYPE_CHECKING:
    from ._mask_layer import MaskLayer

__all__ = ["Relaxation", "RelaxedPass"]


class Relaxation:
    """What a pass needs to be smooth in the parameters, and how many passes there have been.

    Parameters
    ----------
    omega : Tensor of shape (n_parameters,)
        Parameters.
    uniforms : list of Tensor
        Uniforms of the first, second, ... pass; filled where it is too short.
    temperature : float
        Temperature of the masks.
    """

    def __init__(self, omega: Tensor, uniforms: list[Tensor], temperature: float) -> None:
        self.omega = omega
        self.uniforms = uniforms
        self.temperature = temperature
        self.n_passes = 0

    def next_pass(self) -> RelaxedPass:
        """The pass after the last one."""
        self.n_passes += 1
        return RelaxedPass(weakref.ref(self), self.n_passes - 1)


class RelaxedPass(NamedTuple):
    """One pass at fixed uniforms; it may be repeated when its relaxation is over."""

    relaxation: weakref.ref[Relaxation]
    number: int

    def run(self, layer: MaskLayer, x: Tensor) -> Tensor:
        """The layer's output."""
        y = layer._formula(x, lambda c: c * self.scale(layer, c, x))
        if y.grad_fn is not None:
            # What checkpointing repeats lives as long as the graph does.
            metadata: dict[Any, Any] = y.grad_fn.metadata  # type: ignore[assignment]
            metadata.setdefault("relaxations", []).append(self.relaxation())
        return y

    def scale(self, layer: MaskLayer, c: Tensor, x: Tensor) -> Tensor:
        """Relaxed mask over the keep rate, for the coefficients of an input."""
        relaxation = self.relaxation()
        if relaxation is None:
            raise RuntimeError(
                f"{type(layer).__name__}: a reentrant checkpoint repeats a relaxed pass whose "
                "context is over; use checkpoint(..., use_reentrant=False), or call backward "
                "within the context."
            )
        if self.number == len(relaxation.uniforms):
            drawn = layer._source.draw(layer._drawn_shape(c), c.device)
            relaxation.uniforms.append(layer._spread(drawn))
        uniforms = relaxation.uniforms[self.number]
        if uniforms.shape != c.shape:
            raise ValueError(
                f"{type(layer).__name__}: passes at fixed uniforms must see inputs of the same "
                f"shape, got coefficients {tuple(c.shape)} after {tuple(uniforms.shape)}."
            )
        # Not detached: where an earlier layer's rates change these energies, J changes with them.
        rates = layer._relaxed_rates(relaxation.omega, c, x)
        if layer._recorded is not None:
            rates = rates.expand(c.shape)
            layer._recorded.append(rates)
        scale = relaxed_scale(rates, uniforms, relaxation.temperature)
        return scale.to(c.real.dtype)
