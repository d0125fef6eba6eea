"""The descriptor of what is heard: spreading of energies along the Bark scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..basis import Basis
from ._checks import check_choice, check_number
from ._coefficients import Coefficients, given_frequency
from ._descriptors import Descriptor
from ._energy_descriptors import SOURCES

__all__ = ["MaskingThreshold", "bark"]


@dataclass(frozen=True)
class MaskingThreshold(Descriptor):
    r"""How far a coefficient lies under what its neighbours mask, in dB, standardised.

    Energies spread along the Bark scale :math:`z(f)` [1]_ by the function :math:`B` of [2]_,

    .. math::

        M_k = 10 \log_{10} \sum_l |c_l|^2 \, 10^{B(z_k - z_l) / 10} - O, \qquad
        B(z) = 15.81 + 7.5 (z + 0.474) - 17.5 \sqrt{1 + (z + 0.474)^2} ,

    and the number is :math:`M_k - 10 \log_{10} |c_k|^2`. With a positive weight, what would not be
    heard is dropped more. Energy spreads between coefficients of the same time.

    Parameters
    ----------
    source : {"population", "sample"}, default="population"
        Whose energies.
    offset : float, default=14.5
        How far :math:`O` a masker must lie above what it masks, in dB.
    relative : bool, default=True
        Whether the coefficient's own level is subtracted; else it is the threshold :math:`M_k`.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    References
    ----------
    .. [1] E. Zwicker and E. Terhardt, "Analytical expressions for critical-band rate and critical
       bandwidth as a function of frequency", Journal of the Acoustical Society of America 68(5),
       1523-1525, 1980.
    .. [2] M. R. Schroeder, B. S. Atal and J. L. Hall, "Optimizing digital speech coders by
       exploiting masking properties of the human ear", Journal of the Acoustical Society of
       America 66(6), 1647-1652, 1979.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, MaskingThreshold
    >>> known = Coefficients(DCT(4), 800.0, torch.tensor([1e4, 1.0, 1.0, 1.0]).log())
    >>> MaskingThreshold(standardize=False)(known).argmax()  # next to the strong one
    tensor(1)
    """

    source: str = "population"
    offset: float = 14.5
    relative: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("MaskingThreshold: source", self.source, SOURCES)
        if not math.isfinite(check_number("MaskingThreshold: offset", self.offset, " (dB)")):
            raise ValueError(f"MaskingThreshold: offset must be finite (dB), got {self.offset}.")

    def value(self, known: Coefficients) -> Tensor:
        """Thresholds in dB, over the coefficients' levels if they are relative."""
        if known.sampling_rate is None:
            raise ValueError("MaskingThreshold: the Bark scale needs sampling_rate, got None.")
        level = known.log_energies(self.source)
        spreading = _spreading_of(known, known.sampling_rate, level)
        top = level.amax(-1, keepdim=True)  # energies of quiet signals would underflow
        masked = spreading((level - top).exp()).log() + top
        decibel = 10 / math.log(10)
        return decibel * (masked - level if self.relative else masked) - self.offset


def bark(frequency: Tensor) -> Tensor:
    """Critical-band rate in Bark of frequencies in Hz."""
    size = frequency.abs()
    return 13 * (0.00076 * size).atan() + 3.5 * (size / 7500).square().atan()


def _spread(z: Tensor) -> Tensor:
    """How much of the energy at z_l masks at z_k, shape (..., k, l)."""
    distance = z[..., :, None] - z[..., None, :] + 0.474
    return 10 ** ((15.81 + 7.5 * distance - 17.5 * (1 + distance.square()).sqrt()) / 10)


class _Spreading(NamedTuple):
    """Spreading between coefficients of the same time, one block for each time.

    Times with equally many coefficients are together: their indices, of shape (n_times, n), and
    blocks, of shape (n_times, n, n). The matrix over all coefficients would be nearly all zeros.
    """

    blocks: list[tuple[Tensor, Tensor]]
    place: Tensor  # of each coefficient among the blocks' results

    @classmethod
    def make(cls, z: Tensor, position: Tensor) -> _Spreading:
        _, time, n_alike = position.nan_to_num().unique(return_inverse=True, return_counts=True)
        order = time.argsort(stable=True)
        sizes = n_alike[time[order]]
        indices = [order[sizes == n].reshape(-1, n) for n in n_alike.unique().tolist()]
        place = torch.cat([index.flatten() for index in indices]).argsort()
        return cls([(index, _spread(z[index])) for index in indices], place)

    def __call__(self, energy: Tensor) -> Tensor:
        parts = [
            torch.einsum("...tl,tkl->...tk", energy[..., index], block).flatten(-2)
            for index, block in self.blocks
        ]
        return torch.cat(parts, dim=-1).index_select(-1, self.place)


_Made = tuple[tuple[Tensor, ...], tuple, _Spreading]
# The last spreading of each basis by precision: it is the same in all passes, and dear to make.
_made: WeakKeyDictionary[Basis, dict[torch.dtype, _Made]] = WeakKeyDictionary()


def _spreading_of(known: Coefficients, sampling_rate: float, level: Tensor) -> _Spreading:
    """Spreading between the coefficients, on the device and in the precision of their levels."""
    layout = known.layout
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        # What is made here lives in what is compiled or mapped, and not beyond it.
        return _make(known, sampling_rate, level)
    read = (layout.frequency, layout.position)
    versions = (None if t.is_inference() else t._version for t in read)  # counts changes in place
    key = (sampling_rate, level.device, *versions)
    made = _made.setdefault(known.basis, {})
    if level.dtype in made:
        tensors, before, spreading = made[level.dtype]
        if key == before and all(a is b for a, b in zip(tensors, read, strict=True)):
            return spreading
    with torch.inference_mode(False):  # whose tensors are good for later gradients too
        spreading = _make(known, sampling_rate, level)
    made[level.dtype] = read, key, spreading
    return spreading


@torch.no_grad()
def _make(known: Coefficients, sampling_rate: float, level: Tensor) -> _Spreading:
    frequency = given_frequency(known.layout, "MaskingThreshold") * sampling_rate
    position = known.layout.position.to(level.device)
    return _Spreading.make(bark(frequency).to(level), position)
