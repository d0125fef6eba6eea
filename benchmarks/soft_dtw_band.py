"""Draw what soft-DTW costs, forward and backward, against the area of its band.

``python -m benchmarks.soft_dtw_band [FILE]`` times bands from 4 samples to the whole matrix, fits a
straight line to each length's times and prints it; FILE is doc/_static/soft_dtw_band.png if not
given. For equal lengths T the band of radius r < T has exactly T (2 r + 1) - r (r + 1) cells.
"""

import sys
import time
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks._harness import environment
from sklearn_dbt.nn import soft_dtw

N_PAIRS, N_CHANNELS = 8, 4
LENGTHS = (512, 1024)
PICTURE = Path(__file__).parents[1] / "doc" / "_static" / "soft_dtw_band.png"


def bands(n_times: int, n_bands: int = 14) -> list[int]:
    """Radii from 4 to all, whose areas grow by equal steps."""
    fractions = np.linspace(0, 1, n_bands)[1:]
    radii = n_times * (1 - np.sqrt(1 - fractions))  # area: T^2 (1 - (1 - r / T)^2)
    return [4, *np.minimum(radii.round().astype(int), n_times - 1).tolist()]


def area(n_times: int, radius: int) -> int:
    """Number of cells of a band over two series of one length."""
    return n_times * (2 * radius + 1) - radius * (radius + 1)


def seconds(n_times: int, radii: list[int], rounds: int = 30) -> np.ndarray:
    """Least processor time of a call with each band; they take turns, to be hit alike."""
    walks = torch.randn(2, N_PAIRS, N_CHANNELS, n_times, generator=torch.Generator().manual_seed(0))
    x, y = walks.cumsum(-1) / n_times**0.5
    x.requires_grad_()
    times = np.full((rounds + 1, len(radii)), np.inf)
    for turn in range(rounds + 1):
        for k, radius in enumerate(radii):
            start = time.process_time()
            torch.autograd.grad(soft_dtw(x, y, band=radius).sum(), x)
            times[turn, k] = time.process_time() - start
    return times[1:].min(0)  # the first turn compiles


def fit(areas: np.ndarray, times: np.ndarray) -> tuple[float, float, float]:
    """Slope, intercept and R^2 of the straight line of least squares."""
    slope, intercept = np.polyfit(areas, times, 1)
    residual = times - (slope * areas + intercept)
    return slope, intercept, 1 - residual.var() / times.var()


def main(file: Path = PICTURE) -> None:
    """Time, fit, print and draw."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    print(environment())
    for n_times, marker in zip(LENGTHS, "os", strict=True):
        radii = bands(n_times)
        areas = np.array([area(n_times, r) for r in radii])
        times = seconds(n_times, radii)
        slope, intercept, r_squared = fit(areas, times)
        per_cell = 1e9 * slope / N_PAIRS
        print(f"T = {n_times}: {per_cell:.2f} ns a cell, R^2 = {r_squared:.5f}")
        for radius, cells, t in zip(radii, areas, times, strict=True):
            print(f"    band {radius:5d}  {cells:8d} cells  {1e3 * t:7.2f} ms")
        (line,) = axis.plot(areas / 1e6, 1e3 * times, marker, markersize=5)
        ends = np.array([0, areas[-1]])
        label = f"T = {n_times}: {per_cell:.1f} ns a cell, $R^2$ = {r_squared:.4f}"
        style = {"color": line.get_color(), "linewidth": 1, "label": label}
        axis.plot(ends / 1e6, 1e3 * (slope * ends + intercept), **style)
    axis.set_xlabel("cells of the band of one pair, in millions")
    axis.set_ylabel("forward and backward, processor ms")
    axis.set_title(
        f"soft_dtw of {N_PAIRS} pairs, {N_CHANNELS} channels, float32", fontsize="medium"
    )
    axis.set_xlim(0)
    axis.set_ylim(0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    with matplotlib.rc_context({"savefig.dpi": 150}):
        figure.savefig(file)
    print(f"drawn to {file}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
