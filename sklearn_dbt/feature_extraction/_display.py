"""What there is to look at: the bands of a recording, and pictures that frames are made of."""

from __future__ import annotations

import numpy as np

from sklearn_dbt._base import check_panel
from sklearn_dbt._compat import check_is_fitted
from sklearn_dbt._plotting import given_or_new_axes

# Powers further below the greatest are drawn as if they were so far below, in dB.
RANGE = 60.0


class ScalogramDisplay:
    """Power of each band of a recording over time.

    Use `from_estimator`; the constructor takes the data itself.

    Parameters
    ----------
    coefficients : sequence of ndarray of shape (n_coefficients,)
        Coefficients of each band, the lowest first. Those of a band are drawn evenly over the
        recording, whatever their number.
    edges : ndarray of shape (n_bands, 2)
        Edges of the bands, in Hz or in cycles per sample.
    duration : float
        Length of the recording, in seconds or samples.
    in_hertz : bool, default=False
        Whether units are Hz and seconds.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    meshes_ : list of matplotlib QuadMesh
        The bands.
    colorbar_ : matplotlib Colorbar
        What their colours mean: power in dB, the greatest is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import WaveletEmbedder
    >>> from sklearn_dbt.inspection import ScalogramDisplay
    >>> X = np.sin(np.arange(256) ** 2 / 500)[None, None]
    >>> embedder = WaveletEmbedder(transform="cwt", sampling_rate=100).fit(X)
    >>> ScalogramDisplay.from_estimator(embedder, X).ax_.get_ylabel()
    'Frequency (Hz)'
    """

    def __init__(self, coefficients, edges, duration, in_hertz=False):
        self.coefficients = coefficients
        self.edges = edges
        self.duration = duration
        self.in_hertz = in_hertz

    @classmethod
    def from_estimator(cls, estimator, X, *, recording=0, channel=0, ax=None, **mesh_options):
        """Draw the bands of one channel of a recording.

        Parameters
        ----------
        estimator : WaveletEmbedder
            Fitted.
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings.
        recording : int, default=0
            Which of them.
        channel : int, default=0
            Which channel of it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **mesh_options
            For :meth:`matplotlib.axes.Axes.pcolormesh`.

        Returns
        -------
        ScalogramDisplay

        Raises
        ------
        ValueError
            If there is no such recording or channel.
        """
        check_is_fitted(estimator, "bands_")
        panel = check_panel(estimator, X, reset=False, ragged=True, min_times=2)
        for name, value, size in (
            ("recording", recording, panel.n_recordings),
            ("channel", channel, panel.n_channels),
        ):
            if not 0 <= value < size:
                raise ValueError(f"{name}={value}: X has {size}.")
        x = panel.data[recording][channel]
        rate = estimator.sampling_rate
        coefficients = estimator._band_transform().analysis(x)
        duration = len(x) / (rate or 1)
        display = cls(coefficients, estimator.band_edges_, duration, in_hertz=rate is not None)
        return display.plot(ax, **mesh_options)

    def plot(self, ax=None, **mesh_options):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **mesh_options
            For :meth:`matplotlib.axes.Axes.pcolormesh`.

        Returns
        -------
        ScalogramDisplay
        """
        self.ax_ = given_or_new_axes(ax)
        self.figure_ = self.ax_.figure
        powers = [np.square(np.abs(c)) for c in self.coefficients]
        greatest = max(power.max() for power in powers) or 1.0
        edges = np.array(self.edges, dtype=float)
        is_geometric = not np.allclose(np.diff(edges), np.diff(edges[:1]))
        if is_geometric:  # frequency 0 is infinitely far down; an octave is enough to see the band
            edges[0, 0] = edges[0, 1] / 2
        self.meshes_ = []
        for power, (low, high) in zip(powers, edges, strict=True):
            decibels = 10 * np.log10(np.maximum(power / greatest, 10 ** (-RANGE / 10)))
            times = np.linspace(0, self.duration, len(power) + 1)
            options = {"vmin": -RANGE, "vmax": 0, "cmap": "magma"} | mesh_options
            self.meshes_.append(self.ax_.pcolormesh(times, [low, high], decibels[None], **options))
        self.colorbar_ = self.figure_.colorbar(
            self.meshes_[0], ax=self.ax_, label="Power (dB, 0 is the greatest)"
        )
        units = ("Time (s)", "Frequency (Hz)") if self.in_hertz else SAMPLES
        self.ax_.set(xlabel=units[0], ylabel=units[1], yscale="log" if is_geometric else "linear")
        self.ax_.set(xlim=(0, self.duration), ylim=(edges[0, 0], edges[-1, 1]))
        return self


SAMPLES = ("Sample", "Frequency (cycles per sample)")


class EigenframesDisplay:
    """Eigenframes side by side, with the share of the variance that each explains.

    Use `from_estimator`; the constructor takes the data itself.

    Parameters
    ----------
    eigenframes : ndarray of shape (n_components, height, width)
        The pictures.
    explained_variance_ratio : ndarray of shape (n_components,)
        Share of the variance of each.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where they are drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    image_ : matplotlib AxesImage
        All of them; white is zero.
    texts_ : list of matplotlib Text
        Number and share of each.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import FrameEmbedder
    >>> from sklearn_dbt.inspection import EigenframesDisplay
    >>> X = np.random.default_rng(0).normal(size=(2, 20, 4, 5))
    >>> embedder = FrameEmbedder("eigenframes", n_components=3).fit(X)
    >>> len(EigenframesDisplay.from_estimator(embedder).texts_)
    3
    """

    def __init__(self, eigenframes, explained_variance_ratio):
        self.eigenframes = eigenframes
        self.explained_variance_ratio = explained_variance_ratio

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **image_options):
        """Draw the eigenframes of a fitted estimator.

        Parameters
        ----------
        estimator : FrameEmbedder
            Fitted on heat-map series, with eigenframes among its methods.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **image_options
            For :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        EigenframesDisplay

        Raises
        ------
        ValueError
            If it has no eigenframes, or they are no pictures.
        """
        check_is_fitted(estimator, "frame_shape_")
        if not hasattr(estimator, "components_"):
            raise ValueError(f"method={estimator.method!r} has no eigenframes to show.")
        if len(estimator.frame_shape_) != 2:
            raise ValueError(
                "The estimator was fitted on a table, so that its eigenframes are no pictures; fit "
                "it on heat-map series (n, n_times, height, width)."
            )
        display = cls(estimator.eigenframes_, estimator.explained_variance_ratio_)
        return display.plot(ax, **image_options)

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
        EigenframesDisplay
        """
        self.ax_ = given_or_new_axes(ax)
        self.figure_ = self.ax_.figure
        n, height, width = self.eigenframes.shape
        columns = int(np.ceil(np.sqrt(n)))
        rows = -(-n // columns)
        # A frame's own size, and room around it for its name.
        down, across = height + max(1, height // 4), width + max(1, width // 8)
        sheet = np.full((rows * down, columns * across), np.nan)
        self.texts_ = []
        for k, (frame, share) in enumerate(
            zip(self.eigenframes, self.explained_variance_ratio, strict=True)
        ):
            top, left = (k // columns + 1) * down - height, k % columns * across
            sheet[top : top + height, left : left + width] = frame
            place = left + width / 2 - 0.5, top - 0.6
            label = f"{k}: {100 * share:.1f} %"
            self.texts_.append(self.ax_.text(*place, label, ha="center", va="bottom", size="small"))
        limit = np.abs(self.eigenframes).max()
        options = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} | image_options
        self.image_ = self.ax_.imshow(sheet, **options)
        self.ax_.set_axis_off()
        return self
