"""Scikit-learn estimators for noisy multichannel series, on PyTorch cores."""

from sklearn_dbt.decomposition import NonlinearICAEncoder
from sklearn_dbt.feature_extraction import FrameEmbedder, WaveletEmbedder
from sklearn_dbt.model_selection import PairGroupKFold
from sklearn_dbt.neural_network import TrustRegionDropoutClassifier, TrustRegionDropoutRegressor
from sklearn_dbt.pairs import SoftDTWPairClassifier, make_pairs
from sklearn_dbt.preprocessing import ChannelScaler, from_mne, from_tslearn, to_mne, to_tslearn

__all__ = [
    "ChannelScaler",
    "FrameEmbedder",
    "NonlinearICAEncoder",
    "PairGroupKFold",
    "SoftDTWPairClassifier",
    "TrustRegionDropoutClassifier",
    "TrustRegionDropoutRegressor",
    "WaveletEmbedder",
    "from_mne",
    "from_tslearn",
    "make_pairs",
    "to_mne",
    "to_tslearn",
]
