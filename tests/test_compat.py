"""Panels pass `set_output` untouched; tables are wrapped as scikit-learn wraps them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

from sklearn_dbt._compat import TableOutputMixin


class Keep(TableOutputMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.asarray(X)

    def get_feature_names_out(self, input_features=None):
        return np.array([f"c{i}" for i in range(self.n_features_in_)], dtype=object)


class KeepToo(Keep):
    """Inherits a wrapped method; it must not be wrapped twice."""


@pytest.mark.parametrize("cls", [Keep, KeepToo])
@pytest.mark.parametrize(("name", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_tables_are_wrapped_and_panels_pass(cls, name, frame):
    keep = cls().set_output(transform=name)
    table = keep.fit_transform(np.zeros((3, 2)))
    assert isinstance(table, frame)
    assert list(table.columns) == ["c0", "c1"]
    panel = keep.fit_transform(np.zeros((3, 2, 4)))
    assert isinstance(panel, np.ndarray)
    assert panel.shape == (3, 2, 4)


def test_a_pipeline_hands_the_wish_down():
    pipeline = make_pipeline(Keep(), KeepToo()).set_output(transform="pandas")
    assert isinstance(pipeline.fit_transform(np.zeros((3, 2))), pd.DataFrame)
