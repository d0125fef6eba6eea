"""Displays: pictures of fitted estimators."""

from sklearn_dbt.decomposition._display import SourcesDisplay
from sklearn_dbt.feature_extraction._display import EigenframesDisplay, ScalogramDisplay
from sklearn_dbt.neural_network import DropoutSpectrumDisplay, TrustRegionDisplay

__all__ = [
    "DropoutSpectrumDisplay",
    "EigenframesDisplay",
    "ScalogramDisplay",
    "SourcesDisplay",
    "TrustRegionDisplay",
]
