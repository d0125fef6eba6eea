"""Recordings in wavelet bands: as series, as a table of statistics, or denoised."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
import pywt
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if

from sklearn_dbt._base import DBTEstimator, Panel, check_panel, series_names
from sklearn_dbt._compat import (
    Interval,
    StrOptions,
    TableOutputMixin,
    check_feature_names_in,
    check_is_fitted,
    fit_context,
)
from sklearn_dbt.feature_extraction._band_statistics import (
    STATISTICS,
    TRENDS,
    band_statistics,
    trend_statistics,
)
from sklearn_dbt.feature_extraction._wavelet_bands import RULES, TRANSFORMS, BandTransform, shrink

# Packets double in number with every level: 16 bands unless more are asked for.
MAX_DEFAULT_PACKET_LEVEL = 4


def _gives_series(estimator) -> bool:
    if estimator.output != "series":
        raise AttributeError(
            f"inverse_transform needs output='series', got output={estimator.output!r}."
        )
    return True


class WaveletEmbedder(TableOutputMixin, DBTEstimator):
    r"""Split recordings into wavelet bands.

    Each channel of each recording by itself is analysed into :math:`B` bands with coefficients
    :math:`c_b`. With :math:`S_b` the synthesis from band :math:`b` alone,

    .. math::

        x = \sum_{b=1}^{B} x_b, \quad x_b = S_b c_b
        \qquad \text{(series)}, \qquad
        \hat x = \sum_{b=1}^{B} S_b \, \eta_{\lambda_b}(c_b)
        \qquad \text{(denoised)},

    where :math:`\eta_\lambda` shrinks coefficients above the universal threshold
    :math:`\lambda_b = \hat\sigma_b \sqrt{2 \log n}` and sets the others to 0. Noise is
    estimated by :math:`\hat\sigma = \operatorname{median} |c| / 0.6745`; the lowest band is left
    as it is.

    Parameters
    ----------
    wavelet : str, default="db4"
        A discrete wavelet, one of ``pywt.wavelist(kind="discrete")``.
    level : int, default=None
        Number of levels, at least 1; at most the first whose coefficients are further apart than
        the recording is long, :math:`2^{level} > n` for :math:`n` time points. None takes the
        most levels free of boundary effects for the shortest recording seen in `fit`
        (``pywt.dwt_max_level``), at least 1, and for packets at most 4.
    mode : str, default="periodization"
        How recordings go on beyond their ends, one of ``pywt.Modes.modes``. With
        ``transform="swt"``, which is periodic, only how they are extended to a multiple of
        ``2**level``.
    transform : {"dwt", "swt", "packet"}, default="dwt"
        ``"dwt"`` has level + 1 bands, each an octave wide; ``"swt"`` has the same bands without
        downsampling, and does not depend on where a recording begins; ``"packet"`` has
        ``2**level`` bands of equal width.
    output : {"series", "features", "denoised"}, default="series"
        ``"series"`` makes each band a channel: components in time that sum to the input, channel
        after channel, in each the bands from low to high. ``"features"`` gives the statistics of
        the coefficients, one row a recording. ``"denoised"`` keeps the shape of the input.
    statistics : str or sequence of str, default=("log_energy",)
        Columns of ``"features"`` for each channel and band: ``"mean"``, ``"std"``,
        ``"energy"`` (mean square), ``"log_energy"`` (natural logarithm),
        ``"relative_energy"`` (share of the channel's energy), ``"entropy"`` (how evenly the
        energy is spread in time, 0 to 1) and ``"kurtosis"`` (excess).
    trend : str or sequence of str, default=("mean", "slope", "curvature")
        More columns of ``"features"`` for each channel, ahead of its bands: the signed shape of the
        lowest band's series, which no energy tells. These are its coefficients on the Legendre
        polynomials of degree 0, 1 and 2 over the recording; ``()`` leaves them out.
    sampling_rate : float, default=None
        Samples per second, in Hz. Given, names and `band_edges_` tell frequencies in Hz.
    threshold : {"soft", "hard", "garrote"}, default="soft"
        How ``"denoised"`` shrinks coefficients :math:`|c| > \lambda`: to
        :math:`c - \lambda \operatorname{sign} c`, not at all, or to :math:`c - \lambda^2 / c`.
    noise : {"finest", "level"}, default="finest"
        Which band tells ``"denoised"`` the noise: the highest, for white noise, or each band its
        own, for coloured noise under signals that are sparse in every band. The latter takes
        a lasting oscillation for noise.

    Attributes
    ----------
    level_ : int
        Number of levels.
    bands_ : list of str
        Names of the bands, from low to high frequencies: ``"a3"``, ``"d3"``, ``"d2"``, ``"d1"``,
        or the paths of packets, as ``"aad"``.
    band_edges_ : ndarray of shape (n_bands, 2)
        Ideal edges of each band, in Hz with `sampling_rate`, else in cycles per sample.
    n_features_in_ : int
        Channels of a panel, columns of a table.
    feature_names_in_ : ndarray of str
        Names of columns, when `X` had any. Only for tables.

    See Also
    --------
    sklearn_dbt.nn.basis.DWT : The same transform, differentiable, for networks.

    Notes
    -----
    Recordings do not learn from each other: `fit` only settles level and names. A panel at
    `transform` may have another number of time points than at `fit`, as long as the level fits it;
    a table may not. For a table, ``"series"`` is flattened, band after band.

    References
    ----------
    .. [1] S. Mallat, "A Wavelet Tour of Signal Processing", 3rd edition, Academic Press, 2009.
    .. [2] D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
       Biometrika 81(3), 425-455, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.feature_extraction import WaveletEmbedder
    >>> X = np.random.default_rng(0).normal(size=(5, 2, 64))
    >>> embedder = WaveletEmbedder(level=2).fit(X)
    >>> embedder.transform(X).shape
    (5, 6, 64)
    >>> np.allclose(embedder.inverse_transform(embedder.transform(X)), X)
    True
    >>> embedder.set_params(output="features", trend="slope", sampling_rate=100)
    WaveletEmbedder(level=2, output='features', sampling_rate=100, trend='slope')
    >>> embedder.fit(X).get_feature_names_out()[:2].tolist()
    ['ch0_a2_0-12.5Hz_trend_slope', 'ch0_a2_0-12.5Hz_log_energy']
    """

    _parameter_constraints: dict = {
        "wavelet": [StrOptions(set(pywt.wavelist(kind="discrete")))],
        "level": [Interval(Integral, 1, None, closed="left"), None],
        "mode": [StrOptions(set(pywt.Modes.modes))],
        "transform": [StrOptions(set(TRANSFORMS))],
        "output": [StrOptions({"series", "features", "denoised"})],
        "statistics": ["array-like", str],
        "trend": ["array-like", str],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "threshold": [StrOptions(set(RULES))],
        "noise": [StrOptions({"finest", "level"})],
    }

    def __init__(
        self,
        wavelet="db4",
        level=None,
        mode="periodization",
        transform="dwt",
        output="series",
        *,
        statistics=("log_energy",),
        trend=("mean", "slope", "curvature"),
        sampling_rate=None,
        threshold="soft",
        noise="finest",
    ):
        self.wavelet = wavelet
        self.level = level
        self.mode = mode
        self.transform = transform
        self.output = output
        self.statistics = statistics
        self.trend = trend
        self.sampling_rate = sampling_rate
        self.threshold = threshold
        self.noise = noise

    def get_params(self, deep=True):
        """Parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Also parameters of contained estimators; there are none.

        Returns
        -------
        params : dict
        """
        # The attribute `transform` is the method; see `_MethodBesideParameter`.
        return super().get_params(deep) | {"transform": vars(self)["transform"]}

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):  # noqa: ARG002
        """Settle the level and the names of the bands.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings; a list of ``(n_channels, n_times_i)`` arrays when lengths differ.
        y : None
            Ignored.

        Returns
        -------
        self : WaveletEmbedder
        """
        self._column_names()
        panel = check_panel(self, X, reset=True, ragged=True, min_times=2)
        self.level_ = self._choose_level(int(panel.lengths.min()))
        bands = self._band_transform()
        self.bands_ = bands.names
        self.band_edges_ = bands.edges * (self.sampling_rate or 1)
        return self

    def transform(self, X):
        """Split recordings into bands.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings.

        Returns
        -------
        ndarray or list of ndarray
            ``(n, n_channels * n_bands, n_times)`` for ``"series"``, the shape of `X` for
            ``"denoised"`` (lists for lists, and for a table a table), or
            ``(n, n_channels * (n_trend + n_bands * n_statistics))`` for ``"features"``; in the
            precision of `X`.
        """
        check_is_fitted(self)
        panel = check_panel(
            self, X, reset=False, ragged=True, min_times=max(2, 2 ** (self.level_ - 1))
        )
        rule = {
            "series": self._series,
            "features": self._features,
            "denoised": self._denoised,
        }[self.output]
        result = _map_by_length(rule, panel)
        if self.output == "features":
            return np.asarray(result)
        return result if panel.is_ragged else panel.like_input(result)

    @available_if(_gives_series)
    def inverse_transform(self, X):
        """Put recordings together again: the sum over bands.

        Parameters
        ----------
        X : array-like of shape (n, n_channels * n_bands, n_times), or a table or list of these
            What `transform` gives with ``output="series"``.

        Returns
        -------
        ndarray or list of ndarray
            Recordings of the shape seen in `fit`.

        Raises
        ------
        AttributeError
            For another output.
        """
        check_is_fitted(self)
        if isinstance(X, list) and self._n_dims_in == 3:
            return [self._summed(np.asarray(recording)[None])[0] for recording in X]
        return self._summed(X)

    def get_feature_names_out(self, input_features=None):
        """Names of the output's channels, or columns for a table.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input's channels, or columns for a table; None calls channels
            ``ch0``, ``ch1``, …

        Returns
        -------
        ndarray of str
            As ``"ch3_d2"`` for ``"series"`` (with time, ``"ch0_d2_t17"``, for a table) and
            ``"ch3_d2_log_energy"`` for ``"features"``; with `sampling_rate`, bands tell their
            edges, as ``"ch3_d2_12.5-25Hz_log_energy"``. For ``"denoised"`` the input's.
        """
        check_is_fitted(self)
        given = check_feature_names_in(self, input_features)
        if self.output == "denoised":
            return given
        is_table = self._n_dims_in == 2
        channels = [f"ch{i}" for i in range(1 if is_table else self.n_features_in_)]
        if input_features is not None and not is_table:
            channels = list(given)
        columns = [f"{c}_{band}" for c in channels for band in self._band_labels()]
        if self.output == "series":
            return series_names(columns, self.n_features_in_, is_table)
        trend, names = self._column_names()
        bands = self._band_labels()
        of_channel = [f"{bands[0]}_trend_{name}" for name in trend]
        of_channel += [f"{band}_{name}" for band in bands for name in names]
        return np.array([f"{c}_{column}" for c in channels for column in of_channel], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _choose_level(self, n_times: int) -> int:
        largest = n_times.bit_length()  # the first level with 2**level > n
        if self.level is None:
            free = max(1, pywt.dwt_max_level(n_times, self.wavelet))
            packets = vars(self)["transform"] == "packet"
            return min(free, MAX_DEFAULT_PACKET_LEVEL) if packets else free
        if self.level > largest:
            raise ValueError(
                f"{type(self).__name__}: level must be at most {largest} for recordings of "
                f"{n_times} time points, got {self.level}."
            )
        return int(self.level)

    def _band_transform(self) -> BandTransform:
        return TRANSFORMS[vars(self)["transform"]](self.wavelet, self.mode, self.level_)

    def _band_labels(self) -> list[str]:
        if self.sampling_rate is None:
            return self.bands_
        edges = self.band_edges_.tolist()
        return [
            f"{band}_{low:g}-{high:g}Hz"
            for band, (low, high) in zip(self.bands_, edges, strict=True)
        ]

    def _series(self, x: np.ndarray) -> np.ndarray:
        components = self._band_transform().components(x)
        return components.reshape(len(x), -1, x.shape[-1])

    def _features(self, x: np.ndarray) -> np.ndarray:
        bands = self._band_transform()
        trend, names = self._column_names()
        coefficients = bands.analysis(x)
        table = band_statistics(coefficients, bands.edges, names).reshape(*x.shape[:-1], -1)
        if trend:
            alone = [coefficients[0], *(None for _ in coefficients[1:])]
            shape = trend_statistics(bands.synthesis(alone, x.shape[-1]), trend)
            table = np.concatenate([shape, table], axis=-1)
        return table.reshape(len(x), -1).astype(x.dtype)

    def _column_names(self) -> tuple[list[str], list[str]]:
        trend = _check_names("trend", self.trend, TRENDS, may_be_empty=True)
        return trend, _check_names("statistics", self.statistics, STATISTICS)

    def _denoised(self, x: np.ndarray) -> np.ndarray:
        bands, n = self._band_transform(), x.shape[-1]
        return bands.synthesis(shrink(bands.analysis(x), n, self.threshold, self.noise), n)

    def _summed(self, X) -> np.ndarray:
        """Sum over the bands of a table or panel."""
        X = check_array(X, dtype=[np.float64, np.float32], allow_nd=True)
        n_out = self.n_features_in_ * len(self.bands_)
        if X.ndim != self._n_dims_in or X.shape[1] != n_out:
            times = "" if self._n_dims_in == 2 else ", n_times"
            raise ValueError(
                f"{type(self).__name__}.inverse_transform: X must have the shape (n, {n_out}"
                f"{times}) that transform gives, got {X.shape}."
            )
        n_channels = 1 if X.ndim == 2 else self.n_features_in_
        summed = X.reshape(len(X), n_channels, len(self.bands_), -1).sum(axis=2)
        return summed[:, 0] if X.ndim == 2 else summed


class _MethodBesideParameter:
    """A method that shares its name with a parameter of the constructor.

    What is assigned is kept among the instance's variables, where `get_params` reads it; what is
    looked up is the method.
    """

    def __init__(self, method: Callable) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance, owner=None):
        return self.method if instance is None else self.method.__get__(instance, owner)

    def __set__(self, instance, value) -> None:
        vars(instance)[self.method.__name__] = value


# After the class stands: `set_output` wraps the method while it is made.
WaveletEmbedder.transform = _MethodBesideParameter(WaveletEmbedder.transform)  # type: ignore


def _map_by_length(rule: Callable[[np.ndarray], np.ndarray], panel: Panel):
    """Apply a rule for panels; to ragged recordings, once for each length."""
    if not isinstance(panel.data, list):
        return rule(panel.data)
    results: list = [None] * panel.n_recordings
    for length in np.unique(panel.lengths):
        group = np.flatnonzero(panel.lengths == length)
        for i, result in zip(group, rule(np.stack([panel.data[i] for i in group])), strict=True):
            results[i] = result
    return results


def _check_names(what: str, given, known: dict, *, may_be_empty: bool = False) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    unknown = [name for name in names if name not in known]
    if (not names and not may_be_empty) or unknown or len(set(names)) < len(names):
        raise ValueError(f"{what} must be different names among {', '.join(known)}; got {given!r}.")
    return names
