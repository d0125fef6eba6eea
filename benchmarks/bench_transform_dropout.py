"""One dropout layer: `TransformDropout` against `torch.nn.Dropout`.

The layer transforms, masks and transforms back, so it has more to compute than a mask; but where
random numbers are what a mask costs, it needs fewer of them. Masks are random, so training results
are not compared. In evaluation the layer in front of a linear one should cost no more than nothing
at its place. Memory is the most that is allocated at any time during forward and backward.
"""

import itertools
from collections.abc import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks._harness import Row, compare, main
from sklearn_dbt.nn import TransformDropout

WIDE, SMALL = (512, 4096), (32, 64)
#: Basis, policy and what shares a mask; statistics have been observed, as they are in training
#: after the first step. The first is what the estimators have.
LAYERS = [
    ("fourier", "frequency", "octave"),
    ("fourier", "energy", "none"),
    ("fourier", "uniform", "none"),
    ("fourier", "sample_energy", "none"),
    ("dct", "energy", "none"),
    ("dwt", "energy", "none"),
]


def layers(shape: tuple[int, int]) -> tuple[dict[str, nn.Module], torch.Tensor, torch.Tensor]:
    """`nn.Dropout`, then ours; an input and an incoming gradient."""
    g = torch.Generator().manual_seed(0)
    x, gradient = torch.randn(2, *shape, generator=g)
    found: dict[str, nn.Module] = {"nn.Dropout": nn.Dropout(0.5)}
    for basis, policy, sharing in LAYERS:
        layer = TransformDropout(shape[1], basis, policy, mask_sharing=sharing, seed=0)
        layer.observe(x)
        shared = "" if sharing == "none" else f", {sharing}s"
        found[f"TransformDropout({basis}, {policy}{shared})"] = layer
    return found, x.requires_grad_(), gradient


def peak_bytes(call: Callable[[], object]) -> int:
    """Most memory that torch has allocated at any time of a call, beyond what it had before."""
    call()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]
    return max(itertools.accumulate(sizes))


def rows() -> list[Row]:
    """Compare training (time, memory) and evaluation with `nn.Dropout`, the first contender."""
    found = []
    for shape in (WIDE, SMALL):
        contenders, x, gradient = layers(shape)
        case = f"{shape[0]} x {shape[1]} float32"
        training = {
            name: lambda layer=layer, x=x, gradient=gradient: torch.autograd.grad(
                layer(x), x, gradient
            )
            for name, layer in contenders.items()
        }
        found += compare("dropout", f"{case}, training", training, tolerance=None)
        if shape == WIDE:
            peaks = {name: peak_bytes(call) for name, call in training.items()}
            found += [
                Row(
                    "dropout",
                    f"{case}, training, memory",
                    name,
                    ratio=peak / peaks["nn.Dropout"],
                    note=f"{peak / 2**20:.1f} MiB, {peak / peaks['nn.Dropout']:.2f} x nn.Dropout",
                )
                for name, peak in peaks.items()
            ]
        linear = nn.Linear(shape[1], 64)
        nets = {
            name: nn.Sequential(layer, linear).eval()
            for name, layer in {"no dropout": nn.Identity(), **contenders}.items()
        }
        with torch.no_grad():
            evaluation = {name: lambda f=net, x=x: f(x) for name, net in nets.items()}
            found += compare("dropout", f"{case}, evaluation", evaluation, tolerance=0.0)
    return found


if __name__ == "__main__":
    main("bench_transform_dropout", rows())
