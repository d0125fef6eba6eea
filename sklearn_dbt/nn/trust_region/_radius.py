"""The ratio test and what it does to the radius."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["RadiusRule", "reduction_ratio"]


def reduction_ratio(actual: float, predicted: float, value: float, eps: float) -> float:
    r"""Ratio of actual to predicted reduction, safe where both vanish.

    .. math:: \rho = \frac{\text{actual} + \varepsilon}{\text{predicted} + \varepsilon}, \qquad
              \varepsilon = 10 \, \mathrm{eps} \, \max(1, |J|) .

    Parameters
    ----------
    actual : float
        Reduction :math:`J(\omega) - J(\omega + s)`.
    predicted : float
        Reduction that the model promised for the same step, not negative.
    value : float
        Objective :math:`J(\omega)`.
    eps : float
        Machine epsilon of the precision in which the objective was computed.

    Returns
    -------
    float
        The ratio; nan where a value is not finite.

    Examples
    --------
    >>> from sklearn_dbt.nn.trust_region import reduction_ratio
    >>> reduction_ratio(0.0, 0.0, 3.0, 1e-16)
    1.0
    """
    if not all(map(math.isfinite, (actual, predicted, value))):
        return math.nan
    slack = 10 * eps * max(1.0, abs(value))
    return (actual + slack) / (predicted + slack)


@dataclass(frozen=True)
class RadiusRule:
    r"""Accept or reject a step by its ratio, and change the radius.

    .. math::

        \rho < \eta_1 &: \text{rejected}, \; \Delta \leftarrow \gamma_1 \Delta \\
        \eta_1 \le \rho < \eta_2 &: \text{accepted} \\
        \rho \ge \eta_2 &: \text{accepted}, \; \Delta \leftarrow \min(\gamma_2 \Delta,
        \Delta_{\max})

    A ratio that is not finite is rejected. :math:`\Delta_{\min}` bounds only where the next update
    starts: retries inside an update may go below it, since a hard floor would offer the same bad
    step for ever.

    Parameters
    ----------
    eta1, eta2 : float, default=0.1, 0.75
        Thresholds of the ratio, ``0 < eta1 < eta2 < 1``.
    gamma1, gamma2 : float, default=0.5, 2.0
        Factors of the radius, ``0 < gamma1 < 1 <= gamma2``.
    minimum, maximum : float, default=2e-3, 0.05
        :math:`\Delta_{\min}` and :math:`\Delta_{\max}`.

    References
    ----------
    .. [1] A. R. Conn, N. I. M. Gould and P. L. Toint, "Trust-Region Methods", SIAM, 2000,
       chapter 6.

    Examples
    --------
    >>> from sklearn_dbt.nn.trust_region import RadiusRule
    >>> rule = RadiusRule()
    >>> rule.decide(0.9, 0.02), rule.decide(0.5, 0.02), rule.decide(-1.0, 0.02)
    ((True, 0.04), (True, 0.02), (False, 0.01))
    >>> rule.start(1e-5)
    0.002
    """

    eta1: float = 0.1
    eta2: float = 0.75
    gamma1: float = 0.5
    gamma2: float = 2.0
    minimum: float = 2e-3
    maximum: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.eta1 < self.eta2 < 1:
            raise ValueError(
                f"0 < eta1 < eta2 < 1 must hold, got eta1={self.eta1}, eta2={self.eta2}."
            )
        if not 0 < self.gamma1 < 1 <= self.gamma2 < math.inf:
            raise ValueError(
                f"0 < gamma1 < 1 <= gamma2 must hold, got gamma1={self.gamma1}, "
                f"gamma2={self.gamma2}."
            )
        if not 0 < self.minimum <= self.maximum < math.inf:
            raise ValueError(
                "0 < radius_min <= radius_max must hold, got "
                f"radius_min={self.minimum}, radius_max={self.maximum}."
            )

    def decide(self, rho: float, radius: float) -> tuple[bool, float]:
        """Verdict on a step and the radius after it.

        Parameters
        ----------
        rho : float
            Ratio of actual to predicted reduction.
        radius : float
            Radius under which the step was made.

        Returns
        -------
        accepted : bool
            Whether the step is taken.
        radius : float
            The radius for the next try.
        """
        if not (math.isfinite(rho) and rho >= self.eta1):
            return False, self.gamma1 * radius
        if rho < self.eta2:
            return True, radius
        return True, min(self.gamma2 * radius, self.maximum)

    def start(self, radius: float) -> float:
        """Radius with which an update starts: at least the minimum."""
        return max(radius, self.minimum)
