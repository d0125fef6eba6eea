"""Displays: pictures of fitted estimators."""

from sklearn_dbt.neural_network import DropoutSpectrumDisplay, TrustRegionDisplay

__all__ = ["DropoutSpectrumDisplay", "TrustRegionDisplay"]
