"""A whole fit: `TrustRegionDropoutRegressor` against the same net with `nn.Dropout`.

The peer is the estimator itself with its dropout layers exchanged for `torch.nn.Dropout` and
nothing that moves rates: the same weights, optimiser, batches and epochs, so that the ratio is what
transforms and trust region cost in training. Fits are random, so results are not compared.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from benchmarks._harness import Row, compare, main
from sklearn_dbt import TrustRegionDropoutRegressor

#: recordings, channels, times.
SHAPES = [(256, 1, 64), (256, 6, 512)]
EPOCHS = 50


class PlainDropout(nn.Dropout):
    """`nn.Dropout` where the network expects a layer that may look at its input first."""

    def observe(self, x) -> None:
        """Look at nothing."""


class PlainRegressor(TrustRegionDropoutRegressor):
    """The estimator with `nn.Dropout` in place of `TransformDropout`."""

    def _dropout_maker(self, _seed):
        return lambda *_args, **_options: PlainDropout(self.dropout_rate)

    def _rate_control(self, _module):
        return []

    def _record_rates(self):
        self.drop_rates_, self.trust_region_history_ = np.array([self.dropout_rate]), {}


def rows() -> list[Row]:
    """Compare the controllers and the peer on each shape."""
    # A fixed number of epochs is what is timed; whether it was enough is not the question.
    warnings.simplefilter("ignore", ConvergenceWarning)
    options = {"max_iter": EPOCHS, "n_iter_no_change": EPOCHS, "random_state": 0}
    found = []
    for shape in SHAPES:
        rng = np.random.default_rng(0)
        X = rng.standard_normal(shape).astype(np.float32)
        y = X[:, 0, : shape[2] // 2].mean(axis=1) + 0.1 * rng.standard_normal(shape[0])
        contenders = {
            controller: TrustRegionDropoutRegressor(controller=controller, **options)
            for controller in ("trust_region", "decay", "fixed")
        }
        contenders["nn.Dropout"] = PlainRegressor(**options)
        calls = {name: lambda m=m, X=X, y=y: m.fit(X, y) for name, m in contenders.items()}
        case = f"{' x '.join(map(str, shape))} float32, {EPOCHS} epochs"
        found += compare("fit", case, calls, tolerance=None, max_seconds=60)
    return found


if __name__ == "__main__":
    main("bench_fit", rows())
