"""Soft lagged correlation of long series: all lags by FFT against the definition, lag after lag.

No package computes it, so the peer is the definition itself in torch, as one would write it.
"""

import torch

from benchmarks._harness import Row, compare, main
from sklearn_dbt.nn import lagged_correlation

#: pairs, channels, times and the largest lag; both ways of the last take some seconds a call.
CASES = [(8, 4, 256, 16), (8, 4, 1024, 128), (8, 4, 4096, 1024)]
BETA, EPS = 10.0, 1e-8


def definition(x: torch.Tensor, y: torch.Tensor, max_lag: int) -> torch.Tensor:
    """Correlation of the overlap at each lag, then their softmax mean."""
    n_times, found = x.shape[-1], []
    for lag in range(-max_lag, max_lag + 1):
        a = x[..., max(0, -lag) : n_times - max(0, lag)]
        b = y[..., max(0, lag) : n_times + min(0, lag)]
        a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
        found.append((a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + EPS))
    rho = torch.stack(found, -1)
    return (torch.softmax(BETA * rho, -1) * rho).sum(-1)


def rows() -> list[Row]:
    """Compare value and gradient."""
    found = []
    for *shape, max_lag in CASES:
        x, y = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
        x.requires_grad_()

        def gradient(function, x=x, y=y, max_lag=max_lag):
            value = function(x, y, max_lag)
            return value, torch.autograd.grad(value.sum(), x)[0]

        contenders = {
            "sklearn_dbt": lambda g=gradient: g(lagged_correlation),
            "definition": lambda g=gradient: g(definition),
        }
        size = f"{shape[0]} pairs, {shape[1]} x {shape[2]} float32"
        case = f"{size}, lags to {max_lag} + gradient"
        found += compare("lagged correlation", case, contenders, tolerance=1e-5)
    return found


if __name__ == "__main__":
    main("bench_lagged_correlation", rows())
