import pytest
import torch

from sklearn_dbt.nn.basis import Basis, Layout


class Frames(Basis):
    """A grid of frequencies and times, for its layout only; two-sided if it is asked."""

    def __init__(self, frequencies, n_frames, n_features=None):
        f = torch.as_tensor(frequencies, dtype=torch.float64)
        layout = Layout.make(
            len(f) * n_frames,
            frequency=f.repeat(n_frames),
            position=torch.arange(n_frames).double().repeat_interleave(len(f)),
        )
        super().__init__(n_features or len(f) * n_frames, layout)

    def _analysis(self, x):
        return x

    def _synthesis(self, c):
        return c


@pytest.fixture(scope="session")
def frames():
    """Make such a grid."""
    return Frames
