"""Energies of wavelet bands of many recordings: ours against loops over them with PyWavelets."""

import numpy as np
import pywt

from benchmarks._harness import Row, compare, main
from sklearn_dbt import WaveletEmbedder

WAVELET, LEVEL, MODE = "db4", 5, "periodization"
SHAPE = (1000, 8, 1024)


def energies(x: np.ndarray) -> list[np.ndarray]:
    """Mean square of the coefficients of each band, along the last axis."""
    bands = pywt.wavedec(x, WAVELET, MODE, LEVEL, axis=-1)
    return [np.square(band).mean(axis=-1) for band in bands]


def rows() -> list[Row]:
    """Compare in both precisions; the output of all is one table."""
    found = []
    for dtype in (np.float64, np.float32):
        X = np.random.RandomState(0).standard_normal(SHAPE).astype(dtype)
        embedder = WaveletEmbedder(
            WAVELET, LEVEL, MODE, output="features", statistics="energy", trend=()
        ).fit(X)

        def ours(X=X, embedder=embedder):
            return embedder.transform(X)

        def loop_over_recordings(X=X):
            return np.stack([np.stack(energies(x), axis=-1).ravel() for x in X])

        def loop_over_channels(X=X):
            return np.stack([np.concatenate([np.stack(energies(c)) for c in x]) for x in X])

        case = f"{' x '.join(map(str, SHAPE))} {np.dtype(dtype)}"
        contenders = {
            "sklearn_dbt": ours,
            "PyWavelets, loop over recordings": loop_over_recordings,
            "PyWavelets, loop over recordings and channels": loop_over_channels,
        }
        found += compare("WaveletEmbedder", case, contenders, tolerance=1e-4)
    return found


if __name__ == "__main__":
    main("bench_wavelet_embedder", rows())
