"""Alignment of series: soft dynamic time warping and soft lagged correlation."""

from sklearn_dbt.nn.alignment._lagged_correlation import lagged_correlation
from sklearn_dbt.nn.alignment._soft_dtw import soft_dtw, soft_dtw_alignment
from sklearn_dbt.nn.alignment._soft_dtw_matrix import soft_dtw_matrix

__all__ = ["lagged_correlation", "soft_dtw", "soft_dtw_alignment", "soft_dtw_matrix"]
