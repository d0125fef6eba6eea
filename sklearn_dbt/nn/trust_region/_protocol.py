"""What a layer must offer so that a controller can move its rates."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

__all__ = ["RateLayer", "check_layers"]


@runtime_checkable
class RateLayer(Protocol):
    r"""A layer whose rates :math:`p = p(\omega; \nu)` a controller may move.

    :math:`\omega` is a short flat vector of buffers, :math:`\nu` a frozen snapshot of running
    statistics. Rates are functions of both and, where a policy looks at single samples, of a
    *probe* (whatever `probe` returned for the last batch). Methods that take `omega` compute in
    its dtype, so that a float64 `omega` gives float64 rates.

    Examples
    --------
    >>> from sklearn_dbt.nn.dropout import TransformDropout
    >>> from sklearn_dbt.nn.trust_region import RateLayer
    >>> isinstance(TransformDropout(8), RateLayer)
    True
    """

    def get_omega(self) -> Tensor:
        """Copy of the parameters, shape (n_parameters,)."""

    def set_omega(self, omega: Tensor) -> None:
        """Change the parameters in place."""

    def omega_bounds(self) -> tuple[Tensor, Tensor]:
        """Lower and upper bound of each parameter, two tensors of shape (n_parameters,)."""

    def bias_direction(self) -> Tensor:
        """Direction of shape (n_parameters,) along which every free rate grows."""

    def rate_bounds(self) -> tuple[float, float]:
        """Smallest and largest rate."""

    def rates_at(
        self, omega: Tensor, probe: Tensor, snapshot: Any, *, smooth: bool = False
    ) -> Tensor:
        """Rates of shape (n_rates,), or (n_samples, n_rates) where they depend on the sample.

        With `smooth` they are differentiable in `omega`; else they are the ones that the hard
        masks use (rates that are nearly zero are zero).
        """

    def penalty_weights(self, probe: Tensor, snapshot: Any) -> Tensor:
        r"""Weights :math:`v_k = w_k \operatorname{var}(c_k)` of the rates, shape (n_rates,)."""

    def capture(self, enabled: bool) -> None:
        """Keep, or stop keeping, a detached reference to the last input seen in training."""

    def take_captured(self) -> Tensor | None:
        """That input, or None if there was none since the last call; forgets it."""

    def observe(self, x: Tensor) -> bool:
        """Let an input enter the running statistics; False if it could not (not finite, empty)."""

    def make_probe(self, x: Tensor) -> Tensor:
        """What `rates_at` needs of an input."""

    def snapshot(self) -> Any:
        r"""The snapshot :math:`\nu` in force."""

    def candidate_snapshot(self) -> Any:
        """The snapshot that the running statistics propose."""

    def blend_snapshots(self, old: Any, new: Any, fraction: float) -> Any:
        """The snapshot a fraction of the way from `old` to `new`."""

    def adopt_snapshot(self, snapshot: Any) -> None:
        """Put a snapshot in force; adopting one that was in force restores it bit by bit."""

    def relaxed(
        self, omega: Tensor, uniforms: list[Tensor], temperature: float
    ) -> AbstractContextManager[None]:
        """Within the context, training forward passes use relaxed masks at given uniforms.

        The list holds the uniforms of the first, second, ... pass; where it is too short, the
        layer draws from its own generator and appends, so that the next context repeats them.
        """

    def get_rng_state(self) -> Tensor:
        """State of the layer's random generator."""

    def set_rng_state(self, state: Tensor) -> None:
        """Set the state of the layer's random generator."""


_METHODS = tuple(name for name in vars(RateLayer) if not name.startswith("_"))


def check_layers(layers: Sequence[RateLayer]) -> list[RateLayer]:
    """Return the layers as a list, or say which of them a controller cannot move."""
    layers = list(layers)
    if not layers:
        raise ValueError("layers must hold at least 1 layer, got none.")
    for i, layer in enumerate(layers):
        missing = [name for name in _METHODS if not callable(getattr(layer, name, None))]
        if missing:
            raise TypeError(
                f"layers[{i}] cannot be moved by a controller: {type(layer).__name__} has no "
                f"{', '.join(missing)}."
            )
        if any(layer is other for other in layers[:i]):
            raise ValueError(f"layers[{i}] is in layers twice; each layer may appear once.")
    return layers
