"""The layer: dropout of a basis's coefficients, at rates that a controller may move."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..basis import Basis, make_basis
from ._fused import drop, like
from ._mask_sharing import Sharing, share_masks
from ._masks import UniformSource, compiled_uniform, hard_mask
from ._policies import Policy, make_policy
from ._rates import CoefficientRates, Lock
from ._relaxed_scale import relaxed_scale

__all__ = ["TransformDropout"]


class TransformDropout(CoefficientRates):
    r"""Dropout of transform coefficients: a drop-in for `torch.nn.Dropout`.

    In training the last axis of the input is taken to a basis, coefficients are dropped each at its
    own rate, and the rest is scaled so that the output's expectation is the input:

    .. math::

        c = T(x), \qquad m_k \sim \mathrm{Bernoulli}(1 - p_k), \qquad
        y = T^{-1}\Bigl( c \odot \frac{m}{1 - p} \Bigr), \qquad \mathrm E[y] = x .

    In evaluation it returns its input. A policy says how the rates follow from what each
    coefficient is, :math:`p = p(\omega; \nu)`: from its few parameters :math:`\omega`, which are
    buffers (a weight optimizer does not see them; a controller of `sklearn_dbt.nn.trust_region`
    moves them), and from a frozen snapshot :math:`\nu` of running statistics. `forward` reads and
    changes neither; statistics accumulate in `observe`.

    Parameters
    ----------
    n_features : int
        Length of the last axis.
    basis : str or Basis, default="fourier"
        Name of a basis in `BASES`, or a basis for signals of this length, which is copied.
    policy : str or Policy, default="energy"
        One of ``"energy"``, ``"sample_energy"``, ``"frequency"``, ``"index"``, ``"uniform"``,
        ``"free"`` (see `make_policy`), or the policy itself.
    p : float, default=0.5
        Mean rate to start with, from `p_min` to `p_max`. For a policy that looks at energies it is
        met for log-energies that are normally distributed over the coefficients. A policy with a
        bias of its own starts from that.
    p_min, p_max : float, default=0.0, 0.95
        Bounds of every rate that is not locked; ``0 <= p_min < p_max < 1``.
    mask_sharing : {"none", "octave"}, default="none"
        Which coefficients of a channel are kept or dropped together: none, or those of an octave
        of frequency, which for a wavelet transform is a scale. They are compared with one uniform,
        each at its own rate, so that expectations stay what they are. Coefficients without a
        frequency are on their own.
    locks : sequence of (float, float) or CoefficientSet, default=()
        Bands in Hz, edges included, or sets such as ``Scales([1])``, whose coefficients are never
        dropped: their rate is 0.
    sampling_rate : float, default=None
        Samples per second in Hz, needed for `locks` and for `Band`.
    p_zero : float, default=1e-3
        Where `p_min` is 0, smaller rates are 0: the sigmoid never gets there. A controller still
        differentiates what the sigmoid gives, so they come back when it pays.
    momentum : float, default=0.99
        Weight of the past in the running statistics, in [0, 1).
    seed : int, torch.Generator or None, default=None
        Seed of the layer's own generator, a generator to draw it from, or None for one from the
        operating system. Torch's global generator is neither read nor changed.

    Attributes
    ----------
    rates : Tensor of shape (n_coefficients,)
        The rates in force.
    omega : Tensor of shape (n_parameters,)
        The policy's weights and, last, its bias.
    locked : Tensor of bool of shape (n_coefficients,)
        Coefficients that are never dropped.
    basis : Basis
        The basis.
    policy : Policy
        The policy.
    observed : bool
        Whether there are statistics. Until then a policy that looks at the population's energies
        takes the batch's.

    Notes
    -----
    A complex coefficient has one real mask. For a basis that does not span all signals,
    :math:`y = x - S(c) + S(c \odot m / (1 - p))` with its synthesis :math:`S`.

    Each call draws a seed from the layer's generator. A mask is a function of the seed and of the
    coefficient's place: on the CPU 32 bits of a hash are compared with :math:`2^{32} p_k` [2]_,
    elsewhere a float32 of torch's generator with :math:`p_k`, whatever the input's precision. For
    an orthogonal basis the derivative is the map itself, so that only the seed is kept for it.
    Activation checkpointing, which repeats calls, gets the masks of the calls it repeats.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A
       Simple Way to Prevent Neural Networks from Overfitting", Journal of Machine Learning Research
       15, 1929-1958, 2014.
    .. [2] G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators",
       OOPSLA 2014, 453-472.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import TransformDropout
    >>> layer = TransformDropout(4, basis="dct", policy="uniform", p=0.5, seed=0)
    >>> x = torch.tensor([[1.0, 3.0, 2.0, 7.0]])
    >>> y = layer(x)
    >>> (layer.basis.analysis(y) / layer.basis.analysis(x)).round().abs()
    tensor([[2., 2., 0., 2.]])
    >>> layer.eval()(x) is x
    True
    """

    _group: Tensor | None

    def __init__(
        self,
        n_features: int,
        basis: str | Basis = "fourier",
        policy: str | Policy = "energy",
        *,
        p: float = 0.5,
        p_min: float = 0.0,
        p_max: float = 0.95,
        mask_sharing: str = "none",
        locks: Sequence[Lock] = (),
        sampling_rate: float | None = None,
        p_zero: float = 1e-3,
        momentum: float = 0.99,
        seed: int | torch.Generator | None = None,
    ) -> None:
        super().__init__(
            # A basis may adapt to what its layer sees: no two layers share one.
            copy.deepcopy(make_basis(basis, n_features)),
            make_policy(policy),
            p=p,
            p_min=p_min,
            p_max=p_max,
            locks=locks,
            sampling_rate=sampling_rate,
            p_zero=p_zero,
            momentum=momentum,
        )
        self.mask_sharing = mask_sharing
        shared = share_masks(mask_sharing, self.basis.layout)
        self._n_groups = shared.n_groups if shared else 0
        self.register_buffer("_group", shared.group if shared else None, persistent=False)
        # Counts draws in compiled code; see `compiled_uniform`.
        self.register_buffer("_ticket", torch.tensor(0), persistent=False)
        self._source = UniformSource(seed)
        self._per_sample = self.policy.per_sample
        self._reads_population = self.policy.reads_population
        # T⁻¹ M T is then its own adjoint. A basis that adapts may be affine.
        self._is_symmetric = (
            self.basis.is_orthogonal
            and self.basis.is_invertible
            and not self.basis.needs_covariance
            and not any(True for _ in self.basis.parameters())
        )
        self._capturing = False
        self._captured: Tensor | None = None
        self._relaxation: _Relaxation | None = None
        self._recorded: list[Tensor] | None = None

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
            return self._formula(x, lambda c: c * self._functional_scale(c))
        again = self._source.passes.repeated(x)
        seed = again if again is not None else self._next_pass(x)
        if isinstance(seed, _RelaxedPass):
            return seed.run(self, x)
        is_fixed = not self._per_sample and (self.observed or not self._reads_population)
        rates = self._rates if is_fixed else self._rates_for
        if self._is_symmetric:
            return drop(x, rates, seed, self.basis, self._sharing)
        return self._formula(x, lambda c: drop(c, rates, seed, sharing=self._sharing))

    def _next_pass(self, x: Tensor) -> int | _RelaxedPass:
        """Seed of a pass that repeats no other, or what stands for it in a relaxed one."""
        draw: int | _RelaxedPass
        if self._relaxation is not None:
            draw = self._relaxation.next_pass()
        else:
            if self._capturing:
                self._captured = x.detach()
            draw = self._source.seed()
        self._source.passes.keep(x, draw)
        return draw

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
            return self._relaxation.next_pass().scale(self, c)
        if self._capturing:
            self._captured = x.detach()
        drawn = compiled_uniform(self._ticket, x.detach(), self._drawn_shape(c), self._source.key)
        return self._scale(c, self._spread(drawn))

    def _functional_scale(self, c: Tensor) -> Tensor:
        with torch._C._DisableFuncTorch():
            generator = torch.Generator(c.device).manual_seed(self._source.seed())
        # Drawn by torch, whose `vmap` is told what is to be random.
        drawn = torch.rand(self._drawn_shape(c), generator=generator, device=c.device)
        return self._scale(c, self._spread(drawn))

    def _scale(self, c: Tensor, uniforms: Tensor) -> Tensor:
        rates = self._rates_for(c)
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
        self._relaxation = _Relaxation(omega, uniforms, float(temperature))
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
        return {
            **self.__dict__,
            "_captured": None,
            "_relaxation": None,
            "_recorded": None,
            "_kept": None,
        }

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses."""
        return f"{self.n_features}, mean_rate={float(self.rates.mean()):.3g}"


