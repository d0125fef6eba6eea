"""Masks, hard and relaxed, and the generator that their seeds come from."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._checks import check_seed
from ._fused import uniforms
from ._passes import Passes

__all__ = ["UniformSource", "compiled_uniform", "concrete_mask", "hard_mask"]


def hard_mask(p: Tensor, uniforms: Tensor) -> Tensor:
    r"""Bernoulli mask :math:`m_k = [u_k \ge p_k]`: True is kept, with probability 1 - p.

    Parameters
    ----------
    p : Tensor of shape (..., n_coefficients)
        Rates. A tensor and not a number: compiled code would keep the first number for ever.
    uniforms : Tensor of shape (..., n_coefficients)
        Uniform on [0, 1) in float32; bfloat16 would drop 0.3 % where 0.1 % is asked for.

    Returns
    -------
    Tensor of bool
        The mask; rates of exactly 0 always keep.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import hard_mask
    >>> hard_mask(torch.tensor([0.0, 0.5, 0.5]), torch.tensor([0.0, 0.4, 0.5]))
    tensor([ True, False,  True])
    """
    return uniforms >= p


def concrete_mask(p: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    r"""Relaxed mask (binary concrete, Gumbel-softmax), smooth in the rates.

    .. math:: \tilde m_k = \sigma\Bigl( \frac1\tau \bigl[ \log\tfrac{1 - p_k}{p_k}
              + \log\tfrac{u_k}{1 - u_k} \bigr] \Bigr)

    For :math:`\tau \to 0` it is the hard mask at the same uniforms.

    Parameters
    ----------
    p : Tensor of shape (..., n_coefficients)
        Rates in [0, 1); where one is 0 the mask is 1, with no gradient.
    uniforms : Tensor of shape (..., n_coefficients)
        Uniform on [0, 1).
    temperature : float
        :math:`\tau > 0`.

    Returns
    -------
    Tensor
        Mask in (0, 1].

    References
    ----------
    .. [1] C. J. Maddison, A. Mnih and Y. W. Teh, "The Concrete Distribution: A Continuous
       Relaxation of Discrete Random Variables", ICLR 2017.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import concrete_mask
    >>> p, u = torch.tensor([0.0, 0.5, 0.5]), torch.tensor([0.2, 0.2, 0.8])
    >>> concrete_mask(p, u, 1.0)
    tensor([1.0000, 0.2000, 0.8000])
    >>> concrete_mask(p, u, 0.1).round(decimals=3)
    tensor([1., 0., 1.])
    """
    free = p > 0
    # Masked before the logarithm: its gradient at 0 is infinite, and infinity times 0 is nan.
    safe = torch.where(free, p, 0.5)
    u = uniforms.to(p.dtype).clamp(torch.finfo(torch.float32).tiny, 1 - 2**-24)
    logits = torch.log1p(-safe) - safe.log() + u.log() - torch.log1p(-u)
    return torch.where(free, torch.sigmoid(logits / temperature), 1.0)


_N_SEEDS = 64
_keys = itertools.count()
_sources: weakref.WeakValueDictionary[int, UniformSource] = weakref.WeakValueDictionary()


class UniformSource:
    """A layer's own random generator, which pickles, copies, moves and compiles.

    A draw is the seed of one pass: uniforms are a function of it, so what has to be kept in order
    to repeat them is one number. The generator stays on the CPU, wherever the layer is.

    Compiled code cannot hold a `torch.Generator`; it calls an operator that finds the source by
    its `key` instead. A copy goes on where the original was, with a key of its own.

    Parameters
    ----------
    seed : int, torch.Generator or None
        Seed, a generator to draw it from, or None for one from the operating system.
    where : str, default="UniformSource"
        Who says that a seed is wrong.
    """

    def __init__(self, seed: int | torch.Generator | None, where: str = "UniformSource") -> None:
        if seed is None:
            seed = torch.Generator().seed()
        elif isinstance(seed, torch.Generator):
            seed = int(
                torch.randint(2**62, (), generator=seed, device=seed.device, dtype=torch.int64)
            )
        check_seed(seed, where)
        self._set(torch.Generator().manual_seed(int(seed)))

    def _set(self, generator: torch.Generator) -> None:
        self._generator = generator
        self._seeds: list[int] = []  # drawn, the next one last: one draw for many costs less
        self._state = generator.get_state()  # before they were
        self.passes = Passes()
        self.key = next(_keys)
        _sources[self.key] = self

    def seed(self) -> int:
        """Seed of the next pass, from 0 to 2^63 - 1."""
        while True:
            try:
                return self._seeds.pop()
            except IndexError:  # and not a look beforehand: another thread may take the last one
                self._refill()

    def _refill(self) -> None:
        self._state = self._generator.get_state()
        block = torch.empty(_N_SEEDS, dtype=torch.int64).random_(generator=self._generator)
        self._seeds = block.tolist()

    def seed_for(self, x: Tensor) -> int:
        """Seed of the pass over an input: of the next one, or of the one that it repeats."""
        seed = self.passes.repeated(x)
        if seed is None:
            seed = self.seed()
            self.passes.keep(x, seed)
        return seed

    def draw(self, shape: Sequence[int], device: torch.device) -> Tensor:
        """Float32 uniforms on [0, 1) of the next pass."""
        return uniforms(self.seed(), shape, device)

    def get_state(self) -> Tensor:
        """State of the generator before the last seeds were drawn, and how many are left."""
        state = self._state if self._seeds else self._generator.get_state()
        return torch.cat([state, torch.tensor([len(self._seeds)], dtype=torch.uint8)])

    def set_state(self, state: Tensor) -> None:
        """Set the state."""
        with torch._C._DisableFuncTorch():  # whose tensors have no memory
            self._generator.set_state(state[:-1])
            self._seeds = []
            if n_left := int(state[-1]):
                self._refill()
                del self._seeds[n_left:]

    def __getstate__(self) -> dict[str, Any]:
        return {"state": self.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(torch.Generator())
        self.set_state(state["state"])


@torch.library.custom_op(
    "sklearn_dbt::uniform", mutates_args={"ticket"}, tags=(torch.Tag.nondeterministic_seeded,)
)
def compiled_uniform(ticket: Tensor, x: Tensor, shape: Sequence[int], key: int) -> Tensor:
    """Uniforms for compiled code, the same again where the pass over `x` is repeated.

    `ticket` counts the draws. That it is changed tells the compiler that two calls differ, and
    that none may be left out, moved or repeated.
    """
    ticket.add_(1)
    return uniforms(_sources[key].seed_for(x), shape, ticket.device)


@compiled_uniform.register_fake
def _(ticket: Tensor, x: Tensor, shape: Sequence[int], key: int) -> Tensor:  # noqa: ARG001
    return ticket.new_empty(shape, dtype=torch.float32)
