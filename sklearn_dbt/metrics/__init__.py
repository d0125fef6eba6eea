"""Scores that scikit-learn does not have."""

from sklearn_dbt.metrics._mean_correlation import (
    match_components,
    mean_correlation_coefficient,
)

__all__ = ["match_components", "mean_correlation_coefficient"]
