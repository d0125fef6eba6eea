"""Orthogonal filters that are fitted to recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sklearn_dbt.feature_extraction._sparsity import sparsity_cost
from sklearn_dbt.nn import LatticeWavelet

MAX_STEPS = 100

Objective = Callable[[list[Tensor], object], Tensor]


def learn_filters(
    groups: Sequence[np.ndarray],
    targets: Sequence[np.ndarray | None],
    wavelet: str,
    level: int,
    objective: str | Objective,
) -> tuple[np.ndarray, list[float]]:
    r"""Filters whose coefficients minimise an objective, by L-BFGS on the angles of their lattice.

    Whatever the angles are, the filters are paraunitary, and the low-pass filter has its zero at
    the Nyquist frequency.

    Parameters
    ----------
    groups : sequence of ndarray of shape (n, n_channels, n_times)
        Recordings, those of one length in one array.
    targets : sequence of ndarray or None
        For each group what the objective gets beside its coefficients.
    wavelet : str
        An orthogonal wavelet of PyWavelets to start from.
    level : int
        Number of levels.
    objective : str or callable
        Key of ``COSTS``: mean cost of a series; or a function of a list of tensors
        ``(n, n_channels, n_coefficients)``, the lowest band first, and of the target.

    Returns
    -------
    filters : ndarray of shape (2, n_taps)
        Low-pass and high-pass analysis filter.
    curve : list of float
        The objective at the start and after each step.
    """
    bases = [LatticeWavelet.from_wavelet(x.shape[-1], wavelet, level) for x in groups]
    for basis in bases[1:]:  # one wavelet for all lengths
        basis.free_angles = bases[0].free_angles
    inputs = [torch.from_numpy(x.astype(np.float64)) for x in groups]
    n = sum(len(x) for x in groups)

    def value() -> Tensor:
        parts = [
            len(x) / n * _objective_of(basis, x, target, objective)
            for basis, x, target in zip(bases, inputs, targets, strict=True)
        ]
        return torch.stack(parts).sum()

    with torch.enable_grad():
        curve = _minimise(value, bases[0].free_angles)
    return bases[0].filters.detach().numpy(), curve


def _objective_of(
    basis: LatticeWavelet, x: Tensor, target: object, objective: str | Objective
) -> Tensor:
    c = basis.analysis(x)
    if isinstance(objective, str):
        return sparsity_cost(c, x.square().sum(dim=-1), objective).mean()
    found = objective([c[..., band] for band in basis.bands.values()], target)
    if not isinstance(found, Tensor) or found.ndim != 0 or not torch.isfinite(found):
        raise ValueError(
            "objective must return a finite tensor without axes, computed from the coefficients; "
            f"got {found!r}."
        )
    return found


def _minimise(value: Callable[[], Tensor], angles: torch.nn.Parameter) -> list[float]:
    optimizer = torch.optim.LBFGS(
        [angles], max_iter=1, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = value()
        loss.backward()
        return loss

    curve = [float(value().detach())]
    for _ in range(MAX_STEPS):
        optimizer.step(closure)
        curve.append(float(value().detach()))
        if curve[-2] - curve[-1] <= 1e-10 * max(abs(curve[-2]), 1.0):
            break
    return curve
