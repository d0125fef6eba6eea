"""Which transform the parameters of an estimator ask for."""

from __future__ import annotations

import pywt

from sklearn_dbt.feature_extraction._circular_bands import (
    CONTINUOUS_WAVELETS,
    ContinuousTransform,
    StationaryTransform,
)
from sklearn_dbt.feature_extraction._packet_bands import PacketTransform
from sklearn_dbt.feature_extraction._wavelet_bands import BandTransform, DiscreteTransform

TRANSFORMS: dict[str, type[BandTransform]] = {
    "dwt": DiscreteTransform,
    "swt": StationaryTransform,
    "packet": PacketTransform,
    "cwt": ContinuousTransform,
}
# Packets double in number with every level: 16 bands unless more are asked for.
MAX_DEFAULT_PACKET_LEVEL = 4


def choose_wavelet(transform: str, wavelet: str | None, learns: bool) -> str:
    """Name of the wavelet, None's included; ValueError if it does not go with the transform."""
    is_continuous = transform == "cwt"
    name = ("morlet" if is_continuous else "db4") if wavelet is None else wavelet
    if is_continuous != (name in CONTINUOUS_WAVELETS):
        kinds = "'morlet' and 'mexican_hat'" if is_continuous else "discrete wavelets"
        raise ValueError(f"WaveletEmbedder: transform={transform!r} takes {kinds}, got {name!r}.")
    if learns and is_continuous:
        raise ValueError(
            "WaveletEmbedder: learn_wavelet=True learns discrete filters; transform='cwt' has none."
        )
    return name


def choose_level(transform: str, wavelet: str, level: int | None, n_times: int) -> int:
    """Number of levels for recordings of so many time points; ValueError for too many."""
    largest = n_times.bit_length()  # the first level with 2**level > n
    if level is None:
        if transform == "cwt":
            return max(1, largest - 4)  # the longest wavelets are half as long as the recording
        free = max(1, pywt.dwt_max_level(n_times, wavelet))
        return min(free, MAX_DEFAULT_PACKET_LEVEL) if transform == "packet" else free
    if level > largest:
        raise ValueError(
            f"WaveletEmbedder: level must be at most {largest} for recordings of {n_times} time "
            f"points, got {level}."
        )
    return int(level)


def learned_wavelet(filters) -> pywt.Wavelet:
    """The orthogonal wavelet of a low-pass and a high-pass analysis filter."""
    low, high = filters.tolist()
    return pywt.Wavelet("learned", filter_bank=[low, high, low[::-1], high[::-1]])
