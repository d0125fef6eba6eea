"""The one smooth function that gradient, model and ratio test share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ._group import RateGroup


class RelaxedObjective:
    r"""Training loss with relaxed masks at fixed uniforms, plus the penalty on the rates.

    .. math:: J(\omega) = L(\omega; u) + \lambda R(p), \qquad
              R(p) = \sum_k w_k \, \mathrm E[p_k] \operatorname{var}(c_k) .

    The uniforms :math:`u` are drawn from the layers' generators in the first evaluation and kept.
    """

    def __init__(
        self,
        group: RateGroup,
        snapshots: Sequence[Any],
        loss: Callable[[], Tensor],
        *,
        penalty: float,
        temperature: float,
        uniforms: list[list[Tensor]],
    ) -> None:
        self._group = group
        self._snapshots = snapshots
        self._loss = loss
        self._penalty = penalty
        self._temperature = temperature
        self._uniforms = uniforms
        self._weights = [
            layer.penalty_weights(probe, nu).detach()
            for layer, probe, nu in zip(group.layers, group.probes, snapshots, strict=True)
        ]

    def __call__(self, omega: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and loss, scalars."""
        group = self._group
        with ExitStack() as stack:
            stack.enter_context(eager())
            for layer, part, u in zip(
                group.layers, group.split(omega), self._uniforms, strict=True
            ):
                stack.enter_context(layer.relaxed(part, u, self._temperature))
            loss = self._loss()
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(type(loss))
            raise TypeError(f"loss() must return a tensor with one element, got {got}.")
        loss = loss.reshape(())
        if self._penalty == 0:
            return loss, loss.detach()
        rates = group.rates(omega, self._snapshots, smooth=True)
        terms = [(r.mean(0) * v.to(r)).sum() for r, v in zip(rates, self._weights, strict=True)]
        cost = torch.stack([term.to(loss) for term in terms]).sum()
        return loss + self._penalty * cost, loss.detach()


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
