"""What there is to look at: which moments two series match, and how distances tell pairs apart."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.utils import check_consistent_length

from sklearn_dbt._compat import check_is_fitted
from sklearn_dbt._plotting import given_or_new_axes
from sklearn_dbt.nn.alignment import soft_dtw_alignment


class AlignmentDisplay:
    """Which sample of one series is matched with which of another, and how certainly.

    Use `from_series` or `from_estimator`; the constructor takes the data itself.

    Parameters
    ----------
    x, y : ndarray of shape (n_channels, n_times_x) and (n_channels, n_times_y)
        The series.
    alignment : ndarray of shape (n_times_x, n_times_y)
        Probability that two samples are matched.
    path : ndarray of shape (n_steps, 2), default=None
        Samples matched by hard dynamic time warping.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The alignment; the first series runs upwards, the second to the right.
    ax_x_, ax_y_ : matplotlib Axes
        The series beside it.
    figure_ : matplotlib Figure
        Their figure.
    image_ : matplotlib AxesImage
        The alignment.
    line_ : matplotlib Line2D or None
        The hard path.
    colorbar_ : matplotlib Colorbar
        What the shades mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.inspection import AlignmentDisplay
    >>> t = np.linspace(0, 6, 50)
    >>> display = AlignmentDisplay.from_series(np.sin(t), np.sin(t**1.2), gamma=0.1)
    >>> display.alignment.shape
    (50, 50)
    """

    def __init__(self, x, y, alignment, path=None):
        self.x = x
        self.y = y
        self.alignment = alignment
        self.path = path

    @classmethod
    def from_series(cls, x, y, gamma=1.0, *, band=None, hard_path=True, ax=None, **image_options):
        """Align two series and draw.

        Parameters
        ----------
        x, y : array-like of shape (n_channels, n_times) or (n_times,)
            The series; their lengths may differ.
        gamma : float, default=1.0
            Smoothing of the soft-DTW, in units of the squared amplitude.
        band : int, default=None
            Sakoe-Chiba radius in samples, as in :func:`~sklearn_dbt.nn.soft_dtw`.
        hard_path : bool, default=True
            Whether to draw the path of hard dynamic time warping, without a band, as well.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **image_options
            For :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        AlignmentDisplay

        Raises
        ------
        ValueError
            As :func:`~sklearn_dbt.nn.soft_dtw`.
        """
        x, y = (np.atleast_2d(np.asarray(series, dtype=np.float64)) for series in (x, y))
        a, b = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
        alignment = soft_dtw_alignment(a, b, gamma, band=band)[0].numpy()
        path = None
        if hard_path:
            from tslearn.metrics import dtw_path

            path = np.array(dtw_path(x.T, y.T)[0])
        return cls(x, y, alignment, path).plot(ax, **image_options)

    @classmethod
    def from_estimator(cls, estimator, pair, *, hard_path=True, ax=None, **image_options):
        """Draw how a fitted classifier aligns a pair: after its encoder, by its smoothing and band.

        Parameters
        ----------
        estimator : SoftDTWPairClassifier
            Fitted.
        pair : sequence of two arrays of shape (n_channels, n_times_i)
            Two recordings.
        hard_path : bool, default=True
            Whether to draw the path of hard dynamic time warping as well.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **image_options
            For :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        AlignmentDisplay
        """
        check_is_fitted(estimator, "net_")
        x, y = estimator.encode(pair)
        options = {"gamma": estimator.gamma_, "band": estimator.net_.module_.band}
        return cls.from_series(x, y, **options, hard_path=hard_path, ax=ax, **image_options)

    def plot(self, ax=None, **image_options):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **image_options
            For :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        AlignmentDisplay
        """
        self.ax_ = given_or_new_axes(ax)
        self.figure_ = self.ax_.figure
        options = {"cmap": "Greys", "vmin": 0, "vmax": 1, "aspect": "auto", "origin": "lower"}
        self.image_ = self.ax_.imshow(self.alignment, **(options | image_options))
        self.line_ = None
        if self.path is not None:
            i, j = self.path.T
            (self.line_,) = self.ax_.plot(j, i, color="C3", lw=1, label="hard DTW")
            self.ax_.legend(loc="upper left", frameon=False)
        # beside and below, in shares of the axes
        self.ax_x_ = self.ax_.inset_axes([-0.27, 0, 0.25, 1], sharey=self.ax_)
        self.ax_y_ = self.ax_.inset_axes([0, -0.27, 1, 0.25], sharex=self.ax_)
        self.ax_x_.plot(self.x.T, np.arange(self.x.shape[1]), lw=1)
        self.ax_x_.invert_xaxis()
        self.ax_y_.plot(np.arange(self.y.shape[1]), self.y.T, lw=1)
        self.ax_.tick_params(labelleft=False, labelbottom=False)
        self.ax_x_.set(ylabel="Sample of the first", xticks=[])
        self.ax_y_.set(xlabel="Sample of the second", yticks=[])
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label="Matched")
        return self


