"""The border to other libraries' arrays: tslearn and MNE."""

from __future__ import annotations

import numpy as np


def from_tslearn(X) -> np.ndarray | list[np.ndarray]:
    """Turn tslearn's ``(n, n_times, n_channels)`` into a panel.

    Parameters
    ----------
    X : array-like of shape (n, n_times, n_channels)
        Series; shorter ones end in rows of NaN.

    Returns
    -------
    ndarray of shape (n, n_channels, n_times) or list of ndarray
        A list of ``(n_channels, n_times_i)`` arrays when lengths differ.

    Raises
    ------
    ValueError
        If `X` does not have three axes, or a series has no time point.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import from_tslearn
    >>> X = np.array([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [np.nan]]])
    >>> [recording.shape for recording in from_tslearn(X)]
    [(1, 3), (1, 2)]
    """
    X = np.asarray(X)
    if X.ndim != 3:
        raise ValueError(
            f"from_tslearn: X has shape {X.shape}; expected (n_series, n_times, n_channels)."
        )
    observed = ~np.isnan(X).all(axis=2)
    # The padding is what follows the last observed row; NaN before it is the data's own.
    lengths = X.shape[1] - np.argmax(observed[:, ::-1], axis=1) if X.size else np.array([])
    if X.size == 0 or not observed.any(axis=1).all():
        raise ValueError(
            f"from_tslearn: every series needs at least 1 time point; X has shape {X.shape} and "
            f"{int((~observed.any(axis=1)).sum())} series of NaN alone."
        )
    panel = np.ascontiguousarray(X.transpose(0, 2, 1))
    if (lengths == X.shape[1]).all():
        return panel
    return [recording[:, :length].copy() for recording, length in zip(panel, lengths, strict=True)]


def to_tslearn(X) -> np.ndarray:
    """Turn a panel into tslearn's ``(n, n_times, n_channels)``.

    Parameters
    ----------
    X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
        Recordings; shorter ones of a list are padded with NaN at the end.

    Returns
    -------
    ndarray of shape (n, n_times, n_channels)

    Raises
    ------
    ValueError
        If `X` is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import to_tslearn
    >>> to_tslearn([np.ones((2, 4)), np.ones((2, 3))]).shape
    (2, 4, 2)
    """
    recordings = [np.atleast_2d(np.asarray(recording)) for recording in X]
    if not recordings or any(r.ndim != 2 or 0 in r.shape for r in recordings):
        raise ValueError(
            "to_tslearn: expected a panel (n, n_channels, n_times), a table (n, n_times) or a list "
            f"of non-empty (n_channels, n_times_i) arrays; got shapes "
            f"{[np.shape(recording) for recording in X][:3]}."
        )
    channels = {recording.shape[0] for recording in recordings}
    if len(channels) > 1:
        raise ValueError(
            f"to_tslearn: recordings have different numbers of channels, {sorted(channels)}."
        )
    n_times = max(recording.shape[1] for recording in recordings)
    dtype = np.result_type(*recordings, np.float32)
    series = np.full((len(recordings), n_times, channels.pop()), np.nan, dtype=dtype)
    for row, recording in zip(series, recordings, strict=True):
        row[: recording.shape[1]] = recording.T
    return series


def from_mne(epochs) -> tuple[np.ndarray, list[str], float]:
    """Take panel, channel names and sampling rate out of MNE's epochs.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        Anything with ``get_data()``, ``ch_names`` and ``info["sfreq"]``.

    Returns
    -------
    X : ndarray of shape (n, n_channels, n_times)
        In MNE's units, volts for EEG.
    channels : list of str
        Names of the channels.
    sampling_rate : float
        Samples per second, Hz.

    Raises
    ------
    TypeError
        If `epochs` has none of these, or is continuous (cut it into epochs first).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import from_mne
    >>> class Epochs:  # stands for mne.EpochsArray
    ...     ch_names, info = ["Cz", "Pz"], {"sfreq": 256.0}
    ...     def get_data(self):
    ...         return np.zeros((3, 2, 128))
    >>> X, channels, sampling_rate = from_mne(Epochs())
    >>> X.shape, channels, sampling_rate
    ((3, 2, 128), ['Cz', 'Pz'], 256.0)
    """
    missing = [name for name in ("get_data", "ch_names", "info") if not hasattr(epochs, name)]
    if missing:
        raise TypeError(
            f"from_mne: {type(epochs).__name__} has no {', '.join(missing)}; expected MNE epochs."
        )
    X = np.asarray(epochs.get_data())
    if X.ndim != 3:
        raise TypeError(
            f"from_mne: get_data() gave shape {X.shape}; expected (n_epochs, n_channels, n_times). "
            "Cut a continuous recording into epochs first."
        )
    return X, list(epochs.ch_names), float(epochs.info["sfreq"])


def to_mne(X, sampling_rate: float, channels=None, *, ch_types="eeg"):
    """Wrap a panel as MNE's epochs.

    Parameters
    ----------
    X : array-like of shape (n, n_channels, n_times)
        Panel, in volts for EEG.
    sampling_rate : float
        Samples per second, Hz.
    channels : sequence of str, default=None
        Names; None is ``ch0``, ``ch1``, …
    ch_types : str or sequence of str, default="eeg"
        As of :func:`mne.create_info`.

    Returns
    -------
    mne.EpochsArray

    Raises
    ------
    ImportError
        If mne is not installed.
    ValueError
        If `X` is no panel, or the number of names is not the number of channels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import to_mne
    >>> epochs = to_mne(np.zeros((3, 2, 128)), 256.0, ["Cz", "Pz"])  # doctest: +SKIP
    """
    X = np.asarray(X)
    if X.ndim != 3:
        raise ValueError(
            f"to_mne: X has shape {X.shape}; expected (n_recordings, n_channels, n_times)."
        )
    channels = [f"ch{i}" for i in range(X.shape[1])] if channels is None else list(channels)
    if len(channels) != X.shape[1]:
        raise ValueError(f"to_mne: {len(channels)} names for {X.shape[1]} channels.")
    try:
        import mne
    except ImportError as error:
        raise ImportError("to_mne needs mne: pip install mne") from error
    info = mne.create_info(channels, sampling_rate, ch_types)
    return mne.EpochsArray(X, info, verbose="error")
