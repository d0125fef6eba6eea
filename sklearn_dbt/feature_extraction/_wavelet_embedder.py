"""Recordings in wavelet bands: as series, as a table of statistics, or denoised."""

from __future__ import annotations

from dataclasses import replace
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
from sklearn_dbt.feature_extraction._by_length import groups_by_length, map_by_length
from sklearn_dbt.feature_extraction._circular_bands import CONTINUOUS_WAVELETS, ContinuousTransform
from sklearn_dbt.feature_extraction._learned_wavelet import learn_filters
from sklearn_dbt.feature_extraction._method_beside_parameter import MethodBesideParameter
from sklearn_dbt.feature_extraction._packet_bands import PacketTransform, best_basis
from sklearn_dbt.feature_extraction._shrinkage import RULES, SELECTIONS, shrink
from sklearn_dbt.feature_extraction._sparsity import COSTS
from sklearn_dbt.feature_extraction._transform_choice import (
    TRANSFORMS,
    choose_level,
    choose_wavelet,
    learned_wavelet,
)
from sklearn_dbt.feature_extraction._wavelet_bands import BandTransform
from sklearn_dbt.feature_extraction._wavelet_features import BandFeatures


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

    where :math:`\eta_\lambda` sets coefficients up to the threshold :math:`\lambda_b` to 0 and
    shrinks the others. With noise of standard deviation :math:`\hat\sigma = \operatorname{median}
    |c| / 0.6745`, the threshold is

    .. math::

        \text{universal:} \quad & \lambda = \hat\sigma \sqrt{2 \log n} \\
        \text{SURE:} \quad & \lambda_b = \operatorname{argmin}_\lambda R_b(\lambda) \\
        \text{Bayes:} \quad & \lambda_b =
            \frac{\hat\sigma^2}{\sqrt{\overline{c_b^2} - \hat\sigma^2}}

    with :math:`R` Stein's unbiased estimate of the error. The lowest band is left as it is, or
    dropped.

    Parameters
    ----------
    wavelet : str, default=None
        A discrete wavelet, one of ``pywt.wavelist(kind="discrete")``; ``"morlet"`` or
        ``"mexican_hat"`` for ``transform="cwt"``. None is ``"db4"``, or ``"morlet"``.
    level : int, default=None
        Number of levels, at least 1; at most the first whose coefficients are further apart than
        the recording is long, :math:`2^{level} > n` for :math:`n` time points. For ``"cwt"`` the
        number of octaves. None takes the most levels free of boundary effects for the shortest
        recording seen in `fit` (``pywt.dwt_max_level``, or the octaves above :math:`4 / n` cycles
        per sample), at least 1, and for packets at most 4.
    mode : str, default="periodization"
        How recordings go on beyond their ends, one of ``pywt.Modes.modes``. With
        ``transform="swt"``, which is periodic, only how they are extended to a multiple of
        ``2**level``; ``"cwt"`` is periodic whatever it says.
    transform : {"dwt", "swt", "packet", "cwt"}, default="dwt"
        ``"dwt"`` has level + 1 bands, each an octave wide; ``"swt"`` has the same bands without
        downsampling, and does not depend on where a recording begins; ``"packet"`` has
        ``2**level`` bands of equal width, or those of the best basis; ``"cwt"``, the continuous
        transform, has `n_voices` bands an octave at every sample and one for what is below.
    output : {"series", "features", "denoised"}, default="series"
        ``"series"`` makes each band a channel: components in time that sum to the input, channel
        after channel, in each the bands from low to high. ``"features"`` gives the statistics of
        the coefficients, one row a recording. ``"denoised"`` keeps the shape of the input.
    n_voices : int, default=4
        Bands an octave. Only for ``transform="cwt"``.
    best_basis : {"shannon", "log_energy", "l1"}, default=None
        Which packets are split is learnt in `fit`: the tree whose coefficients, on all recordings
        together, cost least [3]_. With :math:`p_k = c_k^2 / \|x\|^2` the cost is
        :math:`-\sum p_k \log p_k`, :math:`\sum \log p_k` or :math:`\sum \sqrt{p_k}`. None takes
        all packets of the last level. Only for ``transform="packet"``.
    learn_wavelet : bool, default=False
        Fit orthogonal filters, as long as those of `wavelet` and starting from them, to the
        recordings: those that minimise `objective`. They are paraunitary to rounding whatever is
        learnt, so nothing is lost. Not for ``transform="cwt"``.
    objective : {"shannon", "log_energy", "l1"} or callable, default="shannon"
        What learnt filters minimise: a cost as in `best_basis`, of the periodic discrete transform;
        or a function ``f(bands, y)`` of its bands, a list of tensors ``(n, n_channels,
        n_coefficients)`` from low to high, and the `y` of `fit`, that returns a tensor without
        axes. Recordings of unlike lengths come in groups of equal length, whose values are averaged
        by their numbers.
    statistics : str, callable or sequence of these, default=("log_energy",)
        Columns of ``"features"`` for each channel and band: ``"mean"``, ``"std"``,
        ``"log_variance"`` (natural logarithm), ``"energy"`` (mean square), ``"log_energy"``,
        ``"relative_energy"`` (share of the channel's energy), ``"entropy"`` (how evenly the
        energy is spread in time, 0 to 1), ``"skewness"`` and ``"kurtosis"`` (excess); or functions
        ``f(c, axis=-1)`` of the coefficients such as :func:`numpy.ptp`. Of complex coefficients
        (``"morlet"``) they see the magnitudes.
    trend : str or sequence of str, default=("mean", "slope", "curvature")
        More columns of ``"features"`` for each channel, ahead of its bands: the signed shape of the
        lowest band's series, which no energy tells. These are its coefficients on the Legendre
        polynomials of degree 0, 1 and 2 over the recording; ``()`` leaves them out.
    sampling_rate : float, default=None
        Samples per second, in Hz. Given, names and `band_edges_` tell frequencies in Hz.
    threshold : {"soft", "hard", "garrote"}, default="soft"
        How ``"denoised"`` shrinks coefficients :math:`|c| > \lambda`: to
        :math:`c - \lambda \operatorname{sign} c`, not at all, or to :math:`c - \lambda^2 / c`.
    selection : {"auto", "sure", "bayes", "universal"}, default="auto"
        Where the threshold lies. ``"universal"`` is one for all bands of a series [2]_, which
        hardly lets any noise pass and takes much of signals that are rich; ``"sure"`` and
        ``"bayes"`` [5]_ choose one for each band. ``"sure"`` takes the universal one in bands that
        are too sparse [4]_, and does not go with ``"hard"``, whose error cannot be estimated so.
        ``"auto"`` is ``"sure"``, or with ``"hard"`` ``"universal"``.
    noise : {"finest", "level"}, default="finest"
        Which band tells ``"denoised"`` the noise: the highest, for white noise, or each band its
        own, for coloured noise under signals that are sparse in every band. The latter takes
        a lasting oscillation for noise.
    lowest : {"keep", "drop"}, default="keep"
        What ``"denoised"`` does with the lowest band: "drop" takes away drifts that are slower than
        its upper edge, and the mean with them.

    Attributes
    ----------
    level_ : int
        Number of levels.
    bands_ : list of str
        Names of the bands, from low to high frequencies: ``"a3"``, ``"d3"``, ``"d2"``, ``"d1"``,
        the paths of packets, as ``"aad"``, or ``"a2"``, ``"s8"``, …, ``"s1"`` for ``"cwt"``.
    band_edges_ : ndarray of shape (n_bands, 2)
        Ideal edges of each band, in Hz with `sampling_rate`, else in cycles per sample.
    filters_ : ndarray of shape (2, n_taps)
        Learnt low-pass and high-pass analysis filter. Only with ``learn_wavelet=True``.
    objective_curve_ : list of float
        The objective at the start and after each step. Only with ``learn_wavelet=True``.
    n_features_in_ : int
        Channels of a panel, columns of a table.
    feature_names_in_ : ndarray of str
        Names of columns, when `X` had any. Only for tables.

    See Also
    --------
    sklearn_dbt.inspection.ScalogramDisplay : Draws the bands of a recording.
    sklearn_dbt.nn.basis.DWT : The same transform, differentiable, for networks.

    Notes
    -----
    Without `best_basis` and `learn_wavelet` recordings do not learn from each other: `fit` only
    settles level and names. A panel at `transform` may have another number of time points than at
    `fit`, as long as the level fits it; a table may not. For a table, ``"series"`` is flattened,
    band after band. `transform` works on blocks of recordings with as many threads as PyTorch
    (``torch.get_num_threads()``; joblib's processes give it their share).

    References
    ----------
    .. [1] S. Mallat, "A Wavelet Tour of Signal Processing", 3rd edition, Academic Press, 2009.
    .. [2] D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
       Biometrika 81(3), 425-455, 1994.
    .. [3] R. R. Coifman and M. V. Wickerhauser, "Entropy-based algorithms for best basis
       selection", IEEE Transactions on Information Theory 38(2), 713-718, 1992.
    .. [4] D. L. Donoho and I. M. Johnstone, "Adapting to unknown smoothness via wavelet
       shrinkage", Journal of the American Statistical Association 90(432), 1200-1224, 1995.
    .. [5] S. G. Chang, B. Yu and M. Vetterli, "Adaptive wavelet thresholding for image denoising
       and compression", IEEE Transactions on Image Processing 9(9), 1532-1546, 2000.

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
        "wavelet": [StrOptions({*pywt.wavelist(kind="discrete"), *CONTINUOUS_WAVELETS}), None],
        "level": [Interval(Integral, 1, None, closed="left"), None],
        "mode": [StrOptions(set(pywt.Modes.modes))],
        "transform": [StrOptions(set(TRANSFORMS))],
        "output": [StrOptions({"series", "features", "denoised"})],
        "n_voices": [Interval(Integral, 1, None, closed="left")],
        "best_basis": [StrOptions(set(COSTS)), None],
        "learn_wavelet": ["boolean"],
        "objective": [StrOptions(set(COSTS)), callable],
        "statistics": ["array-like", str, callable],
        "trend": ["array-like", str],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "threshold": [StrOptions(set(RULES))],
        "selection": [StrOptions({"auto", *SELECTIONS})],
        "noise": [StrOptions({"finest", "level"})],
        "lowest": [StrOptions({"keep", "drop"})],
    }

    def __init__(
        self,
        wavelet=None,
        level=None,
        mode="periodization",
        transform="dwt",
        output="series",
        *,
        n_voices=4,
        best_basis=None,
        learn_wavelet=False,
        objective="shannon",
        statistics=("log_energy",),
        trend=("mean", "slope", "curvature"),
        sampling_rate=None,
        threshold="soft",
        selection="auto",
        noise="finest",
        lowest="keep",
    ):
        self.wavelet = wavelet
        self.level = level
        self.mode = mode
        self.transform = transform
        self.output = output
        self.n_voices = n_voices
        self.best_basis = best_basis
        self.learn_wavelet = learn_wavelet
        self.objective = objective
        self.statistics = statistics
        self.trend = trend
        self.sampling_rate = sampling_rate
        self.threshold = threshold
        self.selection = selection
        self.noise = noise
        self.lowest = lowest

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
    def fit(self, X, y=None):
        """Settle level and bands; learn the wavelet and the best basis, if asked to.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings; a list of ``(n_channels, n_times_i)`` arrays when lengths differ.
        y : array-like of shape (n, ...), default=None
            Only passed on to an `objective` that is a function.

        Returns
        -------
        self : WaveletEmbedder

        Raises
        ------
        ValueError
            If options do not go together or do not fit the recordings.
        """
        self._check_options()
        panel = check_panel(self, X, reset=True, ragged=True, min_times=2)
        shortest = int(panel.lengths.min())
        level = choose_level(vars(self)["transform"], self._wavelet_name(), self.level, shortest)
        learned = self._learn_wavelet(panel, y, level) if self.learn_wavelet else {}
        for name in ("filters_", "objective_curve_", "bands_"):
            vars(self).pop(name, None)
        vars(self).update(learned, level_=level)
        bands = self._band_transform()
        if isinstance(bands, PacketTransform) and self.best_basis is not None:
            recordings = (x for _, x in groups_by_length(panel))
            bands = replace(bands, leaves=best_basis(bands, recordings, self.best_basis))
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
        result = map_by_length(rule, panel)
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
        of_channel = self._band_features().names(self._band_labels())
        return np.array([f"{c}_{column}" for c in channels for column in of_channel], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _wavelet_name(self) -> str:
        return choose_wavelet(vars(self)["transform"], self.wavelet, self.learn_wavelet)

    def _check_options(self) -> None:
        self._band_features()
        self._wavelet_name()
        if self.selection == "sure" and self.threshold == "hard":
            raise ValueError(
                "WaveletEmbedder: selection='sure' needs threshold='soft' or 'garrote': there is "
                "no unbiased estimate of the error of a hard threshold."
            )

    def _learn_wavelet(self, panel: Panel, y, level: int) -> dict:
        groups = list(groups_by_length(panel))
        targets = [None if y is None else np.asarray(y)[which] for which, _ in groups]
        filters, curve = learn_filters(
            [x for _, x in groups], targets, self._wavelet_name(), level, self.objective
        )
        return {"filters_": filters, "objective_curve_": curve}

    def _band_transform(self) -> BandTransform:
        kind = TRANSFORMS[vars(self)["transform"]]
        wavelet = learned_wavelet(self.filters_) if self.learn_wavelet else self._wavelet_name()
        options: dict = {}
        if kind is ContinuousTransform:
            options["n_voices"] = self.n_voices
        if kind is PacketTransform and self.best_basis is not None:
            options["leaves"] = tuple(vars(self).get("bands_", ()))
        return kind(wavelet, self.mode, self.level_, **options)

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

    def _band_features(self) -> BandFeatures:
        return BandFeatures.checked(self.trend, self.statistics)

    def _features(self, x: np.ndarray) -> np.ndarray:
        return self._band_features().table(self._band_transform(), x)

    def _denoised(self, x: np.ndarray) -> np.ndarray:
        bands, n = self._band_transform(), x.shape[-1]
        options = self.threshold, self.noise, self.selection, self.lowest
        return bands.synthesis(shrink(bands.analysis(x), n, *options), n)

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


# After the class stands: `set_output` wraps the method while it is made.
WaveletEmbedder.transform = MethodBesideParameter(WaveletEmbedder.transform)  # type: ignore