class PairDistanceDisplay:
    """How well distances tell pairs apart: their histograms, the ROC curve, the calibration.

    Use `from_estimator` or `from_predictions`; the constructor takes the data itself.

    Parameters
    ----------
    same : ndarray of shape (n_pairs,), bool
        Whether the pairs belong together.
    distance : ndarray of shape (n_pairs,)
        Their distances.
    probability : ndarray of shape (n_pairs,), default=None
        Probability that they belong together; None leaves the calibration out.
    threshold : float, default=None
        Distance below which a pair is called the same.

    Attributes
    ----------
    axes_ : ndarray of 2 or 3 matplotlib Axes
        Histograms, ROC curve and, with probabilities, calibration.
    figure_ : matplotlib Figure
        Their figure.
    roc_auc_ : float
        Area under the ROC curve.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.inspection import PairDistanceDisplay
    >>> same = np.array([1, 1, 1, 0, 0, 0])
    >>> distance = np.array([0.1, 0.3, 0.8, 0.7, 1.2, 1.5])
    >>> round(PairDistanceDisplay.from_predictions(same, distance).roc_auc_, 3)
    0.889
    """

    def __init__(self, same, distance, probability=None, threshold=None):
        self.same = same
        self.distance = distance
        self.probability = probability
        self.threshold = threshold

    @classmethod
    def from_estimator(cls, estimator, X, y, *, axes=None):
        """Draw the distances of labelled pairs by a fitted classifier.

        Parameters
        ----------
        estimator : SoftDTWPairClassifier
            Fitted.
        X : array-like of shape (n_pairs, 2, n_channels, n_times), or another form of pairs
            Pairs; unseen ones, if the picture is to say how good it is.
        y : array-like of shape (n_pairs,)
            Their labels.
        axes : sequence of 3 matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        PairDistanceDisplay
        """
        check_is_fitted(estimator, "net_")
        distance = estimator.pair_distance(X)
        logit = estimator.threshold_ - estimator.scale_ * distance
        check_consistent_length(distance, y)
        if not np.array_equal(np.unique(y), estimator.classes_):
            raise ValueError(
                f"y must hold both of {estimator.classes_.tolist()} and nothing else, got "
                f"{np.unique(y).tolist()}."
            )
        same = np.asarray(y) == estimator.classes_[1]
        limit = estimator.threshold_ / estimator.scale_
        return cls(same, distance, expit(logit), limit).plot(axes)

    @classmethod
    def from_predictions(cls, y_true, distance, probability=None, *, threshold=None, axes=None):
        """Draw given distances, of any classifier.

        Parameters
        ----------
        y_true : array-like of shape (n_pairs,)
            Labels; the greater one means the same.
        distance : array-like of shape (n_pairs,)
            Distances.
        probability : array-like of shape (n_pairs,), default=None
            Probability of the greater label; None leaves the calibration out.
        threshold : float, default=None
            Distance below which a pair is called the same.
        axes : sequence of 2 or 3 matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        PairDistanceDisplay

        Raises
        ------
        ValueError
            If lengths differ or there are not two labels.
        """
        y_true, distance = np.asarray(y_true), np.asarray(distance)
        check_consistent_length(y_true, distance, probability)
        labels = np.unique(y_true)
        if len(labels) != 2:
            raise ValueError(f"y_true must hold two labels, got {labels.tolist()}.")
        probability = None if probability is None else np.asarray(probability)
        return cls(y_true == labels[1], distance, probability, threshold).plot(axes)

    def plot(self, axes=None):
        """Draw.

        Parameters
        ----------
        axes : sequence of 2 or 3 matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        PairDistanceDisplay

        Raises
        ------
        ValueError
            If the number of axes is wrong.
        """
        n = 2 if self.probability is None else 3
        if axes is None:
            import matplotlib.pyplot as plt

            axes = plt.subplots(1, n, figsize=(3.4 * n, 3.2), layout="constrained")[1]
        self.axes_ = np.asarray(axes)
        if len(self.axes_) != n:
            raise ValueError(f"axes must be {n} axes, got {len(self.axes_)}.")
        self.figure_ = self.axes_[0].figure
        self._plot_histograms(self.axes_[0])
        self._plot_roc(self.axes_[1])
        if n == 3:
            self._plot_calibration(self.axes_[2])
        return self

    def _plot_histograms(self, ax) -> None:
        edges = np.histogram_bin_edges(self.distance, bins="auto")
        edges = np.linspace(edges[0], edges[-1], min(len(edges), 61))
        for same, label, color in ((True, "same", "C0"), (False, "different", "C1")):
            chosen = self.distance[self.same == same]
            ax.hist(chosen, edges, density=True, alpha=0.6, color=color, label=label)
        if self.threshold is not None and edges[0] <= self.threshold <= edges[-1]:
            ax.axvline(self.threshold, color="0.3", lw=1, ls="--", label="threshold")
        ax.set(xlabel="Distance", ylabel="Density")
        ax.legend(frameon=False)

    def _plot_roc(self, ax) -> None:
        false_positive, true_positive, _ = roc_curve(self.same, -self.distance)
        self.roc_auc_ = float(roc_auc_score(self.same, -self.distance))
        ax.plot([0, 1], [0, 1], color="0.7", lw=0.8)
        ax.plot(false_positive, true_positive, color="C0", label=f"area {self.roc_auc_:.3f}")
        ax.set(xlabel="Different ones called the same", ylabel="Same ones found", aspect="equal")
        ax.legend(loc="lower right", frameon=False)

    def _plot_calibration(self, ax) -> None:
        found, said = calibration_curve(self.same, self.probability, n_bins=8, strategy="quantile")
        ax.plot([0, 1], [0, 1], color="0.7", lw=0.8)
        ax.plot(said, found, "o-", color="C0", ms=4)
        ax.set(xlabel="Probability", ylabel="Share that is the same", aspect="equal")
        ax.set(xlim=(0, 1), ylim=(0, 1))
