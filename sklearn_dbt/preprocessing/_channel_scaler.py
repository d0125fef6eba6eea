"""Standardisation of each channel of a panel."""

from __future__ import annotations

import numpy as np

from sklearn_dbt._base import DBTEstimator, Panel, check_panel
from sklearn_dbt._compat import (
    TableOutputMixin,
    check_feature_names_in,
    check_is_fitted,
    check_sample_weight,
    fit_context,
)


class ChannelScaler(TableOutputMixin, DBTEstimator):
    r"""Standardise each channel over recordings and time.

    .. math:: z_{ict} = \frac{x_{ict} - \mu_c}{\sigma_c}

    :class:`sklearn.preprocessing.StandardScaler` refuses three axes; this is its counterpart for
    panels. A table is a panel of one channel, so all its columns share one mean and one scale,
    and the shape of a series is kept.

    Parameters
    ----------
    with_mean : bool, default=True
        Subtract the mean of each channel.
    with_std : bool, default=True
        Divide by the standard deviation of each channel; a constant channel is divided by 1.

    Attributes
    ----------
    mean_ : ndarray of shape (n_channels,)
        Mean of each channel.
    var_ : ndarray of shape (n_channels,)
        Variance of each channel.
    scale_ : ndarray of shape (n_channels,)
        What is divided by.
    n_samples_seen_ : float
        Weighted number of time points behind the moments.
    n_features_in_ : int
        Channels of a panel, columns of a table.
    feature_names_in_ : ndarray of str
        Names of columns, when `X` had any. Only for tables.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : Each column of a table by itself.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for Computing the Sample Variance:
       Analysis and Recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import ChannelScaler
    >>> X = np.random.default_rng(0).normal([[3.0], [100.0]], [[1.0], [20.0]], size=(5, 2, 50))
    >>> Z = ChannelScaler().fit_transform(X)
    >>> Z.mean(axis=(0, 2)).round(6) + 0.0
    array([0., 0.])
    >>> Z.std(axis=(0, 2)).round(6)
    array([1., 1.])
    """

    _parameter_constraints: dict = {"with_mean": ["boolean"], "with_std": ["boolean"]}

    def __init__(self, *, with_mean=True, with_std=True):
        self.with_mean = with_mean
        self.with_std = with_std

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):  # noqa: ARG002
        """Compute mean and variance of each channel.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings; a list of ``(n_channels, n_times_i)`` arrays when lengths differ.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weight of each recording.

        Returns
        -------
        self : ChannelScaler
        """
        return self._update(X, sample_weight, reset=True)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):  # noqa: ARG002
        """Add recordings to the moments; the result is that of all recordings at once.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weight of each recording.

        Returns
        -------
        self : ChannelScaler
        """
        return self._update(X, sample_weight, reset=not hasattr(self, "mean_"))

    def _update(self, X, sample_weight, *, reset):
        panel = check_panel(self, X, reset=reset, ragged=True)
        weights = check_sample_weight(
            sample_weight, panel.lengths, dtype=np.float64, ensure_non_negative=True
        )
        count, mean, var = _moments(panel, weights)
        if not reset:
            old = self.n_samples_seen_, self.mean_, self.var_
            count, mean, var = _merged(old, (count, mean, var))
        self.n_samples_seen_, self.mean_, self.var_ = count, mean, var
        # A constant channel has, by rounding alone, a variance of about eps² times its square.
        constant = var <= (10 * np.finfo(panel.dtype).eps * np.abs(mean)) ** 2
        self.scale_ = np.where(constant, 1.0, np.sqrt(var)) if self.with_std else np.ones(len(var))
        return self

    def transform(self, X):
        """Standardise recordings.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings.

        Returns
        -------
        ndarray of the shape of `X`, or list of ndarray
            In the precision of `X`.
        """
        return self._mapped(X, lambda x, mean, scale: (x - mean) / scale)

    def inverse_transform(self, X):
        """Undo the standardisation.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Standardised recordings.

        Returns
        -------
        ndarray of the shape of `X`, or list of ndarray
            In the precision of `X`.
        """
        return self._mapped(X, lambda x, mean, scale: x * scale + mean)

    def _mapped(self, X, rule):
        check_is_fitted(self)
        panel = check_panel(self, X, reset=False, ragged=True)
        mean = self.mean_ if self.with_mean else np.zeros_like(self.mean_)
        mean, scale = (m.astype(panel.dtype)[:, None] for m in (mean, self.scale_))
        if panel.is_ragged:
            return [rule(recording, mean, scale) for recording in panel.data]
        return panel.like_input(rule(panel.data, mean, scale))

    def get_feature_names_out(self, input_features=None):
        """Names of the output's channels, or columns for a table.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input's; None takes those of `fit`, or ``x0``, ``x1``, …

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return check_feature_names_in(self, input_features)


def _moments(panel: Panel, weights: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Weighted count, mean and variance of each channel over recordings and time."""
    count = float(weights @ panel.lengths)
    sums = [w * x.sum(axis=1, dtype=np.float64) for w, x in zip(weights, panel.data, strict=True)]
    mean = np.sum(sums, axis=0) / count
    squares = [
        w * np.square(x - mean[:, None], dtype=np.float64).sum(axis=1)
        for w, x in zip(weights, panel.data, strict=True)
    ]
    return count, mean, np.sum(squares, axis=0) / count


def _merged(old, new) -> tuple[float, np.ndarray, np.ndarray]:
    """Moments of two sets of samples together (Chan, Golub and LeVeque 1983)."""
    (n, mean, var), (m, new_mean, new_var) = old, new
    share = m / (n + m)
    delta = new_mean - mean
    merged = (1 - share) * var + share * new_var + share * (1 - share) * delta**2
    return n + m, mean + share * delta, merged
