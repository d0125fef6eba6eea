"""Making data: electrodes on the head, and maps of the scalp from what they record."""

from sklearn_dbt.datasets._electrodes import electrode_positions
from sklearn_dbt.datasets._scalp_frames import scalp_frames

__all__ = ["electrode_positions", "scalp_frames"]