class _Relaxation:
    """What a pass needs to be smooth in the parameters, and how many passes there have been."""

    def __init__(self, omega: Tensor, uniforms: list[Tensor], temperature: float) -> None:
        self.omega = omega
        self.uniforms = uniforms
        self.temperature = temperature
        self.n_passes = 0

    def next_pass(self) -> _RelaxedPass:
        """The pass after the last one."""
        self.n_passes += 1
        return _RelaxedPass(weakref.ref(self), self.n_passes - 1)


class _RelaxedPass(NamedTuple):
    """One pass at fixed uniforms; it may be repeated when its relaxation is over."""

    relaxation: weakref.ref[_Relaxation]
    number: int

    def run(self, layer: TransformDropout, x: Tensor) -> Tensor:
        """The layer's output."""
        y = layer._formula(x, lambda c: c * self.scale(layer, c))
        if y.grad_fn is not None:
            # What checkpointing repeats lives as long as the graph does.
            metadata: dict[Any, Any] = y.grad_fn.metadata  # type: ignore[assignment]
            metadata.setdefault("relaxations", []).append(self.relaxation())
        return y

    def scale(self, layer: TransformDropout, c: Tensor) -> Tensor:
        """Relaxed mask over the keep rate."""
        relaxation = self.relaxation()
        assert relaxation is not None
        if self.number == len(relaxation.uniforms):
            drawn = layer._source.draw(layer._drawn_shape(c), c.device)
            relaxation.uniforms.append(layer._spread(drawn))
        uniforms = relaxation.uniforms[self.number]
        if uniforms.shape != c.shape:
            raise ValueError(
                "TransformDropout: passes at fixed uniforms must see inputs of the same shape, "
                f"got coefficients {tuple(c.shape)} after {tuple(uniforms.shape)}."
            )
        # Not detached: where an earlier layer's rates change these energies, J changes with them.
        rates = layer._smooth_rates(relaxation.omega, c, layer._population(c))
        if layer._recorded is not None:
            rates = rates.expand(c.shape)
            layer._recorded.append(rates)
        scale = relaxed_scale(rates, uniforms, relaxation.temperature)
        return scale.to(c.real.dtype)
