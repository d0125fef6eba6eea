"""Wavelet analysis of a batch of series: ours against ptwt (torch) and PyWavelets (C, no gradient).

The torch contenders are timed twice: analysis alone, and analysis, synthesis and the gradient.
"""

import numpy as np
import pywt
import torch

from benchmarks._harness import Row, compare, load, main
from sklearn_dbt.nn import DWT

WAVELET, LEVEL = "db4", 5
SHAPES = [(64, 512), (512, 4096)]
#: ptwt has no periodization, so all sides extend symmetrically.
MODE = "symmetric"


def rows() -> list[Row]:
    """Compare forward, then forward and backward, on each shape."""
    found = []
    for shape in SHAPES:
        signals = np.random.RandomState(0).standard_normal(shape).astype(np.float32)
        x = torch.from_numpy(signals).requires_grad_()
        basis = DWT(shape[1], wavelet=WAVELET, level=LEVEL, mode=MODE)
        ptwt, missing = load("ptwt")

        def ours(x=x, basis=basis):
            return basis.analysis(x)

        def peer(x=x, ptwt=ptwt):
            return torch.cat(ptwt.wavedec(x, WAVELET, mode=MODE, level=LEVEL), dim=-1)

        def pywavelets(signals=signals):
            return np.concatenate(pywt.wavedec(signals, WAVELET, mode=MODE, level=LEVEL), axis=-1)

        def ours_back(x=x, basis=basis):
            return basis.synthesis(basis.analysis(x))

        def peer_back(x=x, ptwt=ptwt):
            return ptwt.waverec(ptwt.wavedec(x, WAVELET, mode=MODE, level=LEVEL), WAVELET)

        def gradient(there_and_back, x=x):
            return torch.autograd.grad(there_and_back(), x, x.detach())[0]

        case = f"{shape[0]} x {shape[1]} float32"
        forward = {"sklearn_dbt": ours, "PyWavelets": pywavelets}
        backward = {"sklearn_dbt": lambda f=gradient, g=ours_back: f(g)}
        if ptwt is not None:
            forward["ptwt"] = peer
            backward["ptwt"] = lambda f=gradient, g=peer_back: f(g)
        with torch.no_grad():
            found += compare("DWT", case, forward, tolerance=1e-4, missing=missing)
        case += ", forward, inverse, backward"
        found += compare("DWT", case, backward, tolerance=1e-3, missing=missing)
    return found


if __name__ == "__main__":
    main("bench_dwt", rows())
