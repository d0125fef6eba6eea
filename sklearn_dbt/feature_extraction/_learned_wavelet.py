"""Orthogonal filters that are fitted to recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sklearn_dbt.feature_extraction._sparsity import sparsity_cost
from sklearn_dbt.nn import LatticeWavelet

N_STEPS, LEARNING_RATE = 80, 0.1
# Costs have many minima. So many angles are tried; then so many of the best for so many steps.
MOST_STARTS, ROUNDS = 512, ((16, 15), (3, 60))
# Samples to try angles on, and to learn from at the end.
FEW, MANY = 2**16, 2**20

Objective = Callable[[list[Tensor], object], Tensor]


def learn_filters(
    groups: Sequence[np.ndarray],
    targets: Sequence[np.ndarray | None],
    wavelet: str,
    level: int,
    objective: str | Objective,
) -> tuple[np.ndarray, list[float]]:
    r"""Filters whose coefficients minimise an objective, by Adam on the angles of their lattice.

    Whatever the angles are, the filters are paraunitary, and the low-pass filter has its zero at
    the Nyquist frequency. A named cost is first searched for its best minimum, from many angles and
    on a part of the recordings; a function, which may be anything, is only followed down from
    `wavelet`.

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
        The objective with `wavelet`, and the least one so far after each step. Of very many
        recordings a named cost is a sample's.
    """
    bases = [_lattice(x.shape[-1], wavelet, level) for x in groups]
    for basis in bases[1:]:  # one wavelet for all lengths
        basis.free_angles = bases[0].free_angles
    angles, start = bases[0].free_angles, bases[0].free_angles.detach().clone()
    is_named = isinstance(objective, str)
    with torch.enable_grad():
        whole = _mean_objective(bases, groups, targets, objective, MANY if is_named else None)
        first = float(whole().detach())
        if len(angles) == 1:  # Haar's is the only wavelet so short
            return bases[0].filters.detach().numpy(), [first]
        if is_named:
            few = _mean_objective(bases, groups, targets, objective, FEW)
            _search(few, angles)
        curve = _descend(whole, angles, first, start)
    return bases[0].filters.detach().numpy(), curve


def _lattice(n: int, wavelet: str, level: int) -> LatticeWavelet:
    # Beyond these levels there is one coefficient left.
    return LatticeWavelet.from_wavelet(n, wavelet, min(level, (n - 1).bit_length()))


def _mean_objective(
    bases: Sequence[LatticeWavelet],
    groups: Sequence[np.ndarray],
    targets: Sequence[np.ndarray | None],
    objective: str | Objective,
    n_samples: int | None,
) -> Callable[[], Tensor]:
    """The objective as a function of the angles, on recordings of so many samples at most."""
    size = sum(x.size for x in groups)
    step = 1 if n_samples is None else max(1, -(-size // n_samples))
    inputs = [torch.from_numpy(x[::step].astype(np.float64)) for x in groups]
    n = sum(len(x) for x in inputs)

    def value() -> Tensor:
        parts = [
            len(x) / n * _objective_of(basis, x, target, objective)
            for basis, x, target in zip(bases, inputs, targets, strict=True)
        ]
        return torch.stack(parts).sum()

    return value


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


def _search(value: Callable[[], Tensor], angles: torch.nn.Parameter) -> None:
    """Leave the angles at the best minimum that is found."""
    spread = torch.quasirandom.SobolEngine(len(angles), scramble=True, seed=0)
    n_starts = min(MOST_STARTS, 8 * 4 ** (len(angles) - 1))  # angles less one are free
    starts = [angles.detach().clone(), *(2 * np.pi * spread.draw(n_starts).double())]
    tried = [(_at(value, angles, start), start) for start in starts]
    for n_followed, n_steps in ROUNDS:
        best = sorted(tried, key=lambda one: one[0])[:n_followed]
        tried = []
        for first, start in best:
            _at(value, angles, start)
            curve = _descend(value, angles, first, start, n_steps)
            tried.append((curve[-1], angles.detach().clone()))
    _at(value, angles, min(tried, key=lambda one: one[0])[1])


def _at(value: Callable[[], Tensor], angles: torch.nn.Parameter, start: Tensor) -> float:
    with torch.no_grad():
        angles.copy_(start)
        return float(value())


def _descend(
    value: Callable[[], Tensor],
    angles: torch.nn.Parameter,
    first: float,
    start: Tensor,
    n_steps: int = N_STEPS,
) -> list[float]:
    """Adam with a step that falls along a cosine; the angles are left at the least value."""
    optimizer = torch.optim.Adam([angles], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    curve, best = [first], start
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss = value()
        if float(loss.detach()) < curve[-1]:
            best = angles.detach().clone()
        curve.append(min(curve[-1], float(loss.detach())))
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        angles.copy_(best)
    return curve
