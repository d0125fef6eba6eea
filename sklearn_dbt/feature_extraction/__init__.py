"""Recordings as wavelet bands, and heat-map series as panels."""

from sklearn_dbt.feature_extraction._frame_embedder import FrameEmbedder
from sklearn_dbt.feature_extraction._wavelet_embedder import WaveletEmbedder

__all__ = ["FrameEmbedder", "WaveletEmbedder"]
