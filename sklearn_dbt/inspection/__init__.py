"""Displays: pictures of fitted estimators."""

from sklearn_dbt.decomposition._display import SourcesDisplay
from sklearn_dbt.feature_extraction._display import EigenframesDisplay, ScalogramDisplay
from sklearn_dbt.neural_network import DropoutSpectrumDisplay, TrustRegionDisplay
from sklearn_dbt.pairs import AlignmentDisplay, PairDistanceDisplay

__all__ = [
    "AlignmentDisplay",
    "DropoutSpectrumDisplay",
    "EigenframesDisplay",
    "PairDistanceDisplay",
    "ScalogramDisplay",
    "SourcesDisplay",
    "TrustRegionDisplay",
]
