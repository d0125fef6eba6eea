"""The layer: dropout of a basis's coefficients, at rates that a controller may move."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..basis import Basis, make_basis
from ._fused import Rates
from ._layout_reading import Lock
from ._mask_layer import MaskLayer
from ._policies import Policy, make_policy
from ._rates import CoefficientRates

__all__ = ["TransformDropout"]


class TransformDropout(CoefficientRates, MaskLayer):
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
        self._start_masks(mask_sharing, seed)
        self._per_sample = self.policy.per_sample
        self._reads_population = self.policy.reads_population

    def refresh_layout(self) -> None:
        """Bring up to date what follows from the basis's layout.

        These are the locks, descriptors of places, and shared masks. A layer reads the layout when
        it is made and when a state is loaded; call this after `GraphFourier.set_graph`. Parameters
        and statistics stay, rates follow, and bands in Hz hold again. No controller's radius bounds
        this move; its next update starts from there.

        Raises
        ------
        ValueError
            If a lock has no coefficient in the new layout; nothing is changed then.
        """
        super().refresh_layout()
        self._share_masks()

    def _hard_rates(self, x: Tensor) -> Rates:  # noqa: ARG002
        is_fixed = not self._per_sample and (self.observed or not self._reads_population)
        return self._rates if is_fixed else self._rates_for

    def _relaxed_rates(self, omega: Tensor, c: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002
        return self._smooth_rates(omega, c, self._population(c))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_kept": None}

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses."""
        return f"{self.n_features}, mean_rate={float(self.rates.mean()):.3g}"
