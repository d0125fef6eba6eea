"""The passes of a layer that drops coefficients: hard, compiled, mapped, repeated and relaxed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..basis import Basis
from ._fused import Rates, drop, like
from ._mask_sharing import Sharing, share_masks
from ._masks import UniformSource, compiled_uniform, hard_mask
from ._relaxation import Relaxation, RelaxedPass

__all__ = ["MaskLayer"]


class MaskLayer(nn.Module):
    """Dropout of a basis's coefficients at rates that a subclass knows.

    It draws masks, repeats those of the passes that are repeated, keeps what a controller asks
    for, and relaxes masks for it. A subclass has a `basis`, calls `_start_masks` when it is made,
    and implements `_hard_rates` and `_relaxed_rates`.
    """

    basis: Basis
    _group: Tensor | None
    _ticket: Tensor

    def _start_masks(self, mask_sharing: str, seed: int | torch.Generator | None) -> None:
        self.mask_sharing = mask_sharing
        self.register_buffer("_group", None, persistent=False)
        self._share_masks()
        self.register_load_state_dict_post_hook(_after_loading)
        # Counts draws in compiled code; see `compiled_uniform`.
        self.register_buffer("_ticket", torch.tensor(0), persistent=False)
        self._source = UniformSource(seed, type(self).__name__)
        # T⁻¹ M T is then its own adjoint. A basis that adapts may be affine.
        self._is_symmetric = (
            self.basis.is_orthogonal
            and self.basis.is_invertible
            and not self.basis.needs_covariance
            and not any(True for _ in self.basis.parameters())
        )
        self._capturing = False
        self._captured: Tensor | None = None
        self._relaxation: Relaxation | None = None
        self._recorded: list[Tensor] | None = None

    def _share_masks(self) -> None:
        """Read from the layout which coefficients share their masks."""
        shared = share_masks(self.mask_sharing, self.basis.layout, type(self).__name__)
        self._n_groups = shared.n_groups if shared else 0
        self._group = shared.group if shared else None

    def _hard_rates(self, x: Tensor) -> Rates:
        """Rates of hard masks over an input, or what gives them from its coefficients."""
        raise NotImplementedError

    def _relaxed_rates(self, omega: Tensor, c: Tensor, x: Tensor) -> Tensor:
        """Smooth rates for given parameters, of the coefficients `c` of an input."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Drop coefficients in training; the identity in evaluation.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Real input; complex too where the basis takes complex signals.

        Returns
        -------
        Tensor
            Output of the input's shape and dtype; in evaluation the input itself.
        """
        if not self.training:
            return x
        if torch.compiler.is_compiling():
            return self._formula(x, lambda c: c * self._compiled_scale(c, x))
        if torch._C._are_functorch_transforms_active() and self._relaxation is None:
            return self._formula(x, lambda c: c * self._functional_scale(c, x))
        again = self._source.passes.repeated(x)
        seed = again if again is not None else self._next_pass(x)
        if isinstance(seed, RelaxedPass):
            return seed.run(self, x)
        rates = self._hard_rates(x)
        if self._is_symmetric:
            return drop(x, rates, seed, self.basis, self._sharing)
        return self._formula(x, lambda c: drop(c, rates, seed, sharing=self._sharing))

    def _next_pass(self, x: Tensor) -> int | RelaxedPass:
        """Seed of a pass that repeats no other, or what stands for it in a relaxed one."""
        self._check(x)
        draw: int | RelaxedPass
        if self._relaxation is not None:
            draw = self._relaxation.next_pass()
        else:
            if self._capturing:
                self._captured = x.detach()
            draw = self._source.seed()
        self._source.passes.keep(x, draw)
        return draw

    def _check(self, x: Tensor) -> None:
        """Raise what analysis would, before anything is drawn or kept."""
        basis = self.basis
        is_right = isinstance(x, Tensor) and x.is_floating_point() and x.ndim > 0
        if not (is_right and x.shape[-1] == basis.n_features):
            takes_complex = basis.takes_complex
            basis._check(x, "analysis", "x", basis.n_features, takes_complex=takes_complex)

    def _formula(self, x: Tensor, dropped: Callable[[Tensor], Tensor]) -> Tensor:
        c = self.basis.analysis(x)
        if x.numel() == 0:
            return x.clone()
        y = self.basis.synthesis(dropped(c))
        if not self.basis.is_invertible:
            y = x - self.basis.synthesis(c) + y  # what the basis does not see passes
        return like(y, x)

    def _compiled_scale(self, c: Tensor, x: Tensor) -> Tensor:
        if self._relaxation is not None:
            return self._relaxation.next_pass().scale(self, c, x)
        if self._capturing:
            self._captured = x.detach()
        drawn = compiled_uniform(self._ticket, x.detach(), self._drawn_shape(c), self._source.key)
        return self._scale(c, x, self._spread(drawn))

    def _functional_scale(self, c: Tensor, x: Tensor) -> Tensor:
        with torch._C._DisableFuncTorch():
            generator = torch.Generator(c.device).manual_seed(self._source.seed())
        # Drawn by torch, whose `vmap` is told what is to be random.
        drawn = torch.rand(self._drawn_shape(c), generator=generator, device=c.device)
        return self._scale(c, x, self._spread(drawn))

    def _scale(self, c: Tensor, x: Tensor, uniforms: Tensor) -> Tensor:
        found = self._hard_rates(x)
        rates = found if isinstance(found, Tensor) else found(c)
        return (hard_mask(rates, uniforms) / (1 - rates)).to(c.real.dtype)

    @property
    def _sharing(self) -> Sharing | None:
        return None if self._group is None else Sharing(self._group, self._n_groups)

    def _drawn_shape(self, c: Tensor) -> tuple[int, ...]:
        """How many uniforms a pass over these coefficients takes."""
        return (*c.shape[:-1], c.shape[-1] if self._group is None else self._n_groups)

    def _spread(self, drawn: Tensor) -> Tensor:
        """The uniform of each coefficient."""
        return drawn if self._group is None else drawn.index_select(-1, self._group)

    def capture(self, enabled: bool) -> None:
        """Keep, or stop keeping, a detached reference to the last input in training.

        Parameters
        ----------
        enabled : bool
            Whether to keep it.
        """
        self._capturing = bool(enabled)
        self._captured = None

    def take_captured(self) -> Tensor | None:
        """The last input in training since the last call; forgets it.

        Returns
        -------
        Tensor or None
            None if there was none.
        """
        captured, self._captured = self._captured, None
        return captured

    @contextmanager
    def relaxed(self, omega: Tensor, uniforms: list[Tensor], temperature: float) -> Iterator[None]:
        """Use relaxed masks within the context; see `concrete_mask`.

        Parameters
        ----------
        omega : Tensor of shape (n_parameters,)
            Parameters; outputs can be differentiated in them.
        uniforms : list of Tensor
            Uniforms of the first, second, ... pass. Where the list is too short, the layer draws
            from its generator and appends.
        temperature : float
            Temperature of the masks.
        """
        before = self._relaxation
        self._relaxation = Relaxation(omega, uniforms, float(temperature))
        try:
            yield
        finally:
            self._relaxation = before

    @contextmanager
    def recording(self) -> Iterator[list[Tensor]]:
        """Collect the rates that relaxed passes use within the context.

        Yields
        ------
        list of Tensor
            Filled with the rates of each pass, in the shape of its coefficients; what is computed
            from the pass can be differentiated in them.
        """
        before, self._recorded = self._recorded, []
        try:
            yield self._recorded
        finally:
            self._recorded = before

    def get_rng_state(self) -> Tensor:
        """State of the layer's generator.

        Returns
        -------
        Tensor of uint8
            The state.
        """
        return self._source.get_state()

    def set_rng_state(self, state: Tensor) -> None:
        """Set the state of the layer's generator.

        Parameters
        ----------
        state : Tensor of uint8
            What `get_rng_state` returned, on whatever device the layer was.
        """
        self._source.set_state(state)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_captured": None, "_relaxation": None, "_recorded": None}


def _after_loading(module: MaskLayer, _: Any) -> None:
    module._share_masks()
