"""Heat-map series to panels: each frame becomes a few numbers, and time is kept."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if

from sklearn_dbt._base import FLOATS, DBTEstimator
from sklearn_dbt._compat import (
    Interval,
    StrOptions,
    TableOutputMixin,
    check_feature_names_in,
    check_is_fitted,
    fit_context,
)
from sklearn_dbt.feature_extraction._bad_frames import interpolate, is_bad
from sklearn_dbt.feature_extraction._frame_descriptions import DESCRIPTIONS, Description
from sklearn_dbt.feature_extraction._frames import Frames, check_frames

LEARNED = ("bin_edges_", "components_", "mean_", "explained_variance_ratio_")


def _has_eigenframes(estimator) -> bool:
    if "eigenframes" not in estimator._methods():
        raise AttributeError(
            f"inverse_transform needs 'eigenframes' in method, got method={estimator.method!r}."
        )
    return True


class FrameEmbedder(TableOutputMixin, DBTEstimator):
    """Turn each frame of a heat-map series into a few numbers: maps over time become a panel.

    A frame :math:`F_t` of :math:`P` pixels :math:`F_{t,1}, \\dots, F_{t,P}` is described by

    .. math::
        \\text{percentiles:} \\quad & z_{t,j} = Q_{q_j}(F_{t,1}, \\dots, F_{t,P}) \\\\
        \\text{histogram:} \\quad & z_{t,j} =
            \\tfrac1P \\,\\#\\{p : e_j \\le F_{t,p} < e_{j+1}\\} \\\\
        \\text{eigenframes:} \\quad & z_{t,j} = \\langle v_j, F_t - \\bar F \\rangle \\\\
        \\text{moments:} \\quad & z_{t,1} = \\mu_t, \\; z_{t,2} = \\sigma_t, \\;
            z_{t,j} = \\tfrac1P \\textstyle\\sum_p
            \\bigl(\\tfrac{F_{t,p} - \\mu_t}{\\sigma_t}\\bigr)^j - 3 \\, [j = 4] \\\\
        \\text{dct:} \\quad & z_{t,(i,j)} = \\langle \\phi_i \\otimes \\phi_j, F_t \\rangle \\\\
        \\text{regions:} \\quad & z_{t,j} =
            \\tfrac{1}{|R_j|} \\textstyle\\sum_{p \\in R_j} F_{t,p}

    with :math:`Q_q` the percentile (linearly interpolated), :math:`e_j` bin edges, :math:`v_j`
    the principal components of all frames seen in `fit`, :math:`\\phi` the orthonormal cosines of
    the DCT-II and :math:`R_j` sets of pixels. Percentiles, histograms and moments forget where
    on the map a value stands; the others keep it. Each :math:`z_{\\cdot,j}` is one channel of the
    panel.

    Parameters
    ----------
    method : str or sequence of str, default="percentiles"
        How a frame is described: "percentiles", "histogram", "eigenframes", "moments", "dct",
        "regions"; several give their channels one after the other.
    percentiles : array-like of float, default=(5, 25, 50, 75, 95)
        Levels :math:`q_j` in [0, 100], distinct. For "percentiles".
    bins : int or array-like of float, default=10
        Number of bins of equal width between the least and the greatest value seen in `fit`, or
        the edges themselves, increasing. Values beyond the ends count in the first and the last
        bin, so that heights always sum to one. For "histogram".
    density : bool, default=False
        Divide the height of each bin by its width. For "histogram".
    n_components : int or float, default=8
        Number of eigenframes, at most; there are never more than pixels or frames. A float in
        (0, 1) asks for as many as explain that share of the variance. For "eigenframes".
    svd_solver : {"auto", "full", "covariance_eigh", "randomized"}, default="auto"
        Solver, as in :class:`sklearn.decomposition.PCA`; "auto" may choose the randomized one for
        more than 500 frames of more than 1000 pixels. For "eigenframes". Frames that are read
        in several blocks are never all in memory, except with "full" and "randomized".
    n_moments : int, default=4
        How many of mean, standard deviation, skewness and excess kurtosis of the pixels; the last
        two are 0 where the pixels do not differ. For "moments".
    dct_size : int or tuple of int, default=4
        Lowest frequencies that are kept, down and across, at most those of the frame. For
        "dct".
    regions : array-like of int or bool of shape (height, width), default=None
        Region of each pixel, one for each positive label; pixels at 0 or below belong to none. A
        mask is one region. None takes the whole frame. For "regions".
    bad_frames : {"keep", "skip", "interpolate"}, default="keep"
        What becomes of frames that show nothing: blank ones, whose pixels are all equal, and
        saturated ones. "keep" treats them as the others; "skip" does not learn from them in
        `fit` (if there are others); "interpolate" also replaces their numbers by those of the
        nearest good frames before and after in the recording, on a line between both. Rows of a
        table have no neighbours and stay.
    value_range : tuple of float, default=None
        Least and greatest value of the sensor. A frame is saturated if more than half of its pixels
        are at or beyond these. None knows no limits.
    block_size : int, default=None
        Frames that are read and described at once, so that memory-mapped recordings of any size
        will do. None takes as many as have four million pixels.
    random_state : int, RandomState instance or None, default=None
        Seed of randomized solvers.

    Attributes
    ----------
    n_features_out_ : int
        Numbers a frame: channels of the panel.
    frame_shape_ : tuple of int
        ``(height, width)``, or ``(n_pixels,)`` when fitted on a table.
    bin_edges_ : ndarray of shape (n_bins + 1,)
        Edges of the bins, float64. Only with "histogram".
    components_ : ndarray of shape (n_components, n_pixels)
        Orthonormal principal components; the entry of greatest magnitude of each is positive.
        Only with "eigenframes".
    eigenframes_ : ndarray of shape (n_components, height, width)
        ``components_`` as pictures. Only with "eigenframes".
    mean_ : ndarray of shape (n_pixels,)
        The mean frame. Only with "eigenframes".
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance of each component. Only with "eigenframes".
    n_features_in_ : int
        Number of pixels of a frame.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, when `fit` was given a data frame.

    See Also
    --------
    WaveletEmbedder : What usually comes next, bands of each channel.
    sklearn_dbt.datasets.scalp_frames : Heat-map series from electrodes.
    sklearn_dbt.inspection.EigenframesDisplay : Shows the eigenframes.

    Notes
    -----
    Frames are read one by one, so recordings may have different lengths (a list of ``(n_times_i,
    height, width)`` arrays gives a list of ``(n_features, n_times_i)`` ones), also from `fit` to
    `transform`. A 2D `X` holds one flattened frame a row and gives a table; for "dct" such a
    frame has one row of pixels.

    References
    ----------
    .. [1] M. Turk and A. Pentland, "Eigenfaces for Recognition", Journal of Cognitive
       Neuroscience 3 (1), 1991.
    .. [2] N. Ahmed, T. Natarajan and K. R. Rao, "Discrete Cosine Transform", IEEE Transactions on
       Computers C-23 (1), 90-93, 1974.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import FrameEmbedder
    >>> X = np.random.default_rng(0).normal(size=(6, 50, 4, 5))  # 6 recordings of 50 frames
    >>> embedder = FrameEmbedder(["percentiles", "moments"], percentiles=(25, 50), n_moments=1)
    >>> embedder.fit_transform(X).shape
    (6, 3, 50)
    >>> embedder.get_feature_names_out()
    array(['percentile_25', 'percentile_50', 'moment_mean'], dtype=object)
    >>> embedder = FrameEmbedder("eigenframes", n_components=2).fit(X)
    >>> embedder.eigenframes_.shape
    (2, 4, 5)
    >>> embedder.inverse_transform(embedder.transform(X)).shape
    (6, 50, 4, 5)
    """

    _parameter_constraints: dict = {
        "method": [StrOptions(set(DESCRIPTIONS)), "array-like"],
        "percentiles": ["array-like"],
        "bins": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "density": ["boolean"],
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "svd_solver": [StrOptions({"auto", "full", "covariance_eigh", "randomized"})],
        "n_moments": [Interval(Integral, 1, 4, closed="both")],
        "dct_size": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "regions": ["array-like", None],
        "bad_frames": [StrOptions({"keep", "skip", "interpolate"})],
        "value_range": ["array-like", None],
        "block_size": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        method="percentiles",
        *,
        percentiles=(5, 25, 50, 75, 95),
        bins=10,
        density=False,
        n_components=8,
        svd_solver="auto",
        n_moments=4,
        dct_size=4,
        regions=None,
        bad_frames="keep",
        value_range=None,
        block_size=None,
        random_state=None,
    ):
        self.method = method
        self.percentiles = percentiles
        self.bins = bins
        self.density = density
        self.n_components = n_components
        self.svd_solver = svd_solver
        self.n_moments = n_moments
        self.dct_size = dct_size
        self.regions = regions
        self.bad_frames = bad_frames
        self.value_range = value_range
        self.block_size = block_size
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> FrameEmbedder:  # noqa: ARG002
        """Learn bin edges or eigenframes, and the shape of a frame.

        Parameters
        ----------
        X : array-like of shape (n, n_times, height, width) or (n_frames, n_pixels), or list
            Heat-map series, a list of ``(n_times_i, height, width)`` arrays, or a table of
            flattened frames.
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : FrameEmbedder
        """
        self._check_options()
        descriptions = self._descriptions()
        frames = check_frames(self, X, reset=True)
        learned: dict = {}
        skips = self.bad_frames != "keep" and not self._all_are_bad(frames)
        for description in descriptions:
            learned |= description.learn(lambda: self._blocks(frames, skips), frames.shape)
        for name in LEARNED:
            self.__dict__.pop(name, None)
        if len(frames.shape) == 2:
            self.__dict__.pop("feature_names_in_", None)
        self.frame_shape_, self.n_features_in_ = frames.shape, frames.n_pixels
        self.__dict__.update(learned)
        self.n_features_out_ = sum(len(description.names()) for description in descriptions)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Describe each frame.

        Parameters
        ----------
        X : array-like of shape (n, n_times, height, width) or (n_frames, n_pixels), or list
            Heat-map series, a list of ``(n_times_i, height, width)`` arrays, or a table of
            flattened frames.

        Returns
        -------
        ndarray of shape (n, n_features_out_, n_times) or (n_frames, n_features_out_), or list
            A panel in the precision of `X`; a table for a table; for recordings of different
            lengths a list of ``(n_features_out_, n_times_i)`` arrays.
        """
        check_is_fitted(self)
        frames = check_frames(self, X, reset=False)
        features, bad = [], []
        for pixels in frames.blocks(self.block_size):
            parts = [description.describe(pixels) for description in self._descriptions()]
            features.append(np.concatenate(parts, axis=1).astype(frames.dtype, copy=False))
            bad.append(is_bad(pixels, self.value_range))
        found = np.concatenate(features)
        if self.bad_frames == "interpolate" and frames.lengths is not None:
            found = interpolate(found, np.concatenate(bad), frames.lengths)
        return frames.as_input(found)

    @available_if(_has_eigenframes)
    def inverse_transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Put frames together again from their eigenframes: the mean and a weighted sum.

        Parameters
        ----------
        X : array-like of shape (n, n_features_out_, n_times) or 2D, or list
            What `transform` gives; of several methods only the channels of eigenframes are used.

        Returns
        -------
        ndarray of shape (n, n_times, height, width) or (n_frames, n_pixels), or list
            The nearest frames among all sums of eigenframes.

        Raises
        ------
        AttributeError
            Without eigenframes.
        ValueError
            For another shape.
        """
        check_is_fitted(self)
        if isinstance(X, list) and len(self.frame_shape_) == 2:
            return [self._frames_of(np.asarray(series)[None])[0] for series in X]
        return self._frames_of(X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Name the channels of the panel, or the columns of the table.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the pixels; only compared with those seen in `fit`.

        Returns
        -------
        ndarray of str
            ``"percentile_<level>"``, ``"bin_<index>"``, ``"eigenframe_<index>"``,
            ``"moment_<name>"``, ``"dct_<down>_<across>"`` or ``"region_<label>"``.
        """
        check_is_fitted(self, "n_features_out_")
        check_feature_names_in(self, input_features)
        names = [name for description in self._descriptions() for name in description.names()]
        return np.array(names, dtype=object)

    @property
    def eigenframes_(self) -> np.ndarray:
        """The principal components as pictures."""
        # Raises AttributeError, as it should, where there are no components.
        return self.components_.reshape(-1, *self.frame_shape_)

    def _methods(self) -> list[str]:
        return [self.method] if isinstance(self.method, str) else list(self.method)

    def _descriptions(self) -> list[Description]:
        return [DESCRIPTIONS[method](self) for method in self._methods()]

    def _blocks(self, frames: Frames, skips: bool) -> Iterator[np.ndarray]:
        for pixels in frames.blocks(self.block_size):
            good = pixels[~is_bad(pixels, self.value_range)] if skips else pixels
            if len(good):
                yield good

    def _all_are_bad(self, frames: Frames) -> bool:
        blocks = frames.blocks(self.block_size)
        return all(is_bad(pixels, self.value_range).all() for pixels in blocks)

    def _frames_of(self, X) -> np.ndarray:
        X = check_array(X, dtype=FLOATS, allow_nd=True)
        is_table = len(self.frame_shape_) == 1
        if X.ndim != (2 if is_table else 3) or X.shape[1] != self.n_features_out_:
            times = "" if is_table else ", n_times"
            raise ValueError(
                f"FrameEmbedder.inverse_transform: X must have the shape "
                f"(n, {self.n_features_out_}{times}) that transform gives, got {X.shape}."
            )
        before = self._methods()[: self._methods().index("eigenframes")]
        first = sum(len(DESCRIPTIONS[method](self).names()) for method in before)
        scores = np.moveaxis(X[:, first : first + len(self.components_)], 1, -1)
        pixels = scores @ self.components_.astype(X.dtype) + self.mean_.astype(X.dtype)
        return pixels if is_table else pixels.reshape(*pixels.shape[:2], *self.frame_shape_)

    def _check_options(self) -> None:
        methods = self._methods()
        if (
            not methods
            or any(m not in DESCRIPTIONS for m in methods)
            or len({*methods}) < len(methods)
        ):
            raise ValueError(
                f"FrameEmbedder: method={self.method!r} must be different names among "
                f"{', '.join(DESCRIPTIONS)}."
            )
        for kind in DESCRIPTIONS.values():
            kind(self).check()
        if self.value_range is not None:
            limits = np.asarray(self.value_range, dtype=np.float64)
            if limits.shape != (2,) or not limits[0] < limits[1]:
                raise ValueError(
                    f"FrameEmbedder: value_range={self.value_range!r} must be the least and the "
                    "greatest value, (low, high)."
                )
