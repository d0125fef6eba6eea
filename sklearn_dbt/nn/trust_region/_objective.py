"""The one smooth function that gradient, model and ratio test share: its frame, its simplest."""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ._group import RateGroup
from ._protocol import RateLayer


class Losses(NamedTuple):
    """The closures that a controller was given: loss of the batch, and of held-out rows."""

    train: Callable[[], Tensor]
    validation: Callable[[], Tensor] | None = None


class ObjectiveSettings(Protocol):
    """What objectives read from their controller."""

    layers: list[RateLayer]
    penalty: float
    temperature: float
    module: nn.Module | None
    optimizer: torch.optim.Optimizer | None
    lookahead: float
    kl_weight: float
    n_samples: int | None
    likelihood: str


class Objective(ABC):
    r"""A smooth function :math:`J(\omega)` that gradient, model and ratio test share.

    It is made once per update and snapshot. The uniforms :math:`u` of the relaxed masks are drawn
    from the layers' generators in the first evaluation and kept. Every objective may have the
    penalty :math:`\lambda \sum_k w_k \, \mathrm E[p_k] \operatorname{var}(c_k)` added to it.

    Parameters
    ----------
    settings : ObjectiveSettings
        Where the options are read, the controller.
    group : RateGroup
        Layers of this update.
    snapshots : sequence
        Frozen statistics, one of each layer.
    losses : Losses
        Closures of scalars.
    uniforms : list of list of Tensor
        Uniforms drawn so far in this update, one list a layer; filled where they are missing.
    """

    default_penalty: ClassVar[float] = 0.0

    def __init__(
        self,
        settings: ObjectiveSettings,
        group: RateGroup,
        snapshots: Sequence[Any],
        losses: Losses,
        uniforms: list[list[Tensor]],
    ) -> None:
        self._settings = settings
        self._group = group
        self._snapshots = snapshots
        self._losses = losses
        self._uniforms = uniforms
        self._weights = [
            layer.penalty_weights(probe, nu).detach()
            for layer, probe, nu in zip(group.layers, group.probes, snapshots, strict=True)
        ]

    @classmethod  # noqa: B027 (most objectives serve all)
    def check_layers(cls, layers: Sequence[RateLayer]) -> None:
        """Say which of a controller's layers this objective cannot serve."""

    @classmethod  # noqa: B027 (and need nothing)
    def check_needs(cls, settings: ObjectiveSettings, losses: Losses) -> None:
        """Say what is missing for an update; called before a step changes anything."""

    @abstractmethod
    def __call__(self, omega: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and training loss, scalars; the first is differentiable in `omega`."""

    def _training_loss(self, omega: Tensor) -> Tensor:
        return relaxed_loss(
            self._group, omega, self._losses.train, self._uniforms, self._settings.temperature
        )

    def _with_penalty(self, value: Tensor, omega: Tensor) -> Tensor:
        if self._settings.penalty == 0:
            return value
        rates = self._group.rates(omega, self._snapshots, smooth=True)
        terms = [(r.mean(0) * v.to(r)).sum() for r, v in zip(rates, self._weights, strict=True)]
        return value + self._settings.penalty * torch.stack([t.to(value) for t in terms]).sum()


class TrainObjective(Objective):
    r"""Training loss with relaxed masks at fixed uniforms.

    .. math:: J(\omega) = L(\omega; u)
    """

    default_penalty = 0.1

    def __call__(self, omega: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and training loss."""
        loss = self._training_loss(omega)
        return self._with_penalty(loss, omega), loss.detach()


def relaxed_loss(
    group: RateGroup,
    omega: Tensor,
    loss: Callable[[], Tensor],
    uniforms: list[list[Tensor]],
    temperature: float,
) -> Tensor:
    r"""The training loss :math:`L(\omega; u)` with relaxed masks, a scalar."""
    with ExitStack() as stack:
        stack.enter_context(eager())
        for layer, part, u in zip(group.layers, group.split(omega), uniforms, strict=True):
            stack.enter_context(layer.relaxed(part, u, temperature))
        return scalar(loss(), "loss")


def scalar(loss: Tensor, name: str) -> Tensor:
    """Return what a closure gave as a scalar, or say what is wrong with it."""
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(type(loss))
        raise TypeError(f"{name}() must return a tensor with one element, got {got}.")
    return loss.reshape(())


_lock = threading.Lock()
_depth = 0
_stance: ExitStack | None = None


@contextmanager
def eager() -> Iterator[None]:
    """Ignore `torch.compile` meanwhile: compiled functions have no second derivative.

    The stance belongs to the process, so the first thread in sets it and the last one out puts it
    back; else two threads that overlap could leave it behind.
    """
    global _depth, _stance
    with _lock:
        if _depth == 0:
            _stance = ExitStack()
            if "torch._dynamo" in sys.modules:  # else nothing is compiled; its import takes seconds
                _stance.enter_context(torch.compiler.set_stance("force_eager"))
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                assert _stance is not None
                _stance.close()
                _stance = None


@contextmanager
def buffers_kept(module: nn.Module | None, layers: Sequence[Any]) -> Iterator[None]:
    """Put back the buffers of a module afterwards (batch-norm statistics), not the layers' own."""
    if module is None:
        yield
        return
    own = {id(b) for layer in layers if isinstance(layer, nn.Module) for b in layer.buffers()}
    saved = [(b, b.clone()) for b in module.buffers() if id(b) not in own]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in saved:
                buffer.copy_(value)
