"""Descriptors across wavelet scales: the energy of a scale, and of a coefficient's parents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..basis import Layout
from ._checks import check_choice
from ._coefficients import Coefficients, given_frequency, given_scale, log_energy
from ._descriptors import Descriptor
from ._energy_descriptors import SOURCES, unit_mean
from ._place_descriptors import check_integers

__all__ = ["CrossScaleEnergy", "ScaleEnergy", "parent_indices"]


@dataclass(frozen=True)
class ScaleEnergy(Descriptor):
    r"""Minus the log-energy of the coefficient's scale, :math:`-\log E_j`, standardised.

    .. math:: E_j = \frac{1}{n_j} \sum_{k : j_k = j} |c_k|^2

    With a positive weight, weak scales are dropped more.

    Parameters
    ----------
    source : {"population", "sample"}, default="population"
        Whose energies.
    transform : {"log", "raw"}, default="log"
        What enters: :math:`-\log E_j` or :math:`-E_j`.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DWT
    >>> from sklearn_dbt.nn.dropout import Coefficients, ScaleEnergy
    >>> known = Coefficients(DWT(4, "haar", level=1), population=torch.tensor([9.0, 7, 5, 3]).log())
    >>> ScaleEnergy(transform="raw", standardize=False)(known).round(decimals=3)
    tensor([-6., -6., -6., -6.])
    """

    source: str = "population"
    transform: str = "log"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("ScaleEnergy: source", self.source, SOURCES)
        check_choice("ScaleEnergy: transform", self.transform, ("log", "raw"))

    def value(self, known: Coefficients) -> Tensor:
        """Minus the scales' energies."""
        energy = known.energies(self.source)
        scales, group = given_scale(known.layout, "ScaleEnergy").unique(return_inverse=True)
        members = torch.nn.functional.one_hot(group, len(scales)).to(energy)
        mean = (energy @ members / members.sum(0))[..., group]
        if self.transform == "log":
            return -log_energy(mean)
        return -unit_mean(mean) if self.standardize else -mean


@dataclass(frozen=True)
class CrossScaleEnergy(Descriptor):
    r"""Minus the energy of a coefficient's parents, :math:`-\log \sum_{j' > j} |c_{j'}|^2`.

    A parent is the detail of a coarser scale :math:`j' > j` whose time is nearest, as the layout's
    `position` says. With a positive weight, a fine coefficient is dropped less where the coarse
    scales carry energy. What has no parents, the coarsest scale, is not moved by it.

    Parameters
    ----------
    parent : int, default=None
        The one scale :math:`j'` of the parents; None is all coarser scales together. Several of
        these descriptors, each with ``sharing="scale"``, have a weight :math:`\gamma_{jj'}` for
        each pair of scales.
    source : {"population", "sample"}, default="sample"
        Whose energies.
    transform : {"log", "raw"}, default="log"
        Whether the sum's logarithm or the sum enters.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight; the scale is the coefficient's own.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DWT
    >>> from sklearn_dbt.nn.dropout import Coefficients, CrossScaleEnergy
    >>> basis = DWT(8, "haar", level=2)  # two approximations, two and four details
    >>> energy = torch.tensor([1.0, 1.0, 2.0, 6.0, 1.0, 1.0, 1.0, 1.0])
    >>> known = Coefficients(basis, sample=energy.log())
    >>> CrossScaleEnergy(transform="raw", standardize=False)(known).round(decimals=3)
    tensor([-0., -0., -0., -0., -2., -2., -6., -6.])
    """

    parent: int | None = None
    source: str = "sample"
    transform: str = "log"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("CrossScaleEnergy: source", self.source, SOURCES)
        check_choice("CrossScaleEnergy: transform", self.transform, ("log", "raw"))
        if self.parent is not None:
            check_integers("CrossScaleEnergy: parent", [self.parent], 2)

    def value(self, known: Coefficients) -> Tensor:
        """Minus the parents' energies; 0 for what has none, and their mean where standardised."""
        energy = known.energies(self.source)
        total = torch.zeros_like(energy)
        has_parent = torch.zeros_like(known.layout.scale, dtype=torch.bool)
        for scale in _parent_scales(known.layout, self.parent):
            parent = parent_indices(known.layout, scale)
            total = total + torch.where(parent >= 0, energy[..., parent.clamp_min(0)], 0.0)
            has_parent = has_parent | (parent >= 0)
        if self.transform == "log":
            # Logarithms of what has parents; the rest is masked before and after.
            total = log_energy(torch.where(has_parent, total, total.mean(-1, keepdim=True)))
        elif self.standardize:
            total = unit_mean(total)
        if self.standardize:
            total = total - total[..., has_parent].mean(-1, keepdim=True)
        return -torch.where(has_parent, total, 0.0)


def parent_indices(layout: Layout, parent: int) -> Tensor:
    """Index of each coefficient's nearest detail of a coarser scale; -1 for what is not finer."""
    position, scale = layout.position, given_scale(layout, "CrossScaleEnergy")
    if position.isnan().any():
        raise ValueError("CrossScaleEnergy: the coefficients of this basis have no position.")
    frequency = given_frequency(layout, "CrossScaleEnergy")
    # The approximation has the coarsest scale's number and the lower frequency: it is no parent.
    details = (scale == parent) & (frequency == frequency[scale == parent].max())
    order = layout.index[details][position[details].argsort()]
    sorted_positions = position[order].contiguous()
    right = torch.searchsorted(sorted_positions, position.contiguous()).clamp_max(len(order) - 1)
    left = (right - 1).clamp_min(0)
    nearer = (position - sorted_positions[left]) <= (sorted_positions[right] - position)
    nearest = order[torch.where(nearer, left, right)]
    return torch.where(scale < parent, nearest, -1)


def _parent_scales(layout: Layout, parent: int | None) -> list[int]:
    there = given_scale(layout, "CrossScaleEnergy").unique().tolist()
    found = there[1:] if parent is None else [j for j in there[1:] if j == parent]
    if not found:
        wanted = "parents" if parent is None else f"parents of scale {parent}"
        raise ValueError(
            f"CrossScaleEnergy: no coefficient has {wanted}: the basis has the scales {there}."
        )
    return found
