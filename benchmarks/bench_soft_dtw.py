"""Soft-DTW of a batch of pairs, forward and backward, and of all pairs of a set, on the CPU.

The peers are pysdtw and tslearn, and aeon and tslearn for all pairs. Memory is the most that is
resident during forward and backward of the longest series, each contender in a fresh process.

All three take squared Euclidean costs. In float32 the gradients of the peers lose digits when
values are large against gamma, so the random walks are standardised, and the tolerance is relative.
"""

import numpy as np
import torch

from benchmarks._harness import Row, compare, load, main
from benchmarks._soft_dtw_memory import memory_rows
from sklearn_dbt.nn import soft_dtw, soft_dtw_matrix

GAMMA = 1.0
#: pairs, channels, times.
SHAPES = [(32, 3, 64), (64, 8, 256), (16, 8, 1024)]
#: series, channels, times, of which all pairs are taken.
SETS = [(40, 1, 100), (40, 6, 100)]


def rows() -> list[Row]:
    """Compare pairs, then whole sets, then memory."""
    return pairs() + sets() + memory_rows(SHAPES[-1], ("pysdtw", "tslearn"))


def standardised_walks(*shape: int) -> torch.Tensor:
    """Random walks of mean 0 and deviation 1."""
    walks = torch.randn(shape, generator=torch.Generator().manual_seed(0)).cumsum(-1)
    return (walks - walks.mean(-1, keepdim=True)) / walks.std(-1, keepdim=True)


def sets() -> list[Row]:
    """Compare the values of all pairs of a set."""
    tslearn, missing = load("tslearn.metrics")
    aeon, also_missing = load("aeon.distances")
    found = []
    for shape in SETS:
        x = standardised_walks(*shape)
        double, times_first = x.double().numpy(), x.mT.numpy()
        matrices = {"sklearn_dbt": lambda x=x: soft_dtw_matrix(x, gamma=GAMMA).numpy()}
        if tslearn is not None:
            matrices["tslearn"] = lambda x=times_first: tslearn.cdist_soft_dtw(x, gamma=GAMMA)
        if aeon is not None:
            matrices["aeon"] = lambda x=double: aeon.soft_dtw_pairwise_distance(x, gamma=GAMMA)
        # aeon gives sizes without signs, and no diagonal.
        pairs = ~np.eye(shape[0], dtype=bool)
        values = {name: lambda f=f, p=pairs: np.abs(f())[p] for name, f in matrices.items()}
        case = f"all pairs of {shape[0]}, {shape[1]} x {shape[2]} float32"
        scale = values["sklearn_dbt"]().max()
        found += compare(
            "soft-DTW", case, values, tolerance=1e-3 * scale, missing=missing | also_missing
        )
    return found


def pairs() -> list[Row]:
    """Compare value and gradient, then the value alone, on each shape."""
    pysdtw, missing = load("pysdtw")
    tslearn, also_missing = load("tslearn.metrics")
    missing |= also_missing
    found = []
    for shape in SHAPES:
        x, y = standardised_walks(2, *shape)
        scale = soft_dtw(x, y, gamma=GAMMA).abs().max().item()
        x.requires_grad_()

        def ours(x=x, y=y):
            return soft_dtw(x, y, gamma=GAMMA)

        def gradient(distance, x=x):
            value = distance()
            return value.reshape(-1), torch.autograd.grad(value.sum(), x)[0]

        values = {"sklearn_dbt": ours}
        if pysdtw is not None:
            peer = pysdtw.SoftDTW(gamma=GAMMA, use_cuda=False)
            values["pysdtw"] = lambda x=x, y=y, f=peer: f(x.mT.contiguous(), y.mT.contiguous())
        if tslearn is not None:
            loss = tslearn.SoftDTWLossPyTorch(gamma=GAMMA)
            values["tslearn"] = lambda x=x, y=y, f=loss: f(x.mT, y.mT)
        case = f"{shape[0]} pairs, {shape[1]} x {shape[2]} float32"
        backward = {name: lambda f=f, g=gradient: g(f) for name, f in values.items()}
        tolerance = 1e-3 * scale
        found += compare(
            "soft-DTW", f"{case} + gradient", backward, tolerance=tolerance, missing=missing
        )
        forward = {name: lambda f=f: f().reshape(-1) for name, f in values.items()}
        with torch.no_grad():
            found += compare("soft-DTW", case, forward, tolerance=tolerance, missing=missing)
    return found


if __name__ == "__main__":
    main("bench_soft_dtw", rows())
