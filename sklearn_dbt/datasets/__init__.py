"""Making data: electrodes on the head, maps of the scalp, and mixtures of known sources."""

from sklearn_dbt.datasets._electrodes import electrode_positions
from sklearn_dbt.datasets._nonlinear_mixture import NonlinearMixture, make_nonlinear_mixture
from sklearn_dbt.datasets._scalp_frames import scalp_frames

__all__ = [
    "NonlinearMixture",
    "electrode_positions",
    "make_nonlinear_mixture",
    "scalp_frames",
]
