"""Soft-DTW of a batch of pairs, forward and backward: ours against pysdtw and tslearn, on the CPU.

All three take squared Euclidean costs. In float32 the gradients of the peers lose digits when
values are large against gamma, so the random walks are standardised, and the tolerance is relative.
"""

import torch

from benchmarks._harness import Row, compare, load, main
from sklearn_dbt.nn import soft_dtw

GAMMA = 1.0
#: pairs, channels, times.
SHAPES = [(32, 3, 64), (32, 3, 256), (8, 6, 896)]


def rows() -> list[Row]:
    """Compare value and gradient, then the value alone, on each shape."""
    pysdtw, missing = load("pysdtw")
    tslearn, also_missing = load("tslearn.metrics")
    missing |= also_missing
    found = []
    for shape in SHAPES:
        generator = torch.Generator().manual_seed(0)
        walks = torch.randn((2, *shape), generator=generator).cumsum(-1)
        x, y = (walks - walks.mean(-1, keepdim=True)) / walks.std(-1, keepdim=True)
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
