"""What there is to look at: latent sources, and how the channels are mixed of them."""

from __future__ import annotations

import numpy as np

from sklearn_dbt._compat import check_is_fitted


class SourcesDisplay:
    """Latent sources over time, one above the other, beside the weights of a linear mixture.

    Use `from_estimator`; the constructor takes the data itself.

    Parameters
    ----------
    sources : ndarray of shape (n_sources, n_times)
        The sources; each is drawn in units of its own standard deviation.
    mixing : ndarray of shape (n_channels, n_sources), default=None
        Weight of each source in each channel; None where the mixture is not linear.
    names : sequence of str, default=None
        Names of the sources.
    channels : sequence of str, default=None
        Names of the channels.
    sampling_rate : float, default=None
        Samples per second, in Hz. None counts samples.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the sources are drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    lines_ : list of matplotlib Line2D
        The sources, from above.
    mixing_ax_ : matplotlib Axes or None
        The mixing weights, a row beside each source.
    mixing_image_ : matplotlib AxesImage or None
        Each row in units of its greatest weight; white is zero.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.inspection import SourcesDisplay
    >>> sources = np.random.default_rng(0).normal(size=(2, 50))
    >>> display = SourcesDisplay(sources, mixing=np.eye(3, 2)).plot()
    >>> len(display.lines_)
    2
    """

    def __init__(self, sources, mixing=None, names=None, channels=None, sampling_rate=None):
        self.sources = sources
        self.mixing = mixing
        self.names = names
        self.channels = channels
        self.sampling_rate = sampling_rate

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        recording=0,
        channels=None,
        sampling_rate=None,
        ax=None,
        **line_options,
    ):
        """Draw the sources that an estimator finds in a recording.

        Parameters
        ----------
        estimator : estimator
            Fitted. One of ours whose output is a series; or one of scikit-learn's decompositions of
            time points, such as :class:`sklearn.decomposition.FastICA`. The mixture is its
            attribute ``mixing_``, or ``components_`` transposed.
        X : array-like of shape (n, n_channels, n_times), (n, n_times), or list of 2D arrays
            Recordings; for scikit-learn's estimators of shape (n_times, n_channels).
        recording : int, default=0
            Which recording. Of scikit-learn's there is one.
        channels : sequence of str, default=None
            Names of the channels; None takes the names seen in `fit`, or numbers.
        sampling_rate : float, default=None
            Samples per second, in Hz. None counts samples.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **line_options
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        SourcesDisplay

        Raises
        ------
        ValueError
            If the output is no series, or there is no such recording.
        """
        check_is_fitted(estimator)
        sources = _sources_of(estimator, X, recording)
        mixing = getattr(estimator, "mixing_", None)
        if mixing is None and np.shape(getattr(estimator, "components_", ())) == (
            len(sources),
            estimator.n_features_in_,
        ):
            mixing = estimator.components_.T
        if channels is None and mixing is not None:
            channels = getattr(estimator, "feature_names_in_", None)
        names = [f"source {k}" for k in range(len(sources))]
        return cls(sources, mixing, names, channels, sampling_rate).plot(ax, **line_options)

    def plot(self, ax=None, **line_options):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **line_options
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        SourcesDisplay

        Raises
        ------
        ValueError
            If `mixing` or `channels` do not fit the sources.
        """
        sources = np.asarray(self.sources, dtype=float)
        n, n_times = sources.shape
        self._check_mixing(n)
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        centred = sources - sources.mean(axis=1, keepdims=True)
        spread = centred.std(axis=1, keepdims=True)
        # Six standard deviations from one source to the next.
        heights = centred / (6 * np.where(spread > 0, spread, 1)) - np.arange(n)[:, None]
        times = np.arange(n_times) / (self.sampling_rate or 1)
        options = {"lw": 0.8} | line_options
        self.lines_ = [ax.plot(times, height, **options)[0] for height in heights]
        names = [f"source {k}" for k in range(n)] if self.names is None else list(self.names)
        # Peaks of the outer sources are shown, unless they are taller than a row.
        low = np.clip(heights.min() - 0.05, -0.5 - n, 0.5 - n)
        high = np.clip(heights.max() + 0.05, 0.5, 1.5)
        label = "Sample" if self.sampling_rate is None else "Time (s)"
        ax.set(xlabel=label, yticks=-np.arange(n), yticklabels=names, ylim=(low, high))
        ax.margins(x=0)
        self.mixing_ax_ = self.mixing_image_ = None
        if self.mixing is not None:
            self._plot_mixing(n)
        return self

    def _check_mixing(self, n: int) -> None:
        if self.mixing is None:
            return
        shape = np.shape(self.mixing)
        if len(shape) != 2 or shape[1] != n:
            raise ValueError(f"mixing must have the shape (n_channels, {n}), got {shape}.")
        if self.channels is not None and len(self.channels) != shape[0]:
            raise ValueError(
                f"channels must be {shape[0]} names, one a row of mixing, got {len(self.channels)}."
            )

    def _plot_mixing(self, n: int) -> None:
        from mpl_toolkits.axes_grid1 import make_axes_locatable

        weights = np.asarray(self.mixing, dtype=float).T
        greatest = np.abs(weights).max(axis=1, keepdims=True)
        # Cut off the axes that were given, so that whatever lies beside them stays free.
        divider = make_axes_locatable(self.ax_)
        self.mixing_ax_ = divider.append_axes("right", size="40%", pad=0.1)
        self.mixing_image_ = self.mixing_ax_.imshow(
            weights / np.where(greatest > 0, greatest, 1),
            aspect="auto",
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
            extent=(-0.5, weights.shape[1] - 0.5, 0.5 - n, 0.5),
        )
        self.mixing_ax_.set(yticks=[], xlabel="Mixing", ylim=self.ax_.get_ylim())
        if self.channels is None:
            self.mixing_ax_.set_xlabel("Mixing, by channel")
        else:
            places = np.arange(weights.shape[1])
            self.mixing_ax_.set_xticks(places, labels=list(self.channels), rotation=90)


def _sources_of(estimator, X, recording: int) -> np.ndarray:
    if not hasattr(estimator, "_n_dims_in"):  # scikit-learn's: a row is a time point
        if recording != 0:
            raise ValueError(f"recording={recording}: X is one recording (n_times, n_channels).")
        sources = np.asarray(estimator.transform(X))
        if sources.ndim != 2:
            raise ValueError(
                f"SourcesDisplay: {type(estimator).__name__}.transform gave the shape "
                f"{sources.shape}; sources of one recording (n_times, n_sources), or a fitted "
                "NonlinearICAEncoder, are expected."
            )
        return sources.T
    if getattr(estimator, "output", "series") != "series":
        raise ValueError(
            f"There are sources over time with output='series', got {estimator.output!r}."
        )
    if not 0 <= recording < len(X):
        raise ValueError(f"recording={recording}: X has {len(X)}.")
    sources = np.asarray(estimator.transform(X[recording : recording + 1])[0])
    return sources.reshape(-1, np.shape(X[recording])[-1])
