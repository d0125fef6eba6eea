"""What is recovered of known sources behind nonlinear mixtures, beside linear methods.

Each fit is one line of a file, so that a killed run goes on where it was; what is already there is
not fitted again. Precautions, against ways in which such scores have been too good:

- Models are fitted on one recording and scored on another one of the same mixture.
- Nothing is chosen by the truth: the encoder has its defaults and is told what the data are
  (number of segments), restarts are chosen by the contrastive loss.
- All rows of a case are scored on the same thing, sources or magnitudes; for the latter, those of
  linear components are taken.
- "linear, supervised" is regression on the true sources: what no linear method can exceed.

Run ``python -m benchmarks.nonlinear_ica``; ``--help`` lists cases, methods and seeds. picard is
compared when ``python-picard`` is installed.
"""

import argparse
import csv
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

from benchmarks._harness import RESULTS, environment, load
from sklearn_dbt import NonlinearICAEncoder
from sklearn_dbt.datasets import make_nonlinear_mixture
from sklearn_dbt.metrics import mean_correlation_coefficient

TABLE = Path(__file__).parents[1] / "doc" / "evidence" / "nonlinear_ica.csv"


@dataclass(frozen=True)
class Case:
    """A mixture, what is scored, and what the encoder is told about the data.

    Attributes
    ----------
    protocol : str
        Of :func:`sklearn_dbt.datasets.make_nonlinear_mixture`.
    sizes : dict
        Its sizes.
    magnitude : bool
        Whether magnitudes of sources are scored, or the sources.
    encoders : dict
        Arguments of the encoder for each method of it that is run.
    bar : float
        What the first of them should reach.
    """

    protocol: str
    sizes: dict
    magnitude: bool
    encoders: dict[str, dict]
    bar: float = float("nan")


@dataclass(frozen=True)
class Line:
    """One fit: what, on which data, its held-out scores and what it cost.

    ``cpu_seconds`` is the processor time of the fit, of all its threads together.
    """

    case: str
    method: str
    seed: int
    pearson: float
    spearman: float
    seconds: float
    cpu_seconds: float
    note: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, str, int]:
        return self.case, self.method, self.seed


def _segments(method: str, n: int) -> dict:
    return {"method": method, "segments": n}


CASES = {
    "ICE-BeeM, L=4, 20 x 2000": Case(
        "icebeem", {"n_times": 2000}, True, {"tcl": _segments("tcl", 20)}, 0.90
    ),
    "ICE-BeeM, L=4, 20 x 500": Case(
        "icebeem", {"n_times": 500}, True, {"tcl": _segments("tcl", 20)}, 0.87
    ),
    "TCL 2016, n=20, L=3, 256 x 128": Case(
        "tcl2016",
        {"n_layers": 3, "n_times": 128},
        True,
        {"tcl": _segments("tcl", 256)},
        0.80,
    ),
    "iVAE, nl=3, 40 x 1000": Case(
        "ivae",
        {},
        False,
        {"ivae": _segments("ivae", 40), "gcl": _segments("gcl", 40)},
        0.822,
    ),
    "PCL, L=3, 65536": Case("pcl", {}, False, {"pcl": {"method": "pcl"}}, 0.90),
}
LINEAR: dict[str, Callable] = {}


def linear(name: str):
    """Register a linear method: ``(train, truth, seed) -> components of other time points``."""

    def register(method):
        LINEAR[name] = method
        return method

    return register


@linear("PCA")
def pca(train, truth, seed):  # noqa: ARG001
    return PCA(random_state=seed).fit(train).transform


@linear("FastICA")
def fastica(train, truth, seed):  # noqa: ARG001
    return FastICA(whiten="unit-variance", max_iter=1000, random_state=seed).fit(train).transform


@linear("picard")
def picard(train, truth, seed):  # noqa: ARG001
    module, missing = load("picard")
    if missing:
        return None
    whitening, unmixing, _, mean = module.picard(
        train.T, random_state=seed, max_iter=500, return_X_mean=True, whiten=True
    )
    return lambda points: (points - mean) @ (unmixing @ whitening).T


@linear("slow features")
def slow_features(train, truth, seed):  # noqa: ARG001
    """Linear slow feature analysis: whitened directions in which adjacent points differ least."""
    whiten = PCA(whiten=True).fit(train)
    differences = np.diff(whiten.transform(train), axis=0)
    _, directions = np.linalg.eigh(differences.T @ differences)
    return lambda points: whiten.transform(points) @ directions


@linear("linear, supervised")
def supervised(train, truth, seed):  # noqa: ARG001
    return LinearRegression().fit(train, truth).predict


def fit_linear(case: Case, method: str, data, seed: int):
    """Components of the held-out recording by a linear method; None if it is not installed."""
    train, held_out = (recording.T for recording in data.X)
    transform = LINEAR[method](train, data.sources[0].T, seed)
    if transform is None:
        return None
    components = transform(held_out).T
    return np.abs(components) if case.magnitude else components


