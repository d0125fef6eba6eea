"""Sensor arrays: the unitary DFT across sensors, and how it sees a direction."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features

__all__ = ["SpatialDFT", "steering_response", "steering_vector"]


class SpatialDFT(Basis):
    r"""Unitary discrete Fourier transform across the sensors of a uniform linear array.

    The last axis is the array's sensors; each coefficient is a beam,

    .. math::

        c_k = \frac{1}{\sqrt n} \sum_{m=0}^{n-1} x_m e^{-2 \pi i f_k m},
        \qquad f_k \in [-\tfrac12, \tfrac12) .

    All frequencies are kept, in the order of `numpy.fft.fftfreq`: the array's snapshots are complex
    (baseband) samples, whose spectrum has no symmetry. Real signals are taken too; synthesis is
    complex in either case.

    Parameters
    ----------
    n_sensors : int
        Number :math:`n` of sensors, at least 1.

    See Also
    --------
    steering_vector : What the sensors receive from one direction.
    steering_response : How the coefficients see one direction.

    Notes
    -----
    The layout's frequency is the spatial frequency :math:`f_k` in cycles per sensor spacing. With
    sensors :math:`d` wavelengths apart it belongs to the direction :math:`\theta` from broadside
    with :math:`f_k = d \sin \theta` (up to an integer, where :math:`d > 1/2`).

    References
    ----------
    .. [1] H. L. Van Trees, "Optimum Array Processing", Wiley, 2002, chapters 2 and 3.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import SpatialDFT, steering_vector
    >>> basis = SpatialDFT(4)
    >>> basis.layout.frequency.tolist()
    [0.0, 0.25, -0.5, -0.25]
    >>> basis.analysis(steering_vector(4, 30.0)).abs().round(decimals=4)
    tensor([0., 2., 0., 0.])
    """

    def __init__(self, n_sensors: int) -> None:
        n = check_n_features(n_sensors, "n_sensors")
        layout = Layout.make(n, frequency=torch.fft.fftfreq(n, dtype=torch.float64))
        super().__init__(n, layout, is_complex=True, is_orthogonal=True, takes_complex=True)

    def _analysis(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x, norm="ortho")

    def _synthesis(self, c: Tensor) -> Tensor:
        return torch.fft.ifft(c, norm="ortho")


def steering_vector(n_sensors: int, angle: float, spacing: float = 0.5) -> Tensor:
    r"""What the sensors of a uniform linear array receive from a far source of unit amplitude.

    .. math:: a_m(\theta) = e^{2 \pi i \, d m \sin \theta}, \qquad m = 0, \dots, n - 1 .

    Parameters
    ----------
    n_sensors : int
        Number :math:`n` of sensors, at least 1.
    angle : float
        Direction :math:`\theta` in degrees from broadside, -90 to 90.
    spacing : float, default=0.5
        Distance :math:`d` between neighbouring sensors in wavelengths, greater than 0. Above 0.5
        some directions cannot be told from each other.

    Returns
    -------
    Tensor of shape (n_sensors,)
        Complex vector in torch's default precision.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    .. [1] H. L. Van Trees, "Optimum Array Processing", Wiley, 2002, chapter 2.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import steering_vector
    >>> steering_vector(3, 0.0).abs().tolist()
    [1.0, 1.0, 1.0]
    >>> steering_vector(2, 30.0)[1].imag.round(decimals=4)
    tensor(1.)
    """
    vector = _steering_vector(n_sensors, angle, spacing)
    return vector.to(torch.get_default_dtype().to_complex())


def steering_response(n_sensors: int, angle: float, spacing: float = 0.5) -> Tensor:
    r"""How strongly each coefficient of a `SpatialDFT` sees one direction.

    .. math:: r_k = \bigl| \bigl( F a(\theta) / \sqrt n \bigr)_k \bigr|
              = \left| \frac{\sin \pi n u}{n \sin \pi u} \right|,
              \qquad u = f_k - d \sin \theta ,

    with the unitary transform :math:`F` and the steering vector :math:`a`. It is 1 for a
    coefficient that looks exactly there, and :math:`\sum_k r_k^2 = 1`.

    Parameters
    ----------
    n_sensors : int
        Number :math:`n` of sensors, at least 1.
    angle : float
        Direction :math:`\theta` in degrees from broadside, -90 to 90.
    spacing : float, default=0.5
        Distance :math:`d` between neighbouring sensors in wavelengths, greater than 0.

    Returns
    -------
    Tensor of shape (n_sensors,)
        Responses from 0 to 1, in torch's default precision, one for each coefficient of
        ``SpatialDFT(n_sensors)``.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import steering_response
    >>> steering_response(4, 30.0).round(decimals=4)
    tensor([0., 1., 0., 0.])
    """
    vector = _steering_vector(n_sensors, angle, spacing)
    response = torch.fft.fft(vector, norm="forward").abs()
    return response.to(torch.get_default_dtype())


def _steering_vector(n_sensors: int, angle: float, spacing: float) -> Tensor:
    n = check_n_features(n_sensors, "n_sensors")
    if not -90 <= angle <= 90:
        raise ValueError(f"angle must lie from -90 to 90 degrees, got {angle}.")
    if not 0 < spacing < math.inf:
        raise ValueError(f"spacing must be finite and greater than 0 wavelengths, got {spacing}.")
    turns = spacing * math.sin(math.radians(angle)) * torch.arange(n, dtype=torch.float64)
    return torch.polar(torch.ones_like(turns), 2 * math.pi * turns)
