"""One dropout layer: `TransformDropout` against `torch.nn.Dropout` on a wide activation.

The layer transforms, masks and transforms back, so it cannot be as cheap as a mask; the question
is by how much. In evaluation both are the identity and should cost nothing. Masks are random, so
training results are not compared.
"""

import torch
from torch import nn

from benchmarks._harness import Row, compare, main
from sklearn_dbt.nn import TransformDropout

SHAPE = (512, 4096)
BASES = ("fourier", "dct", "dwt")


def rows() -> list[Row]:
    """Compare training, forward and backward, then evaluation, for each basis."""
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def training(layer):
        return torch.autograd.grad(layer(x).sum(), x)[0]

    case = f"{SHAPE[0]} x {SHAPE[1]} float32"
    found = []
    for basis in BASES:
        ours, peer = TransformDropout(SHAPE[1], basis=basis), nn.Dropout(0.5)
        contenders = {
            f"TransformDropout({basis})": lambda layer=ours: training(layer),
            "nn.Dropout": lambda layer=peer: training(layer),
        }
        found += compare("dropout", f"{case}, training", contenders, tolerance=None)
        ours.eval(), peer.eval()
        contenders = {
            f"TransformDropout({basis})": lambda layer=ours: layer(x),
            "nn.Dropout": lambda layer=peer: layer(x),
        }
        found += compare("dropout", f"{case}, evaluation", contenders, tolerance=0.0)
    return found


if __name__ == "__main__":
    main("bench_transform_dropout", rows())
