"""What the encoder refuses, and why."""

from __future__ import annotations

import numpy as np

from sklearn_dbt._base import Panel
from sklearn_dbt.decomposition._points import Points


def check_n_components(encoder, panel: Panel, rank: int) -> int:
    """Return the number of components, or say why there cannot be as many.

    Parameters
    ----------
    encoder : NonlinearICAEncoder
        Has ``n_components``.
    panel : Panel
        The recordings.
    rank : int
        Number of linearly independent channels.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there are more components than independent channels, or none of these.
    """
    name, n_channels = type(encoder).__name__, panel.n_channels
    n_components = rank if encoder.n_components is None else encoder.n_components
    kind = "a table is a panel of one channel" if panel.is_table else f"X has {n_channels}"
    if n_components > n_channels:
        raise ValueError(
            f"{name}: n_components={n_components} must be at most the number of channels; {kind}."
        )
    if rank == 0:
        raise ValueError(f"{name}: all recordings of X are constant; nothing can be learnt.")
    if n_components > rank:
        raise ValueError(
            f"{name}: n_components={n_components}, but only {rank} of the {n_channels} "
            "channels are linearly independent (some are constant, or sums of others). Use "
            f"n_components={rank} or fewer, or None."
        )
    return int(n_components)


def check_same_network(encoder, panel: Panel) -> None:
    """Refuse to go on training what has other sizes or another precision.

    Parameters
    ----------
    encoder : NonlinearICAEncoder
        Fitted.
    panel : Panel
        The new recordings.

    Raises
    ------
    ValueError
        If parameters were changed that the network depends on, or `panel` is of another dtype.
    """
    name, sizes = type(encoder).__name__, encoder.hidden_layer_sizes
    sizes = None if sizes is None else list(sizes)
    other = encoder.n_components not in (None, encoder.n_components_)
    removal = {"offset": encoder.remove_offset, "gain": encoder.remove_gain}
    if (
        other
        or sizes != encoder._hidden_sizes
        or encoder.method != encoder._fitted_method
        or removal != encoder._fitted_removal
    ):
        raise ValueError(
            f"{name}: training goes on with the same network; method, n_components, "
            "hidden_layer_sizes, remove_offset and remove_gain cannot change."
        )
    if panel.dtype != encoder.whitening_.dtype:
        raise ValueError(
            f"{name}: X is {panel.dtype}, but {encoder.whitening_.dtype} was seen in the fit that "
            "this one continues."
        )


def check_varies(encoder, points: Points) -> None:
    """Refuse recordings that are all constant.

    Parameters
    ----------
    encoder : NonlinearICAEncoder
        Names the error.
    points : Points
        Their standardised time points.

    Raises
    ------
    ValueError
        If nothing is left of any of them.
    """
    if not points.gains.any():
        raise ValueError(f"{type(encoder).__name__}: all recordings of X are constant.")


def check_resumable(encoder, panel: Panel, labels: np.ndarray) -> None:
    """Refuse a warm start on other segments, or with another network.

    Parameters
    ----------
    encoder : NonlinearICAEncoder
        Fitted.
    panel : Panel
        The recordings.
    labels : ndarray of shape (n_points,)
        Segments of their points.

    Raises
    ------
    ValueError
        If there are more or fewer segments, or as :func:`check_same_network`.
    """
    if int(labels[-1]) + 1 != encoder.n_segments_:
        raise ValueError(
            f"{type(encoder).__name__}: warm_start=True continues on the same segments; X has "
            f"{int(labels[-1]) + 1} and the last fit had {encoder.n_segments_}."
        )
    check_same_network(encoder, panel)


def as_components(X, n_components: int, is_table: bool) -> tuple[list[np.ndarray], bool]:
    """Return components to decode as a list of 2D arrays, and whether they came as a list.

    Parameters
    ----------
    X : array-like of shape (n, n_components, n_times), list of 2D arrays, or a table
        What `transform` gave.
    n_components : int
        How many there must be.
    is_table : bool
        Whether the encoder was fitted on a table, whose one component comes as a table.

    Returns
    -------
    components : list of ndarray of shape (n_components, n_times_i)
    is_list : bool

    Raises
    ------
    ValueError
        For another rank or number, and values that are not finite.
    """
    is_list = isinstance(X, list)
    parts = [np.asarray(part) for part in X]
    if is_table:
        parts = [part[None] if part.ndim == 1 else part for part in parts]
    for i, part in enumerate(parts):
        if part.ndim != 2 or part.shape[0] != n_components:
            raise ValueError(
                f"components of recording {i} have shape {part.shape}; expected {n_components} "
                "components, (n_components, n_times)."
            )
        if not np.isfinite(part).all():
            raise ValueError(f"components of recording {i} hold NaN or infinity.")
    floats = (np.float32, np.float64)
    return [p if p.dtype in floats else p.astype(np.float64) for p in parts], is_list