def fit_encoder(case: Case, method: str, data, seed: int):
    """Components of the held-out recording by the encoder, with its defaults."""
    encoder = NonlinearICAEncoder(**case.encoders[method], random_state=seed)
    X = data.X.astype(np.float32)
    return encoder.fit(X[:1]).transform(X[1:])[0]


def run_one(name: str, method: str, seed: int) -> Line:
    """Fit and score one method on one draw of a case.

    Parameters
    ----------
    name : str
        One of `CASES`.
    method : str
        One of `LINEAR`, or of the encoder's methods for this case.
    seed : int
        Of the data and of the model.
    """
    case = CASES[name]
    data = make_nonlinear_mixture(case.protocol, n_recordings=2, random_state=seed, **case.sizes)
    truth = np.abs(data.sources[1]) if case.magnitude else data.sources[1]
    fit = fit_linear if method in LINEAR else fit_encoder
    clock, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fit(case, method, data, seed)
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    note = "not converged" if any(w.category is ConvergenceWarning for w in caught) else ""
    if found is None:
        return Line(name, method, seed, float("nan"), float("nan"), 0.0, 0.0, "not installed")
    scores = [mean_correlation_coefficient(truth, found, kind) for kind in ("pearson", "spearman")]
    return Line(name, method, seed, *scores, clock, cpu, note)


# --- the file ------------------------------------------------------------------------------------


def read(path: Path) -> dict[tuple[str, str, int], Line]:
    """All whole lines of the file; of several about one fit, the last."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    rows = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    lines = [Line(**{f.name: f.type(row[f.name]) for f in fields(Line)}) for row in rows]
    return {line.key: line for line in lines}


def append(path: Path, line: Line) -> None:
    """Add a line, after taking away one that a kill has cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = path.read_bytes() if path.exists() else b""
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1) if content else None
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Line)], lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(asdict(line))


def table(lines: Iterable[Line]) -> str:
    """Mean, deviation and extremes over the seeds, a row a case and method, as Markdown."""
    header = "| case | method | MCC | sd | min | max | Spearman | bar | CPU s (max) | seeds |"
    rows = [header, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    rows += [_row(*key, group) for key, group in _by_method(lines).items()]
    return "\n".join(rows) + "\n"


def _by_method(lines: Iterable[Line]) -> dict[tuple[str, str], list[Line]]:
    """Lines of each case and method, in the order of the cases."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.case, line.method), []).append(line)
    return {key: groups[key] for case in CASES for key in groups if key[0] == case}


def _row(case: str, method: str, group: list[Line]) -> str:
    scores = [line.pearson for line in group]
    if group[0].note == "not installed":
        return f"| {case} | {method} | not installed |  |  |  |  |  |  |  |"
    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
    first = next(iter(CASES[case].encoders))
    cells = [
        case,
        method,
        f"{statistics.mean(scores):.3f}",
        f"{spread:.3f}",
        f"{min(scores):.3f}",
        f"{max(scores):.3f}",
        f"{statistics.mean(line.spearman for line in group):.3f}",
        f"{CASES[case].bar:.3g}" if method == first else "",
        f"{max(line.cpu_seconds for line in group):.1f}",
        str(len(group)),
    ]
    return f"| {' | '.join(cells)} |"


def summary(lines: Iterable[Line]) -> list[list[str]]:
    """Rows of the documentation's table: a case and an encoder, beside the linear methods."""
    header = ["case", *LINEAR, "encoder", "mean", "least", "aim", "seconds"]
    groups = _by_method(lines)
    return [header, *(_cells(*key, groups) for key in groups if key[1] not in LINEAR)]


def _cells(case: str, encoder: str, groups: dict[tuple[str, str], list[Line]]) -> list[str]:
    def mean(method: str) -> str:
        group = groups.get((case, method), [])
        return f"{statistics.mean(line.pearson for line in group):.3f}" if group else ""

    group = groups[case, encoder]
    least = min(line.pearson for line in group)
    seconds = max(line.seconds for line in group)
    cells = [*map(mean, LINEAR), encoder, mean(encoder), f"{least:.3f}"]
    return [case, *cells, f"{CASES[case].bar:.3g}", f"{seconds:.0f}"]


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not there yet, and print the table of the whole file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--methods", nargs="*", help="default: all linear ones and the encoder's")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--output", type=Path, default=RESULTS / "nonlinear_ica.csv")
    parser.add_argument("--document", action="store_true", help="write the documentation's table")
    asked = parser.parse_args(arguments)
    for name in asked.cases:
        for method in [*LINEAR, *CASES[name].encoders]:
            if asked.methods and method not in asked.methods:
                continue
            for seed in asked.seeds:
                if (name, method, seed) not in read(asked.output):
                    append(asked.output, run_one(name, method, seed))
    lines = read(asked.output).values()
    if asked.document:
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(summary(lines))
    print(environment(), table(lines), sep="\n\n")


if __name__ == "__main__":
    main()
