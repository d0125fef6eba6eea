"""The statistics in force, frozen until others are adopted, and the running ones behind them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..basis import Basis
from ._precision import SinglePrecision
from ._snapshot import RunningStatistics, Snapshot

__all__ = ["FrozenStatistics"]


class FrozenStatistics(SinglePrecision):
    r"""Statistics :math:`\nu` of a basis's coefficients, for rates that follow from them.

    Batches enter running statistics; these propose snapshots, and the one that was adopted last is
    in force. Everything is a buffer and changes in place, outside `forward`. What follows from the
    snapshot is brought up to date by a subclass's `_refresh_rates`.

    Parameters
    ----------
    basis : Basis
        The basis; where it adapts, it changes with the snapshot.
    momentum : float
        Weight of the past in the running statistics.
    """

    statistics: RunningStatistics
    _log_energy: Tensor
    _variance: Tensor
    _mean: Tensor
    _covariance: Tensor

    def __init__(self, basis: Basis, momentum: float) -> None:
        super().__init__()
        self.basis = basis
        self.n_features = basis.n_features
        self.observed = False
        self.statistics = RunningStatistics(basis, momentum)
        self._register_snapshot()
        self.register_load_state_dict_post_hook(_after_loading)

    def _register_snapshot(self) -> None:
        k, n = self.basis.n_coefficients, self.n_features
        self.register_buffer("_log_energy", torch.zeros(k))
        self.register_buffer("_variance", torch.zeros(k))
        if self.basis.needs_covariance:
            self.register_buffer("_mean", torch.zeros(n, dtype=torch.float64))
            self.register_buffer("_covariance", torch.zeros(n, n, dtype=torch.float64))

    def _refresh_rates(self) -> None:
        """Bring up to date what follows from the snapshot in force."""
        raise NotImplementedError

    def _in_force(self) -> Snapshot:
        """The snapshot in force, not copied, without its basis."""
        return Snapshot(self._log_energy, self._variance)

    def observe(self, x: Tensor) -> bool:
        """Let a batch enter the running statistics.

        The rates do not change, except that the first batch ends the time in which each batch is
        measured by its own energies. Batches that are empty or not finite are passed over.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Real input.

        Returns
        -------
        bool
            Whether the batch was taken in.
        """
        taken = self.statistics.accumulate(self.basis, x)
        if taken and not self.observed:
            self.adopt_snapshot(self.candidate_snapshot())
        return taken

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
            (self._mean.clone(), self._covariance.clone()),
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
        return self._stored(self.statistics.snapshot(self.basis))

    def _stored(self, snapshot: Snapshot) -> Snapshot:
        # In the precision in which it will be in force, so that nothing changes on adoption.
        return replace(
            snapshot,
            log_energy=snapshot.log_energy.to(self._log_energy),
            variance=snapshot.variance.to(self._variance),
        )

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
        return self._stored(old.blend(new, fraction))

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
        if snapshot.basis is not None and snapshot.moments is not None:
            self._mean.copy_(snapshot.moments[0])
            self._covariance.copy_(snapshot.moments[1])
            # Buffers follow the moments; what the optimizer learns in a basis stays as it is.
            for own, new in zip(self.basis.buffers(), snapshot.basis.buffers(), strict=True):
                own.copy_(new)
        self.observed = bool(self.statistics.weight > 0)
        self._refresh_rates()

    def _after_loading(self) -> None:
        self.observed = bool(self.statistics.weight > 0)
        self._refresh_rates()


def _after_loading(module: FrozenStatistics, _: Any) -> None:
    module._after_loading()
