"""Scikit-learn estimators for noisy multichannel series, on PyTorch cores."""

from sklearn_dbt.model_selection import PairGroupKFold
from sklearn_dbt.neural_network import TrustRegionDropoutClassifier, TrustRegionDropoutRegressor
from sklearn_dbt.preprocessing import ChannelScaler, from_mne, from_tslearn, to_mne, to_tslearn

__all__ = [
    "ChannelScaler",
    "PairGroupKFold",
    "TrustRegionDropoutClassifier",
    "TrustRegionDropoutRegressor",
    "from_mne",
    "from_tslearn",
    "to_mne",
    "to_tslearn",
]
