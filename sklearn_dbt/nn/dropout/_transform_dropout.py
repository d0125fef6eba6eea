"""The layer: dropout of a basis's coefficients, at rates that a controller may move."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..basis import Basis, make_basis
from ._masks import UniformSource, compiled_uniform, concrete_mask, hard_mask
from ._policies import Policy, make_policy
from ._rates import CoefficientRates

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
    basis : {"fourier", "dct", "dwt", "pca"} or Basis, default="fourier"
        Name of a basis, or a basis for signals of this length, which is copied.
    policy : str or Policy, default="energy"
        One of ``"energy"``, ``"sample_energy"``, ``"frequency"``, ``"index"``, ``"uniform"`` (see
        `make_policy`), or the policy itself.
    p : float, default=0.5
        Mean rate to start with, from `p_min` to `p_max`. For a policy that looks at energies it is
        met for log-energies that are normally distributed over the coefficients.
    p_min, p_max : float, default=0.0, 0.95
        Bounds of every rate that is not locked; ``0 <= p_min < p_max < 1``.
    locks : sequence of (float, float), default=()
        Bands in Hz, edges included, whose coefficients are never dropped: their rate is 0.
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
    :math:`y = x - S(c) + S(c \odot m / (1 - p))` with its synthesis :math:`S`. Uniforms are
    float32 whatever the input's precision. Each call draws from the layer's generator, so
    activation checkpointing, which repeats calls, draws other masks when it recomputes.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A
       Simple Way to Prevent Neural Networks from Overfitting", Journal of Machine Learning Research
       15, 1929-1958, 2014.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import TransformDropout
    >>> layer = TransformDropout(4, basis="dct", policy="uniform", p=0.5, seed=0)
    >>> x = torch.tensor([[1.0, 3.0, 2.0, 7.0]])
    >>> y = layer(x)
    >>> (layer.basis.analysis(y) / layer.basis.analysis(x)).round().abs()
    tensor([[0., 2., 0., 0.]])
    >>> layer.eval()(x) is x
    True
    """

    def __init__(
        self,
        n_features: int,
        basis: str | Basis = "fourier",
        policy: str | Policy = "energy",
        *,
        p: float = 0.5,
        p_min: float = 0.0,
        p_max: float = 0.95,
        locks: Sequence[tuple[float, float]] = (),
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
        # Counts draws in compiled code; see `compiled_uniform`.
        self.register_buffer("_ticket", torch.tensor(0), persistent=False)
        self._source = UniformSource(seed)
        self._capturing = False
        self._captured: Tensor | None = None
        self._relaxation: _Relaxation | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop coefficients in training; the identity in evaluation.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Real input.

        Returns
        -------
        Tensor
            Output of the input's shape and dtype; in evaluation the input itself.
        """
        if not self.training:
            return x
        c = self.basis.analysis(x)
        if self._relaxation is not None:
            scale = self._relaxation.scale(self, c)
        else:
            if self._capturing:
                self._captured = x.detach()
            rates = self._rates_for(c)
            scale = hard_mask(rates, self._uniforms(c)) / (1 - rates)
        y = self.basis.synthesis(c * scale.to(c.real.dtype))
        if not self.basis.is_invertible:
            y = x - self.basis.synthesis(c) + y  # what the basis does not see passes
        return y.to(x.dtype)

    def _uniforms(self, c: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return compiled_uniform(self._ticket, c.shape, self._source.key)
        return self._source.draw(c.shape, c.device)

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
            What `get_rng_state` returned on the same kind of device.
        """
        self._source.set_state(state)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_captured": None, "_relaxation": None}

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

    def scale(self, layer: TransformDropout, c: Tensor) -> Tensor:
        """Relaxed mask over the keep rate."""
        if self.n_passes == len(self.uniforms):
            self.uniforms.append(layer._source.draw(c.shape, c.device))
        uniforms = self.uniforms[self.n_passes]
        if uniforms.shape != c.shape:
            raise ValueError(
                "TransformDropout: passes at fixed uniforms must see inputs of the same shape, "
                f"got coefficients {tuple(c.shape)} after {tuple(uniforms.shape)}."
            )
        self.n_passes += 1
        # Not detached: where an earlier layer's rates change these energies, J changes with them.
        rates = layer._smooth_rates(self.omega, c, layer._population(c))
        return concrete_mask(rates, uniforms, self.temperature) / (1 - rates)
