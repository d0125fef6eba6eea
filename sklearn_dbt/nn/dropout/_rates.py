"""Rates of a basis's coefficients: their parameters, and what a controller needs of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..basis import Basis
from ._bound_policy import BoundPolicy
from ._checks import check_rates
from ._coefficients import Coefficients, log_energy
from ._frozen_statistics import FrozenStatistics
from ._layout_reading import Lock, check_locks, locked_by, places
from ._policies import Policy
from ._snapshot import Snapshot, energy

__all__ = ["CoefficientRates", "repeat_series"]


class CoefficientRates(FrozenStatistics):
    r"""Rates :math:`p(\omega; \nu)` of a basis's coefficients, for layers that use them.

    It holds the parameters :math:`\omega`, a buffer that changes in place, outside `forward`, as
    the statistics :math:`\nu` do.

    Parameters
    ----------
    basis : Basis
        The basis.
    policy : Policy
        The policy.
    p : float
        Mean rate to start with.
    p_min, p_max : float
        Bounds of every rate that is not locked.
    locks : sequence of (float, float) or CoefficientSet
        Bands in Hz and other sets that are never dropped.
    sampling_rate : float or None
        Samples per second in Hz.
    p_zero : float
        Where `p_min` is 0, smaller rates are 0.
    momentum : float
        Weight of the past in the running statistics.
    """

    omega: Tensor
    locked: Tensor
    _fixed: Tensor
    _frequency: Tensor
    _rates: Tensor

    def __init__(
        self,
        basis: Basis,
        policy: Policy,
        *,
        p: float,
        p_min: float,
        p_max: float,
        locks: Sequence[Lock],
        sampling_rate: float | None,
        p_zero: float,
        momentum: float,
    ) -> None:
        where = type(self).__name__
        check_rates(p, p_min, p_max, p_zero, momentum, sampling_rate, where=where)
        super().__init__(basis, momentum)
        self.policy = policy
        self.form = BoundPolicy(policy, basis.layout)
        self.sampling_rate = sampling_rate
        self.p_min, self.p_max, self.p_zero = float(p_min), float(p_max), float(p_zero)
        self._kept: tuple[tuple[Tensor, ...], tuple, list[Tensor]] | None = None
        self._locks = check_locks(where, locks)
        locked, fixed = self._read_layout()
        self.register_buffer("locked", locked, persistent=False)
        self.register_buffer("_fixed", fixed, persistent=False)
        self.register_buffer("_frequency", basis.layout.frequency.clone(), persistent=False)
        omega = self.form.initial(
            float(p), self._expected_phi(), self.p_min, self.p_max, ~self.locked
        )
        self.register_buffer("omega", omega)
        self.register_buffer("_rates", torch.zeros(basis.n_coefficients), persistent=False)
        self._refresh_rates()

    # What follows from the layout

    def _read_layout(self) -> tuple[Tensor, Tensor]:
        """Which coefficients are locked, and the numbers of descriptors of places."""
        known = Coefficients(self.basis, self.sampling_rate)
        return locked_by(self._locks, known), places(self.policy.descriptors, known)

    @torch.no_grad()
    def refresh_layout(self) -> None:
        """Bring up to date what follows from the basis's layout; see `TransformDropout`."""
        locked, fixed = self._read_layout()
        self.locked.copy_(locked)
        self._fixed.copy_(fixed)
        self._frequency.copy_(self.basis.layout.frequency)
        self._kept = None
        self._refresh_rates()

    def _after_loading(self) -> None:
        super()._after_loading()
        # A state brings its graph along. Reading the layout anew may round where nothing moved.
        seen, now = (f.nan_to_num(-1) for f in (self._frequency, self.basis.layout.frequency))
        if not torch.equal(seen, now):
            self.refresh_layout()

    def _expected_phi(self) -> list[Tensor]:
        """Descriptors with, for the energies, what a normal distribution of them would give."""
        nodes = torch.special.ndtri((torch.arange(9, dtype=torch.float64) + 0.5) / 9)
        # The same for each: energies of the sample and of the population go together.
        spread = (nodes / nodes.square().mean().sqrt())[:, None]
        fixed = iter(self._fixed.double())
        return [
            next(fixed) if d.source == "layout" else spread * d.standardize
            for d in self.policy.descriptors
        ]

    # Rates

    @property
    def rates(self) -> Tensor:
        """The rates in force, shape (n_coefficients,).

        Where they depend on the sample, these are the rates of a sample with the population's
        energies.
        """
        return self._rates.clone()

    def _refresh_rates(self) -> None:
        self._rates.copy_(self._snapped(self._typical_rates()))

    def _typical_rates(self) -> Tensor:
        """Smooth rates of a sample with the population's energies."""
        root = self._log_energy.exp().sqrt()
        return self._smooth_rates(self.omega, root, self._in_force())

    def _rates_for(self, c: Tensor) -> Tensor:
        """Rates that masks of these coefficients have: one each, or one for all samples."""
        if not self.policy.per_sample and (self.observed or not self.policy.reads_population):
            return self._rates
        c = c.detach()
        return self._snapped(self._smooth_rates(self.omega, c, self._population(c)))

    def _population(self, c: Tensor) -> Snapshot:
        """Statistics of the population: the frozen ones, or the batch's own before there are."""
        if self.observed or not self.policy.reads_population:
            return self._in_force()
        batch = c.reshape(-1, c.shape[-1])
        mean = energy(batch).mean(0)
        return Snapshot(log_energy(mean), (mean - energy(batch.mean(0))).clamp_min(0))

    def _smooth_rates(self, omega: Tensor, c: Tensor, population: Snapshot) -> Tensor:
        """Rates with locks: (n_coefficients,), or the shape of `c` if they need the sample."""
        phi = self._phi(omega.dtype, c, population)
        rates = self.form.rates(omega, phi, self.p_min, self.p_max)
        return torch.where(self.locked, 0.0, rates)

    def _phi(self, dtype: torch.dtype, c: Tensor, population: Snapshot) -> list[Tensor]:
        """Every descriptor's numbers, in a precision; kept where only what is frozen is read."""
        if self.policy.per_sample or torch.compiler.is_compiling():
            return self._described(dtype, c, population)
        # Relaxed passes ask again and again. Versions count changes in place, whoever makes them.
        read = (population.log_energy, population.variance, self._fixed)
        if any(t.is_inference() for t in read):  # these do not count changes
            return self._described(dtype, c, population)
        key = (dtype, *(t._version for t in read))
        if self._kept is not None:
            tensors, known, phi = self._kept
            if key == known and all(a is b for a, b in zip(tensors, read, strict=True)):
                return phi
        phi = self._described(dtype, c, population)
        # Numbers made in inference mode are of no use to later gradients.
        is_lasting = not any(t.requires_grad or t.is_inference() for t in phi)
        self._kept = (read, key, phi) if is_lasting else None
        return phi

    def _described(self, dtype: torch.dtype, c: Tensor, population: Snapshot) -> list[Tensor]:
        known = Coefficients(
            self.basis,
            self.sampling_rate,
            population=population.log_energy.to(dtype),
            sample=log_energy(energy(c).to(dtype)) if self.policy.per_sample else None,
            variance=population.variance.to(dtype),
        )
        fixed = iter(self._fixed)
        return [next(fixed) if d.source == "layout" else d(known) for d in self.policy.descriptors]

    def _probed(self, dtype: torch.dtype, probe: Tensor, snapshot: Snapshot) -> list[Tensor]:
        """The descriptors' numbers on a probe; an update asks for them again and again."""
        seen, phi = snapshot.described.get(dtype, (None, []))
        if seen is not probe:
            c = probe
            if self.policy.per_sample and snapshot.basis is not None:
                c = snapshot.basis.analysis(probe)
            phi = self._phi(dtype, c, snapshot)
            snapshot.described[dtype] = probe, phi
        return phi

    def _snapped(self, rates: Tensor) -> Tensor:
        if self.p_min > 0:
            return rates
        return torch.where(rates < self.p_zero, 0.0, rates)

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
        phi = self._probed(omega.dtype, probe, snapshot)
        rates = self.form.rates(omega, phi, self.p_min, self.p_max)
        rates = torch.where(self.locked, 0.0, rates)
        rates = rates if smooth else self._snapped(rates)
        if not self.policy.per_sample:
            return rates
        return rates.reshape(rates.shape[0] if rates.ndim > 1 else 1, -1)

    @torch.no_grad()
    def jacobian_at(self, omega: Tensor, probe: Tensor, snapshot: Snapshot) -> Tensor:
        """Derivatives of the smooth rates in the parameters.

        Parameters
        ----------
        omega : Tensor of shape (n_parameters,)
            Parameters.
        probe : Tensor
            What `make_probe` returned.
        snapshot : Snapshot
            Frozen statistics.

        Returns
        -------
        Tensor of shape (n_samples or 1, n_rates, n_parameters)
            Derivatives of what `rates_at` returns with ``smooth=True``.
        """
        phi = self._probed(omega.dtype, probe, snapshot)
        rates = self.form.rates(omega, phi, self.p_min, self.p_max)
        slopes = self.form.jacobian(rates, phi, self.p_min, self.p_max)
        slopes = torch.where(self.locked[:, None], 0.0, slopes)
        n_samples = rates.shape[0] if rates.ndim > 1 else 1
        return slopes.reshape(n_samples, -1, slopes.shape[-1])

    def make_probe(self, x: Tensor) -> Tensor:
        """What `rates_at` needs of a batch.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Input.

        Returns
        -------
        Tensor
            Its detached coefficients in double precision, or the input where the basis adapts;
            nothing where rates do not depend on the sample.
        """
        x = x.detach().to(torch.complex128 if x.is_complex() else torch.float64)
        if not self.policy.per_sample:
            return x[..., :0]
        # A basis may have parameters of its own, which are the optimizer's business.
        return x if self.basis.needs_covariance else self.basis.analysis(x).detach()

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
        weights = self._variance_shares(snapshot)
        return repeat_series(weights, probe) if self.policy.per_sample else weights

    def _variance_shares(self, snapshot: Snapshot) -> Tensor:
        weighted = snapshot.variance * self.basis.layout.weight.to(snapshot.variance)
        total = weighted.sum()
        return weighted / torch.where(total > 0, total, 1.0)

    def rate_bounds(self) -> tuple[float, float]:
        """Smallest and largest rate of a coefficient that is not locked.

        Returns
        -------
        low, high : float
            Bounds.
        """
        return self.p_min, self.p_max

    # Parameters

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
            If the shape is wrong or a value is not finite; nothing is changed then.
        """
        if omega.shape != self.omega.shape or not torch.isfinite(omega).all():
            raise ValueError(
                f"{type(self).__name__}.set_omega: omega must be finite and have shape "
                f"{tuple(self.omega.shape)}, got {omega.tolist()}."
            )
        self.omega.copy_(omega)
        self._refresh_rates()

    def omega_bounds(self) -> tuple[Tensor, Tensor]:
        """Bounds of the parameters.

        Returns
        -------
        lower, upper : Tensor of shape (n_parameters,)
            Bounds.
        """
        lower, upper = self.form.bounds()
        return lower.to(self.omega), upper.to(self.omega)

    def bias_direction(self) -> Tensor:
        """Direction along which every free rate grows: the bias, or all biases alike.

        Returns
        -------
        Tensor of shape (n_parameters,)
            Zeros and, last, ones.
        """
        return self.form.bias_direction().to(self.omega)


def repeat_series(weights: Tensor, probe: Tensor) -> Tensor:
    """Weights of the coefficients of each of a sample's series, with the same sum."""
    n_series = probe[0].numel() // probe.shape[-1] if probe.ndim > 1 else 1
    return weights.repeat(n_series) / n_series
