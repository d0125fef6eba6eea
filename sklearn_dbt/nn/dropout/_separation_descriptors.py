"""Descriptors for telling sources apart: directions, noise, harmonics, thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..basis import Layout
from ._checks import check_choice
from ._coefficients import Coefficients, given_frequency
from ._descriptors import Descriptor
from ._energy_descriptors import SOURCES, unit_mean
from ._place_descriptors import check_integers, scale_indicator

__all__ = [
    "AboveThreshold",
    "Harmonicity",
    "Interference",
    "SignalToNoise",
    "Steering",
]


@dataclass(frozen=True)
class Steering(Descriptor):
    r"""Minus the response of a beam to a direction, standardised.

    For a uniform linear array, whose sensors are the last axis, and a transform across them with
    the spatial frequencies :math:`f_k` of the layout,

    .. math:: r_k = \left| \frac{\sin \pi n u}{n \sin \pi u} \right|,
              \qquad u = f_k - d \sin \theta .

    With a positive weight, beams that look elsewhere are dropped more. A layout without negative
    frequencies stands for both signs: there it is the larger of the two responses.

    Parameters
    ----------
    angle : float
        Direction :math:`\theta` in degrees from broadside, -90 to 90.
    spacing : float, default=0.5
        Distance :math:`d` between neighbouring sensors in wavelengths, greater than 0.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    References
    ----------
    .. [1] H. L. Van Trees, "Optimum Array Processing", Wiley, 2002, chapter 2.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import Fourier
    >>> from sklearn_dbt.nn.dropout import Coefficients, Steering
    >>> Steering(30.0, standardize=False)(Coefficients(Fourier(8))).round(decimals=3).abs()
    tensor([0., 0., 1., 0., 0.])
    """

    angle: float
    spacing: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -90 <= self.angle <= 90:
            raise ValueError(f"Steering: angle must be from -90 to 90 degrees, got {self.angle}.")
        if not 0 < self.spacing < math.inf:
            raise ValueError(
                f"Steering: spacing must be positive and finite (wavelengths), got {self.spacing}."
            )

    def value(self, known: Coefficients) -> Tensor:
        """Minus the responses."""
        frequency = given_frequency(known.layout, "Steering")
        wanted = self.spacing * math.sin(math.radians(self.angle))
        response = _dirichlet(frequency - wanted, known.basis.n_features)
        if (frequency >= 0).all():
            mirrored = _dirichlet(frequency + wanted, known.basis.n_features)
            response = torch.maximum(response, mirrored)
        return -response


def _dirichlet(u: Tensor, n: int) -> Tensor:
    """Size of the mean of n equally spaced phases, u turns apart."""
    u = (u - u.round()).double()
    size = torch.where(u == 0, 1.0, (torch.pi * n * u).sin() / (n * (torch.pi * u).sin()))
    return size.abs().to(torch.get_default_dtype())


@dataclass(frozen=True)
class SignalToNoise(Descriptor):
    r"""Minus the signal-to-noise ratio, :math:`-\log(|c_k|^2 / N_k)`, standardised.

    With a positive weight, coefficients near the noise floor :math:`N_k` are dropped more. The
    floor is given, or estimated from the same energies: the median or the minimum over all
    coefficients of the same frequency (the times of a time-frequency transform; minimum
    statistics follow a stationary noise under a signal that pauses [1]_), or over all coefficients
    where each has a frequency of its own. Estimates are not corrected for their bias, which only
    shifts the logarithm.

    Parameters
    ----------
    noise : {"median", "minimum"} or float or sequence of float, default="median"
        Noise energies :math:`N_k > 0`: an estimate, one for all, or one for each coefficient.
    source : {"population", "sample"}, default="sample"
        Whose energies.
    transform : {"log", "raw"}, default="log"
        Whether the ratio's logarithm or the ratio enters.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    References
    ----------
    .. [1] R. Martin, "Noise power spectral density estimation based on optimal smoothing and
       minimum statistics", IEEE Transactions on Speech and Audio Processing 9(5), 504-512, 2001.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, SignalToNoise
    >>> known = Coefficients(DCT(3), sample=torch.tensor([8.0, 2.0, 1.0]).log())
    >>> SignalToNoise(2.0, transform="raw", standardize=False)(known).round(decimals=3)
    tensor([-4.0000, -1.0000, -0.5000])
    """

    noise: str | float | Sequence[float] = "median"
    source: str = "sample"
    transform: str = "log"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("SignalToNoise: source", self.source, SOURCES)
        check_choice("SignalToNoise: transform", self.transform, ("log", "raw"))
        if isinstance(self.noise, str):
            check_choice("SignalToNoise: noise", self.noise, ("median", "minimum"))
            return
        noise = _as_numbers("SignalToNoise: noise", self.noise)
        if not all(0 < value < math.inf for value in noise):
            raise ValueError(
                f"SignalToNoise: noise must be positive and finite, got {self.noise!r}."
            )
        object.__setattr__(self, "noise", noise)

    def value(self, known: Coefficients) -> Tensor:
        """Minus the ratios."""
        if isinstance(self.noise, str):
            floor = _noise_floor(known.log_energies(self.source), known.layout, self.noise)
        else:
            energy = known.log_energies(self.source)
            floor = _for_each(self.noise, energy, "SignalToNoise: noise").log()
        if self.transform == "log":
            return floor - known.log_energies(self.source)
        ratio = known.energies(self.source) / floor.exp()
        return -unit_mean(ratio) if self.standardize else -ratio


def _noise_floor(log_energies: Tensor, layout: Layout, statistic: str) -> Tensor:
    """Median or minimum over the coefficients of the same frequency, or over all."""
    frequencies, group = layout.frequency.unique(return_inverse=True)
    if len(frequencies) == layout.frequency.numel():  # each its own (nan differs from nan)
        return _statistic(log_energies, statistic).expand_as(log_energies)
    floors = [_statistic(log_energies[..., group == i], statistic) for i in range(len(frequencies))]
    return torch.cat(floors, dim=-1)[..., group]


def _statistic(values: Tensor, statistic: str) -> Tensor:
    if statistic == "minimum":
        return values.amin(-1, keepdim=True)
    return values.quantile(0.5, dim=-1, keepdim=True)


@dataclass(frozen=True)
class Harmonicity(Descriptor):
    r"""Minus how near a frequency is to a harmonic of a fundamental, standardised.

    .. math:: s_k = \max_{h = 1, \dots, H}
              \exp\Bigl( -\frac{(f_k - h f_0)^2}{2 w^2} \Bigr)

    With a positive weight, what lies between the harmonics is dropped more.

    Parameters
    ----------
    f0 : float
        Fundamental :math:`f_0 > 0` in Hz.
    n_harmonics : int, default=10
        Number :math:`H` of harmonics, the fundamental included.
    width : float, default=10.0
        Width :math:`w > 0` of each in Hz.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import Fourier
    >>> from sklearn_dbt.nn.dropout import Coefficients, Harmonicity
    >>> known = Coefficients(Fourier(10), sampling_rate=1000.0)
    >>> Harmonicity(200.0, standardize=False)(known).round(decimals=3).abs()
    tensor([0., 0., 1., 0., 1., 0.])
    """

    f0: float
    n_harmonics: int = 10
    width: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("f0", "width"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"Harmonicity: {name} must be positive and finite (Hz), "
                    f"got {getattr(self, name)}."
                )
        check_integers("Harmonicity: n_harmonics", [self.n_harmonics], 1)

    def value(self, known: Coefficients) -> Tensor:
        """Minus the nearness."""
        if known.sampling_rate is None:
            raise ValueError("Harmonicity: a fundamental in Hz needs sampling_rate, got None.")
        frequency = given_frequency(known.layout, "Harmonicity") * known.sampling_rate
        nearest = (frequency.abs() / self.f0).round().clamp(1, self.n_harmonics)
        return -(-((frequency.abs() - nearest * self.f0) / self.width).square() / 2).exp()


@dataclass(frozen=True)
class Interference(Descriptor):
    r"""How much interference each coefficient has, as given, standardised.

    With a positive weight, coefficients with much of it are dropped more.

    Parameters
    ----------
    level : sequence of float
        One finite number for each coefficient.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, Interference
    >>> Interference([1.0, 2.0, 3.0])(Coefficients(DCT(3))).round(decimals=3)
    tensor([-1.2250,  0.0000,  1.2250])
    """

    level: Sequence[float]

    def __post_init__(self) -> None:
        super().__post_init__()
        level = _as_numbers("Interference: level", self.level)
        if not all(math.isfinite(value) for value in level):
            raise ValueError(f"Interference: level must be finite, got {self.level!r}.")
        object.__setattr__(self, "level", level)

    def value(self, known: Coefficients) -> Tensor:
        """The levels."""
        return _for_each(self.level, known.layout.weight, "Interference: level")


@dataclass(frozen=True)
class AboveThreshold(Descriptor):
    r"""Minus one where a coefficient is large (and of a wanted scale), plus one elsewhere.

    .. math:: \varphi_k = \begin{cases} -1 & \text{if } j_k \in J \text{ and } |c_k| > t \\
              +1 & \text{otherwise} \end{cases}

    Without standardisation, weight 2 and bias 0 give the rates :math:`\sigma(-2)` and
    :math:`\sigma(2)`.

    Parameters
    ----------
    threshold : float
        :math:`t \ge 0`, in the unit of the coefficients.
    scales : sequence of int, default=None
        Wanted scales :math:`J` of the layout; None is all, scales or not.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DWT
    >>> from sklearn_dbt.nn.dropout import AboveThreshold, Coefficients
    >>> energy = torch.tensor([9.0, 1.0, 9.0, 1.0])
    >>> known = Coefficients(DWT(4, "haar", level=1), sample=energy.log())
    >>> AboveThreshold(2.0, scales=[1], standardize=False)(known)
    tensor([-1.,  1., -1.,  1.])
    """

    threshold: float
    scales: Sequence[int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.threshold < float("inf"):
            raise ValueError(
                f"AboveThreshold: threshold must be finite and at least 0, got {self.threshold}."
            )
        if self.scales is not None:
            object.__setattr__(
                self, "scales", check_integers("AboveThreshold: scales", self.scales, 1)
            )

    @property
    def source(self) -> str:
        """The sample's energies."""
        return "sample"

    def value(self, known: Coefficients) -> Tensor:
        """Minus and plus one."""
        energy = known.energies("sample")
        large = energy > self.threshold**2
        if self.scales is not None:
            large = large & scale_indicator(known.layout, self.scales, "AboveThreshold")
        return 1 - 2 * large.to(energy.dtype)


def _as_numbers(name: str, values: float | Sequence[float] | Tensor) -> tuple[float, ...]:
    """Numbers of an array, a tensor or a sequence, or one number, as a tuple."""
    try:
        array = torch.as_tensor(values, dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be numbers, got {values!r}.") from None
    return tuple(array.tolist())


def _for_each(given: float | Sequence[float], like: Tensor, where: str) -> Tensor:
    """One value for each coefficient, in the precision and on the device of a tensor."""
    values = torch.tensor(given, dtype=like.dtype, device=like.device).flatten()
    if len(values) not in (1, like.shape[-1]):
        raise ValueError(
            f"{where} must have one entry for each of the {like.shape[-1]} coefficients, "
            f"got {len(values)}."
        )
    return values.expand(like.shape[-1])
