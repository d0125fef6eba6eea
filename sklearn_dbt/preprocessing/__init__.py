"""Scaling of panels, and the border to other libraries' arrays."""

from sklearn_dbt.preprocessing._channel_scaler import ChannelScaler
from sklearn_dbt.preprocessing._converters import from_mne, from_tslearn, to_mne, to_tslearn

__all__ = ["ChannelScaler", "from_mne", "from_tslearn", "to_mne", "to_tslearn"]
