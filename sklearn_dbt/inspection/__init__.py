"""Displays: pictures of fitted estimators."""

from sklearn_dbt.neural_network import DropoutSpectrumDisplay, TrustRegionDisplay
from sklearn_dbt.pairs import AlignmentDisplay, PairDistanceDisplay

__all__ = [
    "AlignmentDisplay",
    "DropoutSpectrumDisplay",
    "PairDistanceDisplay",
    "TrustRegionDisplay",
]
