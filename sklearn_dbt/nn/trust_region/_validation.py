"""The objective "validation": held-out loss without masks, one unrolled step ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ._group import RateGroup
from ._objective import Losses, Objective, ObjectiveSettings, eager, relaxed_loss, scalar

Parameters = dict[str, Tensor]


class ValidationObjective(Objective):
    r"""Held-out loss after one step on the training loss, as a function of the rates.

    .. math::

        J(\omega) = L_{\mathrm{val}}\bigl( W'(\omega) \bigr), \qquad
        W'(\omega) = W - \eta P \nabla_W L_{\mathrm{train}}(W, \omega; u)

    :math:`L_{\mathrm{val}}` is taken in evaluation mode, so without masks. The step is made on a
    functional copy. :math:`P` is the optimizer's preconditioner as it stands, momentum left out;
    :math:`\eta` its learning rate times `lookahead`. With :math:`v = \eta P \nabla L_{\mathrm{val}}
    (W')`,

    .. math:: \nabla J = -\frac{\partial}{\partial \omega} \bigl[ v^\top \nabla_W
              L_{\mathrm{train}}(W, \omega; u) \bigr]

    which is one mixed second derivative; where an operation has none (fused recurrent kernels), it
    is the central difference of :math:`\nabla_\omega L_{\mathrm{train}}` along :math:`v`. Second
    derivatives of :math:`J` would be third ones of the loss and raise an error: a caller takes
    differences of gradients.
    """

    def __init__(
        self,
        settings: ObjectiveSettings,
        group: RateGroup,
        snapshots: Any,
        losses: Losses,
        uniforms: list[list[Tensor]],
    ) -> None:
        super().__init__(settings, group, snapshots, losses, uniforms)
        assert settings.module is not None
        assert settings.optimizer is not None
        assert losses.validation is not None
        self._module = settings.module
        self._validation = losses.validation
        scales = step_scales(settings.optimizer, settings.lookahead)
        named = dict(settings.module.named_parameters())
        self._scales = {name: scales[p] for name, p in named.items() if p in scales}
        self._weights_now = {name: named[name].detach() for name in self._scales}
        if not self._scales:
            raise ValueError(
                "objective='validation': the optimizer has not yet moved any parameter of module; "
                "both must belong to the training that is controlled."
            )

    @classmethod
    def check_needs(cls, settings: ObjectiveSettings, losses: Losses) -> None:
        """Module, an optimizer of a known kind, and the validation loss must be there."""
        needs = {
            "module": settings.module,
            "optimizer": settings.optimizer,
            "validation_loss": losses.validation,
        }
        missing = [name for name, value in needs.items() if value is None]
        if missing:
            raise ValueError(
                f"objective='validation' needs {', '.join(missing)}: give module and optimizer to "
                "the controller, and validation_loss to each step."
            )
        _second_moments(settings.optimizer)

    def __call__(self, omega: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and training loss; the first has a first derivative only."""
        differentiate = torch.is_grad_enabled() and omega.requires_grad
        inner = omega.detach().requires_grad_(differentiate)
        with torch.enable_grad():
            value, loss, gradient = self._unroll(inner, differentiate)
        if gradient is not None:
            value = _Differentiable.apply(omega, value, gradient)
        return self._with_penalty(value, omega), loss

    def _unroll(self, omega: Tensor, differentiate: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """Objective, training loss and the gradient of the first."""
        weights = {name: w.requires_grad_() for name, w in _detached(self._weights_now).items()}
        loss = self._train(weights, omega)
        slopes = self._slopes(loss, weights, create_graph=differentiate)
        ahead = {
            name: (w - self._scales[name] * slopes[name]).detach().requires_grad_(differentiate)
            if name in slopes
            else w.detach()
            for name, w in weights.items()
        }
        with evaluating(self._module), eager():
            value = scalar(self._call(ahead, self._validation), "validation_loss")
        gradient = None
        if differentiate:
            gradient = self._hypergradient(value, ahead, slopes, omega)
        return value.detach(), loss.detach(), gradient

    def _hypergradient(
        self, value: Tensor, ahead: Parameters, slopes: Parameters, omega: Tensor
    ) -> Tensor:
        names = list(slopes)
        if not value.requires_grad:
            return torch.zeros_like(omega)
        pulls = torch.autograd.grad(value, [ahead[name] for name in names], materialize_grads=True)
        v = {n: self._scales[n] * pull for n, pull in zip(names, pulls, strict=True)}
        try:
            (gradient,) = torch.autograd.grad(
                list(slopes.values()), omega, [-v[n] for n in names], materialize_grads=True
            )
        except RuntimeError:  # "derivative for ... is not implemented", or the graph is cut
            gradient = -self._mixed_difference(omega, v)
        return gradient.detach()

    def _mixed_difference(self, omega: Tensor, v: Parameters) -> Tensor:
        """Central difference of the training loss's gradient in the rates, along the weights."""
        length = float(torch.stack([d.double().square().sum() for d in v.values()]).sum().sqrt())
        if length == 0:
            return torch.zeros_like(omega)
        dtype = next(iter(v.values())).dtype
        step = torch.finfo(dtype).eps ** (1 / 3) / length
        sides = []
        for sign in (step, -step):
            moved = _detached(self._weights_now) | {
                n: self._weights_now[n] + sign * d for n, d in v.items()
            }
            loss = self._train(moved, omega)
            (side,) = torch.autograd.grad(loss, omega, allow_unused=True, materialize_grads=True)
            sides.append(side)
        return (sides[0] - sides[1]) / (2 * step)

    def _train(self, weights: Parameters, omega: Tensor) -> Tensor:
        # Copies of the buffers take the running statistics, or each evaluation would start
        # from other ones.
        buffers = {name: b.clone() for name, b in self._module.named_buffers()}
        return self._call(
            weights | buffers,
            lambda: relaxed_loss(
                self._group,
                omega,
                self._losses.train,
                self._uniforms,
                self._settings.temperature,
            ),
        )

    def _slopes(self, loss: Tensor, weights: Parameters, *, create_graph: bool) -> Parameters:
        slopes: tuple[Tensor | None, ...] = (None,)
        if loss.requires_grad:
            slopes = torch.autograd.grad(
                loss, list(weights.values()), create_graph=create_graph, allow_unused=True
            )
        used = {n: s for n, s in zip(weights, slopes, strict=False) if s is not None}
        if not used:
            raise ValueError(
                "objective='validation': loss() does not depend on the parameters of module that "
                "the optimizer moves; it must call that module."
            )
        return used

    def _call(self, tensors: Parameters, closure: Callable[[], Tensor]) -> Tensor:
        """What a closure gives while the module holds these tensors."""
        wrapper = _Caller(self._module)
        named = {f"module.{name}": tensor for name, tensor in tensors.items()}
        return functional_call(wrapper, named, (closure,))


class _Caller(nn.Module):
    """A module around the module, whose pass is a call of anything that uses it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, closure: Callable[[], Tensor]) -> Tensor:
        return closure()


class _Differentiable(torch.autograd.Function):
    """A number with the gradient that was computed for it."""

    @staticmethod
    def forward(ctx: Any, omega: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(omega, gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        omega, gradient = ctx.saved_tensors
        return outer.to(gradient) * _Once.apply(omega, gradient), None, None


class _Once(torch.autograd.Function):
    """A gradient that says so when it is differentiated, instead of passing for a constant."""

    @staticmethod
    def forward(ctx: Any, omega: Tensor, gradient: Tensor) -> Tensor:  # noqa: ARG004
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[None, None]:  # type: ignore[override]  # noqa: ARG004
        raise RuntimeError("The second derivative of the validation objective is not implemented.")


def step_scales(optimizer: torch.optim.Optimizer, lookahead: float) -> dict[Tensor, Tensor]:
    r"""Diagonal of :math:`\eta P` of each parameter that an optimizer has moved.

    Learning rate times `lookahead`, over :math:`\sqrt{\hat v} + \epsilon` for the adaptive ones.

    Parameters
    ----------
    optimizer : torch.optim.SGD, Adam, AdamW or RMSprop
        Its state is read only.
    lookahead : float
        Factor of the learning rate.

    Returns
    -------
    dict of Tensor to Tensor
        For each parameter a scalar, or a tensor of its shape.
    """
    second_moment = _second_moments(optimizer)
    scales: dict[Tensor, Tensor] = {}
    for group in optimizer.param_groups:
        sign = -1.0 if group.get("maximize", False) else 1.0
        for p in group["params"]:
            if not p.requires_grad or (second_moment is not None and p not in optimizer.state):
                continue
            size = torch.as_tensor(sign * lookahead * group["lr"]).to(p)
            if second_moment is not None:
                root = second_moment(optimizer.state[p], group).sqrt()
                size = size / (root + group["eps"])
            scales[p] = size.detach()
    return scales


def _adam(state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    moment = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
    return moment / (1 - group["betas"][1] ** float(state["step"]))


def _rmsprop(state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    moment = state["square_avg"]
    if group["centered"]:
        moment = moment - state["grad_avg"].square()
    return moment.clamp_min(0)


def _second_moments(
    optimizer: torch.optim.Optimizer | None,
) -> Callable[[dict[str, Any], dict[str, Any]], Tensor] | None:
    """The function that reads an optimizer's second moments, None where it has none."""
    known = {
        torch.optim.SGD: None,
        torch.optim.Adam: _adam,
        torch.optim.AdamW: _adam,
        torch.optim.RMSprop: _rmsprop,
    }
    for kind, moments in known.items():
        if isinstance(optimizer, kind):
            return moments
    raise TypeError(
        "objective='validation': optimizer must be one of "
        f"{', '.join(kind.__name__ for kind in known)}, got {type(optimizer).__name__}."
    )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, and then for every submodule the mode it was in."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training


def _detached(tensors: Parameters) -> Parameters:
    return {name: t.detach() for name, t in tensors.items()}
