"""Heat-map series of the scalp, interpolated between electrodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import RBFInterpolator
from scipy.spatial.distance import cdist, pdist

from sklearn_dbt.datasets._electrodes import electrode_positions

METHODS = ("inverse_distance", "thin_plate")


def scalp_frames(
    X: np.ndarray | Sequence[ArrayLike],
    montage: object,
    shape: tuple[int, int] = (8, 8),
    *,
    method: str = "inverse_distance",
    outside: float | None = None,
) -> np.ndarray | list[np.ndarray]:
    """Lay a panel's channels out on the head: one heat map of the scalp a time point.

    The value at the pixel with centre :math:`g`, from electrodes at :math:`r_1, \\dots, r_C`, is a
    fixed linear combination of the channels,

    .. math:: F_t(g) = \\sum_c W_c(g)\\, x_c(t), \\qquad \\sum_c W_c(g) = 1,

    so frames can be mixed and filtered in time like the channels. By inverse distance
    :math:`W_c(g) \\propto \\|g - r_c\\|^{-2}` [1]_: values stay between the least and the greatest
    of the electrodes. The thin plate is the surface of least bending through the electrodes:
    smoother, exact for any linear slope, but it overshoots and needs three electrodes that are not
    on a line. Both are exact at an electrode that is a pixel's centre.

    Parameters
    ----------
    X : array-like of shape (n, n_channels, n_times), or list of (n_channels, n_times_i) arrays
        A panel.
    montage : array-like of shape (n_channels, 2), sequence of str, str or mne.channels.DigMontage
        Place ``(x, y)`` of each channel in the unit disc: x to the right, y to the nose. Or names
        of 10-10 electrodes, a montage of MNE or the name of one, whose places are those that
        :func:`electrode_positions` gives; of a montage all, in its order.
    shape : tuple of int, default=(8, 8)
        Height and width of a frame in pixels. Pixels tile the square around the disc; row 0 is at
        the nose, column 0 on the left.
    method : {"inverse_distance", "thin_plate"}, default="inverse_distance"
        How to interpolate.
    outside : float, default=None
        Value of the pixels whose centres lie outside the disc. None interpolates there as well.

    Returns
    -------
    ndarray of shape (n, n_times, height, width), or list of (n_times_i, height, width) arrays
        In the precision of `X`.

    Raises
    ------
    ValueError
        If `X`, `montage` and `shape` do not fit, two electrodes lie at one place, one lies
        outside the disc, or `method` is unknown.

    See Also
    --------
    electrode_positions : Places of the 10-10 system.
    sklearn_dbt.feature_extraction.FrameEmbedder : Makes a panel of heat-map series.

    References
    ----------
    .. [1] D. Shepard, "A two-dimensional interpolation function for irregularly-spaced data",
       Proceedings of the 23rd ACM National Conference, 1968.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.datasets import scalp_frames
    >>> X = np.random.default_rng(0).normal(size=(10, 3, 50))
    >>> frames = scalp_frames(X, ["F3", "F4", "Pz"], shape=(5, 5))
    >>> frames.shape
    (10, 50, 5, 5)
    """
    places = _check_positions(_places_of(montage))
    height, width = _check_shape(shape)
    if method not in METHODS:
        raise ValueError(f"scalp_frames: method={method!r}; allowed are {', '.join(METHODS)}.")
    is_panel = getattr(X, "ndim", None) == 3
    recordings = [_check_recording(x, i, len(places)) for i, x in enumerate(X)]
    grid = _pixel_centres(height, width)
    weights = _inverse_distance(grid, places) if method == METHODS[0] else _thin_plate(grid, places)
    is_outside = np.linalg.norm(grid, axis=1) > 1
    frames = []
    for x in recordings:
        pixels = x.T @ weights.T.astype(x.dtype)
        if outside is not None:
            pixels[:, is_outside] = outside
        frames.append(pixels.reshape(-1, height, width))
    same = len({frame.shape for frame in frames}) == 1
    return np.stack(frames) if is_panel or same else frames


def _places_of(montage):
    if isinstance(montage, str) or hasattr(montage, "get_positions"):
        return electrode_positions(montage=montage)
    if not isinstance(montage, np.ndarray) and all(isinstance(name, str) for name in montage):
        return electrode_positions(montage)
    return montage


def _check_positions(positions) -> np.ndarray:
    places = np.asarray(positions, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 2 or len(places) == 0:
        raise ValueError(
            f"scalp_frames: positions have shape {places.shape}; expected (n_channels, 2)."
        )
    radii = np.linalg.norm(places, axis=1)
    # Not `> 1`, so that NaN is caught as well.
    if not np.all(radii <= 1 + 1e-9):
        worst = int(np.argmin(radii <= 1 + 1e-9))
        raise ValueError(
            f"scalp_frames: position {worst} is {tuple(places[worst].tolist())}; all must lie in "
            "the unit disc."
        )
    if len(places) > 1 and pdist(places).min() < 1e-9:
        raise ValueError("scalp_frames: two positions are equal; every channel needs its own.")
    return places


def _check_shape(shape) -> tuple[int, int]:
    sizes = tuple(shape) if isinstance(shape, Sequence) else ()
    if len(sizes) != 2 or not all(isinstance(s, int | np.integer) and s > 0 for s in sizes):
        raise ValueError(f"scalp_frames: shape={shape!r} must be two positive integers.")
    return int(sizes[0]), int(sizes[1])


def _check_recording(x, i: int, n_channels: int) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[0] != n_channels:
        raise ValueError(
            f"scalp_frames: recording {i} of X has shape {x.shape}, with {n_channels} positions; "
            "expected a panel (n, n_channels, n_times) or a list of (n_channels, n_times_i) arrays."
        )
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def _pixel_centres(height: int, width: int) -> np.ndarray:
    """Centres (x, y) of the pixels of the square [-1, 1]², row by row from the nose."""
    x = (2 * np.arange(width) + 1) / width - 1
    y = 1 - (2 * np.arange(height) + 1) / height
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _inverse_distance(grid: np.ndarray, places: np.ndarray) -> np.ndarray:
    squared = cdist(grid, places, "sqeuclidean")
    # An electrode in the centre of a pixel takes it whole.
    weights = 1 / np.maximum(squared, 1e-18)
    weights[squared.min(axis=1) < 1e-18] = 0.0
    rows = np.flatnonzero(squared.min(axis=1) < 1e-18)
    weights[rows, squared[rows].argmin(axis=1)] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


def _thin_plate(grid: np.ndarray, places: np.ndarray) -> np.ndarray:
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(places)), places]), tol=1e-9) < 3:
        raise ValueError(
            f"scalp_frames: the {len(places)} position(s) lie on one line; a thin plate needs "
            "three that do not. Use method='inverse_distance'."
        )
    # The interpolant is linear in the values, so the unit values give the weights.
    return RBFInterpolator(places, np.eye(len(places)), kernel="thin_plate_spline")(grid)
