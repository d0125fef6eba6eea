"""Splitters for pairs."""

from sklearn_dbt.model_selection._pair_group_kfold import PairGroupKFold

__all__ = ["PairGroupKFold"]
