"""The layer: dropout of a basis's coefficients, at rates that a controller may move."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..basis import Basis, make_basis
from ._descriptors import Coefficients, band_indicator, log_energy
from ._masks import UniformSource, compiled_uniform, concrete_mask, hard_mask
from ._policies import Policy, make_policy
from ._snapshot import Snapshot

__all__ = ["TransformDropout"]


class TransformDropout(nn.Module):
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
        Name of a basis, or the basis itself, for signals of this length.
    policy : {"energy", "sample_energy", "frequency", "index", "uniform"} or Policy, \
            default="energy"
        Name of a policy, or the policy itself.
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
        Where `p_min` is 0, smaller rates are 0: the sigmoid never gets there.
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
    A complex coefficient has one real mask. Uniforms are float32 whatever the input's precision.
    Each call draws from the layer's generator, so activation checkpointing, which repeats calls,
    draws other masks when it recomputes.

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
        super().__init__()
        _check_rates(p, p_min, p_max, p_zero, momentum, sampling_rate)
        self.basis = make_basis(basis, n_features)
        self.policy = make_policy(policy)
        self.n_features = self.basis.n_features
        self.sampling_rate = sampling_rate
        self.p_min, self.p_max = float(p_min), float(p_max)
        self.p_zero, self.momentum = float(p_zero), float(momentum)
        self._register_fixed(locks)
        omega = self.policy.initial(float(p), self._expected_phi(), self.p_min, self.p_max)
        self.register_buffer("omega", omega)
        self._register_statistics()
        self.observed = False
        self._source = UniformSource(seed)
        self._capturing = False
        self._captured: Tensor | None = None
        self._relaxation: _Relaxation | None = None

    # What the layer is made of

    def _register_fixed(self, locks: Sequence[tuple[float, float]]) -> None:
        layout = self.basis.layout
        locked = torch.zeros(self.basis.n_coefficients, dtype=torch.bool)
        for i, lock in enumerate(locks):
            low, high = _check_band(i, lock)
            locked |= band_indicator(layout, low, high, self.sampling_rate, f"locks[{i}]")
        known = Coefficients(layout, self.n_features, self.sampling_rate)
        fixed = [d(known) for d in self.policy.descriptors if d.source == "layout"]
        empty = torch.zeros(0, self.basis.n_coefficients)
        self.register_buffer("locked", locked, persistent=False)
        self.register_buffer("_fixed", torch.stack(fixed) if fixed else empty, persistent=False)
        # Counts draws in compiled code; see `compiled_uniform`.
        self.register_buffer("_ticket", torch.tensor(0), persistent=False)

    def _register_statistics(self) -> None:
        k, n = self.basis.n_coefficients, self.n_features
        parts = 2 if self.basis.is_complex else 1
        shapes: dict[str, tuple[int, ...]] = {"_log_energy": (k,), "_variance": (k,), "_seen": ()}
        if self.basis.needs_covariance:
            shapes |= {"_mean": (n,), "_covariance": (n, n), "_sum": (n,), "_square": (n, n)}
        else:
            shapes |= {"_sum": (k, parts), "_square": (k,)}
        for name, shape in shapes.items():
            # Moments of inputs decide a basis: float64 like the basis itself.
            moment = self.basis.needs_covariance and name not in ("_log_energy", "_variance")
            dtype = torch.float64 if moment else torch.get_default_dtype()
            self.register_buffer(name, torch.zeros(shape, dtype=dtype))

    def _expected_phi(self) -> Tensor:
        """Descriptors with, for the energies, what a normal distribution of them would give."""
        k = self.basis.n_coefficients
        nodes = torch.special.ndtri((torch.arange(9, dtype=torch.float64) + 0.5) / 9)
        rows = iter(self._fixed.double())
        phi = []
        for descriptor in self.policy.descriptors:
            if descriptor.source == "layout":
                phi.append(next(rows).repeat(9))
            else:
                # The same for each: energies of the sample and of the population go together.
                phi.append((nodes / nodes.square().mean().sqrt()).repeat_interleave(k))
        free = ~self.locked.repeat(9)
        return torch.stack(phi)[:, free] if phi else torch.zeros(0, 1, dtype=torch.float64)

    # The pass

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
            rates = self._snapped(self._smooth_rates(self.omega, c, self._population(c)))
            scale = hard_mask(rates, self._uniforms(c)) / (1 - rates)
        return self.basis.synthesis(c * scale.to(_real_dtype(c))).to(x.dtype)

    def _uniforms(self, c: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return compiled_uniform(self._ticket, c.shape, self._source.key)
        return self._source.draw(c.shape, c.device)

    def _population(self, c: Tensor) -> Tensor | None:
        """Log-energies of the population: the frozen ones, or the batch's own before there are."""
        if not any(d.source == "population" for d in self.policy.descriptors):
            return None
        if self.observed:
            return self._log_energy
        return log_energy(_energy(c.detach()).reshape(-1, c.shape[-1]).mean(0))

    def _smooth_rates(self, omega: Tensor, c: Tensor | None, population: Tensor | None) -> Tensor:
        """Rates with locks: (n_coefficients,), or the shape of `c` if they need the sample."""
        known = Coefficients(
            self.basis.layout,
            self.n_features,
            self.sampling_rate,
            population=None if population is None else population.to(omega.dtype),
            sample=self._sample(c, omega.dtype),
        )
        fixed = iter(self._fixed)
        phi = [next(fixed) if d.source == "layout" else d(known) for d in self.policy.descriptors]
        stacked = torch.stack(torch.broadcast_tensors(*phi)) if phi else self._fixed
        rates = self.policy.rates(omega, stacked, self.p_min, self.p_max)
        return torch.where(self.locked, 0.0, rates)

    def _sample(self, c: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        if not self.policy.per_sample:
            return None
        return log_energy(_energy(c.detach()).to(dtype))

    def _snapped(self, rates: Tensor) -> Tensor:
        if self.p_min > 0:
            return rates
        return torch.where(rates < self.p_zero, 0.0, rates)

    @property
    def rates(self) -> Tensor:
        """The rates in force, shape (n_coefficients,).

        Where they depend on the sample, these are the rates of a sample with the population's
        energies.
        """
        energy = self._log_energy.exp().sqrt()
        return self._snapped(self._smooth_rates(self.omega, energy, self._log_energy)).clone()

    # Statistics

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Let a batch enter the running statistics.

        The rates do not change, except that the first batch ends the time in which each batch is
        measured by its own energies. Batches that are empty or not finite are passed over.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Real input.
        """
        x = x.detach()
        if x.numel() == 0 or not torch.isfinite(x).all():
            return
        if self.basis.needs_covariance:
            samples = x.reshape(-1, self.n_features).to(self._sum)
            sums, squares = samples.mean(0), samples.T @ samples / len(samples)
        else:
            c = self.basis.analysis(x).reshape(-1, self.basis.n_coefficients)
            parts = torch.view_as_real(c) if c.is_complex() else c[..., None]
            sums, squares = parts.mean(0), _energy(c).mean(0)
        for running, new in ((self._sum, sums), (self._square, squares)):
            running.copy_(torch.lerp(new.to(running), running, self.momentum))
        self._seen.copy_(torch.lerp(torch.ones_like(self._seen), self._seen, self.momentum))
        if not self.observed:
            self.adopt_snapshot(self.candidate_snapshot())

    def snapshot(self) -> Snapshot:
        """Copy of the snapshot in force.

        Returns
        -------
        Snapshot
            Frozen statistics.
        """
        if not self.basis.needs_covariance:
            return Snapshot(self._log_energy.clone(), self._variance.clone())
        # A copy of the basis and not a new one from the moments: it is to be restored bit by bit.
        return Snapshot(
            self._log_energy.clone(),
            self._variance.clone(),
            self._mean.clone(),
            self._covariance.clone(),
            copy.deepcopy(self.basis),
        )

    def candidate_snapshot(self) -> Snapshot:
        """Snapshot that the running statistics propose.

        Returns
        -------
        Snapshot
            Frozen statistics.

        Raises
        ------
        RuntimeError
            If nothing has been observed.
        """
        if not self._seen > 0:
            raise RuntimeError("TransformDropout.candidate_snapshot: nothing has been observed.")
        mean, square = self._sum / self._seen, self._square / self._seen
        if self.basis.needs_covariance:
            return Snapshot.from_moments(self.basis, mean, square - torch.outer(mean, mean))
        return Snapshot(log_energy(square), (square - mean.square().sum(-1)).clamp_min(0))

    def blend_snapshots(self, old: Snapshot, new: Snapshot, fraction: float) -> Snapshot:
        """Snapshot a fraction of the way from one to another.

        Parameters
        ----------
        old, new : Snapshot
            Snapshots of this layer.
        fraction : float
            0 to 1.

        Returns
        -------
        Snapshot
            Frozen statistics.
        """
        return old.blend(new, fraction)

    @torch.no_grad()
    def adopt_snapshot(self, snapshot: Snapshot) -> None:
        """Put a snapshot in force.

        Parameters
        ----------
        snapshot : Snapshot
            Snapshot of this layer.
        """
        self._log_energy.copy_(snapshot.log_energy)
        self._variance.copy_(snapshot.variance)
        if snapshot.basis is not None:
            self._mean.copy_(snapshot.mean)
            self._covariance.copy_(snapshot.covariance)
            self.basis.load_state_dict(snapshot.basis.state_dict())
        self.observed = bool(self._seen > 0)

    # What a controller needs

    def get_omega(self) -> Tensor:
        """Copy of the policy's parameters.

        Returns
        -------
        Tensor of shape (n_parameters,)
            Weights and, last, the bias.
        """
        return self.omega.clone()

    @torch.no_grad()
    def set_omega(self, omega: Tensor) -> None:
        """Change the policy's parameters in place.

        Parameters
        ----------
        omega : Tensor of shape (n_parameters,)
            Weights and, last, the bias.

        Raises
        ------
        ValueError
            If the shape is wrong or a value is not finite.
        """
        if omega.shape != self.omega.shape or not torch.isfinite(omega).all():
            raise ValueError(
                f"TransformDropout.set_omega: omega must be finite and have shape "
                f"{tuple(self.omega.shape)}, got {omega}."
            )
        self.omega.copy_(omega)

    def omega_bounds(self) -> tuple[Tensor, Tensor]:
        """Bounds of the parameters.

        Returns
        -------
        lower, upper : Tensor of shape (n_parameters,)
            Bounds.
        """
        lower, upper = self.policy.bounds()
        return lower.to(self.omega), upper.to(self.omega)

    def bias_direction(self) -> Tensor:
        """Direction along which every free rate grows: the bias.

        Returns
        -------
        Tensor of shape (n_parameters,)
            Unit vector.
        """
        direction = torch.zeros_like(self.omega)
        direction[-1] = 1
        return direction

    def rate_bounds(self) -> tuple[float, float]:
        """Smallest and largest rate of a coefficient that is not locked.

        Returns
        -------
        low, high : float
            Bounds.
        """
        return self.p_min, self.p_max

    def rates_at(
        self, omega: Tensor, probe: Tensor, snapshot: Snapshot, *, smooth: bool = False
    ) -> Tensor:
        """Rates for given parameters and snapshot.

        Parameters
        ----------
        omega : Tensor of shape (n_parameters,)
            Parameters; the result has their precision and can be differentiated in them.
        probe : Tensor
            What `make_probe` returned.
        snapshot : Snapshot
            Frozen statistics.
        smooth : bool, default=False
            Whether rates under `p_zero` are left as they are.

        Returns
        -------
        Tensor of shape (n_coefficients,) or (n_samples, n_rates)
            The second where rates depend on the sample: all channels of a sample in a row.
        """
        c = None
        if self.policy.per_sample:
            c = probe if snapshot.basis is None else snapshot.basis.analysis(probe)
        rates = self._smooth_rates(omega, c, snapshot.log_energy)
        rates = rates if smooth else self._snapped(rates)
        if not self.policy.per_sample:
            return rates
        return rates.reshape(c.shape[0] if c.ndim > 1 else 1, -1)

    def penalty_weights(self, probe: Tensor, snapshot: Snapshot) -> Tensor:
        r"""Weights :math:`v_k` with which :math:`R = \sum_k v_k \mathrm E[p_k]` counts variance.

        They are the coefficients' variances times multiplicities, divided by their sum: R is the
        expected fraction of variance that is dropped.

        Parameters
        ----------
        probe : Tensor
            What `make_probe` returned.
        snapshot : Snapshot
            Frozen statistics.

        Returns
        -------
        Tensor of shape (n_rates,)
            Weights that sum to 1, or zeros where nothing varies.
        """
        weighted = snapshot.variance * self.basis.layout.weight.to(snapshot.variance)
        total = weighted.sum()
        weights = weighted / torch.where(total > 0, total, 1.0)
        if not self.policy.per_sample:
            return weights
        n_series = max(probe[0].numel() // probe.shape[-1], 1) if probe.ndim > 1 else 1
        return weights.repeat(n_series) / n_series

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

    def make_probe(self, x: Tensor) -> Tensor:
        """What `rates_at` needs of a batch.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Input.

        Returns
        -------
        Tensor
            Its detached coefficients in double precision; the input where the basis adapts.
        """
        x = x.detach().double()
        return x if self.basis.needs_covariance else self.basis.analysis(x)

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

    # Being a module

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_captured": None, "_relaxation": None}

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.observed = bool(self._seen > 0)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TransformDropout:
        # module.half() and .bfloat16() are meant for activations; rates and energies keep float32.
        before = {k: b for k, b in self._buffers.items() if b is not None and b.is_floating_point()}
        super()._apply(fn, recurse)
        for name, buffer in before.items():
            after = self._buffers[name]
            if after.dtype.itemsize < 4:
                self._buffers[name] = buffer.to(after.device)
        return self

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
        rates = layer._smooth_rates(self.omega, c, layer._population(c))
        return concrete_mask(rates, uniforms, self.temperature) / (1 - rates)


def _energy(c: Tensor) -> Tensor:
    return c.real.square() + c.imag.square() if c.is_complex() else c.square()


def _real_dtype(c: Tensor) -> torch.dtype:
    return c.real.dtype if c.is_complex() else c.dtype


def _check_rates(
    p: float,
    p_min: float,
    p_max: float,
    p_zero: float,
    momentum: float,
    sampling_rate: float | None,
) -> None:
    if not 0 <= p_min < p_max < 1:
        raise ValueError(
            f"TransformDropout: 0 <= p_min < p_max < 1 must hold, got p_min={p_min}, p_max={p_max}."
        )
    if not p_min <= p <= p_max:
        raise ValueError(
            f"TransformDropout: p must be from p_min={p_min} to p_max={p_max}, got {p}."
        )
    if not 0 <= p_zero < p_max:
        raise ValueError(f"TransformDropout: p_zero must be in [0, p_max={p_max}), got {p_zero}.")
    if not 0 <= momentum < 1:
        raise ValueError(f"TransformDropout: momentum must be in [0, 1), got {momentum}.")
    if sampling_rate is not None and not 0 < sampling_rate < float("inf"):
        raise ValueError(
            "TransformDropout: sampling_rate must be positive and finite (Hz) or None, "
            f"got {sampling_rate}."
        )


def _check_band(i: int, lock: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = lock
    except (TypeError, ValueError):
        raise ValueError(f"locks[{i}] must be a pair (low, high) in Hz, got {lock!r}.") from None
    if not 0 <= low <= high < float("inf"):
        raise ValueError(f"locks[{i}]: 0 <= low <= high must hold (Hz), got {lock!r}.")
    return low, high
