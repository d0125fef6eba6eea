"""Pairs of recordings: making them, and learning whether both belong together."""

from sklearn_dbt.pairs._display import AlignmentDisplay, PairDistanceDisplay
from sklearn_dbt.pairs._make_pairs import make_pairs
from sklearn_dbt.pairs._soft_dtw_pair_classifier import SoftDTWPairClassifier

__all__ = ["AlignmentDisplay", "PairDistanceDisplay", "SoftDTWPairClassifier", "make_pairs"]
