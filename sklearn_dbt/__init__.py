"""Scikit-learn estimators for noisy multichannel series, on PyTorch cores."""

from sklearn_dbt.neural_network import TrustRegionDropoutClassifier, TrustRegionDropoutRegressor

__all__ = ["TrustRegionDropoutClassifier", "TrustRegionDropoutRegressor"]
