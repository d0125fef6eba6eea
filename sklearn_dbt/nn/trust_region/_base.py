"""What the controllers share: counting, observing, history and state."""

from __future__ import annotations

import copy
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ._group import RateGroup
from ._objective import Losses
from ._protocol import RateLayer, check_layers
from ._ranks import Intake, Ranks, pool_statistics
from ._step import longest_within

_COLUMNS = (
    "step",
    "radius",
    "step_norm",
    "rho",
    "accepted",
    "loss",
    "objective",
    "mean_rate",
    "n_rates",
)


# Numbers in the layers' inputs up to which the time of an operation is that of its call.
_SMALL = 2**16


class RateController(ABC):
    """Counts optimizer steps, lets the layers observe, and calls `_update` when it is due."""

    def __init__(
        self,
        layers: Sequence[RateLayer],
        *,
        update_every: int,
        observe_every: int,
        warmup_steps: int,
        process_group: Any = None,
    ) -> None:
        self.layers = check_layers(layers)
        self.ranks = Ranks(process_group)
        self.update_every = check_integer("update_every", update_every, 1)
        self.observe_every = check_integer("observe_every", observe_every, 1)
        self.warmup_steps = check_integer("warmup_steps", warmup_steps, 0)
        self.n_steps = 0
        self._history: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        for layer in self.layers:
            layer.capture(True)

    @property
    def history(self) -> dict[str, list[Any]]:
        """Copy of the history: equally long lists, one entry an update."""
        return {name: list(values) for name, values in self._history.items()}

    @property
    def n_updates(self) -> int:
        """Number of updates so far."""
        return len(self._history["step"])

    def step(
        self, loss: Callable[[], Tensor], validation_loss: Callable[[], Tensor] | None = None
    ) -> bool:
        """Observe the last batch and move the rates, each when it is time.

        Call it once after every optimizer step.

        Parameters
        ----------
        loss : callable
            Takes nothing, returns the scalar training loss of the current batch in training
            mode. It is called only when an update is due, a few times then.
        validation_loss : callable, default=None
            Takes nothing, returns the scalar loss of held-out rows, the same ones each time it
            is called in an update. Only the objective "validation" calls it, with the network in
            evaluation mode.

        Returns
        -------
        bool
            Whether an update was made (accepted or not). None is made where the inputs of all
            layers are empty or not finite; a layer of which this is true is left out.

        Raises
        ------
        RuntimeError
            If no layer has seen an input in training mode since the last call. Where several
            processes train together this is no error: the others may have.
        ValueError
            If something is missing that the objective needs; nothing is changed then.
        """
        losses = Losses(loss, validation_loss)
        self._check_needs(losses)
        inputs = [layer.take_captured() for layer in self.layers]
        ranks = self.ranks
        if all(x is None for x in inputs) and not ranks.several:
            raise RuntimeError(
                f"{type(self).__name__}.step: no layer has seen an input in training mode since "
                "the last call; call it after a training step."
            )
        self.n_steps += 1
        late = self.n_steps - self.warmup_steps
        is_due = late > 0 and late % self.update_every == 0
        if not is_due and self.n_steps % self.observe_every:
            return False
        fresh = [not getattr(layer, "observed", True) for layer in self.layers]
        here = [_observe(layer, x) for layer, x in zip(self.layers, inputs, strict=True)]
        taken = pool_statistics(ranks, self.layers, here, fresh) if ranks.several else here
        active = [i for i, intake in enumerate(taken) if intake.n_samples]
        if not active or not is_due:
            return False
        probes = [
            _probe(self.layers[i], inputs[i] if here[i].n_samples else None, taken[i])
            for i in active
        ]
        n_samples = max(here[i].n_samples for i in active)
        layers, size = [self.layers[i] for i in active], sum(_size(x) for x in inputs)
        group = RateGroup(layers, probes, ranks, n_samples, is_small=size <= _SMALL)
        self._update(group, losses)
        return True

    def _check_needs(self, losses: Losses) -> None:  # noqa: B027 (most need nothing)
        """Raise where the losses, or what the controller was given, are not enough."""

    @abstractmethod
    def _update(self, group: RateGroup, losses: Losses) -> None:
        """Move the rates of the layers that were active and record it."""

    def _record(self, **entry: Any) -> None:
        for name in _COLUMNS:
            self._history[name].append(entry[name])

    def state_dict(self) -> dict[str, Any]:
        """Everything that a restart needs and the layers' own `state_dict` does not hold.

        Returns
        -------
        dict
            Counters, history and the state of the random generators, the layers' included.
        """
        return {
            "n_steps": self.n_steps,
            "history": self.history,
            "rng_states": [layer.get_rng_state() for layer in self.layers],
            **{name: copy.copy(getattr(self, name)) for name in self._state_names},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state; the layers' own state is loaded apart.

        Parameters
        ----------
        state : dict
            What `state_dict` returned.

        Raises
        ------
        ValueError
            If keys are missing or unknown, or the number of layers differs; nothing is changed.
        """
        expected = {"n_steps", "history", "rng_states", *self._state_names}
        if set(state) != expected:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: the state must have the keys "
                f"{sorted(expected)}, got {sorted(state)}."
            )
        if len(state["rng_states"]) != len(self.layers):
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: the state is of "
                f"{len(state['rng_states'])} layers, the controller has {len(self.layers)}."
            )
        self.n_steps = state["n_steps"]
        self._history = {name: list(values) for name, values in state["history"].items()}
        for layer, rng_state in zip(self.layers, state["rng_states"], strict=True):
            layer.set_rng_state(rng_state)
        for name in self._state_names:
            setattr(self, name, copy.copy(state[name]))

    _state_names: tuple[str, ...] = ()


def _size(x: Tensor | None) -> int:
    return 0 if x is None else x.numel()


def _observe(layer: RateLayer, x: Tensor | None) -> Intake:
    """Let an input enter a layer's statistics; tell how much of it did."""
    if x is None or not layer.observe(x):
        return Intake(0, 0)
    n_samples = len(x) if x.ndim > 1 else 1
    return Intake(n_samples, x.numel() // (n_samples * x.shape[-1]))


def _probe(layer: RateLayer, x: Tensor | None, anywhere: Intake) -> Tensor:
    """A layer's probe; of one sample that says nothing where only other ranks have seen any."""
    if x is None:
        omega, n = layer.get_omega(), getattr(layer, "n_features", 1)
        shape = (1, anywhere.n_series, n) if anywhere.n_series > 1 else (1, n)
        x = torch.zeros(shape, dtype=torch.float64, device=omega.device)
    return layer.make_probe(x)


def refresh(
    group: RateGroup, old: Sequence[Any], rates: Sequence[Tensor], budget: float
) -> tuple[list[Any], float]:
    """Snapshots as near to the candidates as a distance from the present rates allows.

    They are tried at 1, 1/2, 1/4, ... of the way, and left where they are when 1/64 is too far.
    Returns them and the fraction of the way.
    """
    new = [layer.candidate_snapshot() for layer in group.layers]
    omega = group.omega
    for k in range(7):
        blended = [
            layer.blend_snapshots(a, b, 0.5**k)
            for layer, a, b in zip(group.layers, old, new, strict=True)
        ]
        if group.distance(group.rates(omega, blended), rates) <= budget:
            return blended, 0.5**k
    return list(old), 0.0


def fitted_step(
    group: RateGroup,
    step: Tensor,
    snapshots: Sequence[Any],
    rates: Sequence[Tensor],
    radius: float,
    start: Tensor | None = None,
) -> Tensor:
    """The longest part of a step, rounded as it is stored, with which rates stay in the radius.

    `rates` are those from which the distance is measured, `start` is where the step begins; None
    is the parameters in force.
    """
    omega = group.omega if start is None else start

    def moved(fraction: float) -> list[Tensor]:
        return group.rates(group.rounded(omega + fraction * step), snapshots)

    def length(fraction: float) -> float:
        return group.distance(moved(fraction), rates)

    def guess(limit: float) -> float:
        here = group.rates(omega, snapshots)
        return group.straight_fraction(rates, here, moved(1.0), limit)

    return group.rounded(omega + longest_within(length, radius, guess) * step) - omega


def adopt(group: RateGroup, snapshots: Sequence[Any]) -> None:
    """Put snapshots in force."""
    for layer, snapshot in zip(group.layers, snapshots, strict=True):
        layer.adopt_snapshot(snapshot)


def check_integer(name: str, value: int, minimum: int) -> int:
    """Return an integer of at least a minimum, or say what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}.")
    return int(value)


def check_float(name: str, value: float, low: float, high: float, *, open_low: bool) -> float:
    """Return a finite number of an interval, or say what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}.")
    number = float(value)
    inside = (low < number if open_low else low <= number) and number <= high
    if not (inside and math.isfinite(number)):
        bracket = "(" if open_low else "["
        raise ValueError(f"{name} must be finite and in {bracket}{low}, {high}], got {value}.")
    return number
