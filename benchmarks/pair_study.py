"""Do two recordings belong together? Learned and fixed distances, on recordings never seen before.

    python -m benchmarks.pair_study run      compute what is not there yet (Ctrl-C and start again)
    python -m benchmarks.pair_study report   write the table from what is there

The official splits are kept: training pairs are drawn within the training recordings, test pairs
within the test recordings. Every method chooses its settings on the training recordings alone, and
is judged by the area under the ROC curve of the test pairs. A seed draws the pairs of both sides,
and initialises what is learned.
"""

import argparse
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks._harness import RESULTS
from benchmarks._pair_study_methods import METHODS, Task
from benchmarks._study_data import SOURCES, available, pool, read_recordings
from benchmarks._study_statistics import holm, mean_ranks, wilcoxon
from benchmarks._study_store import append, read, repair
from sklearn_dbt import ChannelScaler, make_pairs

SETS = (
    "BasicMotions",
    "GunPoint",
    "JapaneseVowels",
    "ArrowHead",
    "SelfRegulationSCP1",
    "PickupGestureWiimoteZ",
    "ItalyPowerDemand",
    "OSULeaf",
    "Trace",
    "FingerMovements",
)
MAX_TIMES = 100
N_TRAIN, N_TEST = 600, 1000
LEARNED = "ours, learned"
TABLE = Path(__file__).parents[1] / "doc" / "evidence" / "pairs.inc"


@dataclass(frozen=True)
class Line:
    """One judged method.

    Attributes
    ----------
    set, method : str
        What was done on what.
    seed : int
        Of pairs and fit.
    auc : float
        Area under the ROC curve of the test pairs.
    seconds : float
        Of the processor, for choosing, fitting and judging.
    """

    set: str
    method: str
    seed: int
    auc: float
    seconds: float

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes two lines the same."""
        return self.set, self.method, self.seed


def load_task(name: str, seed: int) -> Task:
    """Read a set, shorten and scale its recordings, and draw pairs.

    Parameters
    ----------
    name : str
        One of `SETS`.
    seed : int
        Of the draw.

    Returns
    -------
    Task
        Recordings longer than `MAX_TIMES` samples are averaged over adjacent ones, all of a set by
        the same number.
    """
    X_train, y_train, X_test, y_test = read_recordings(name)
    longest = max(x.shape[1] for x in (*X_train, *X_test))
    factor = -(-longest // MAX_TIMES)
    X_train, X_test = (
        [pool(x, -(-x.shape[1] // factor)) if factor > 1 else x for x in X]
        for X in (X_train, X_test)
    )
    scaler = ChannelScaler().fit(X_train)
    X_train, X_test = (
        [np.asarray(x, dtype=np.float32) for x in scaler.transform(X)] for X in (X_train, X_test)
    )
    pairs = []
    for X, y, wanted in ((X_train, y_train, N_TRAIN), (X_test, y_test, N_TEST)):
        same = np.equal.outer(y, y)[np.triu_indices(len(y), 1)]
        n_pairs = min(wanted, 2 * same.sum(), 2 * (~same).sum())
        drawn = make_pairs(X, y, n_pairs=int(n_pairs), return_indices=True, random_state=seed)
        pairs.append(drawn[:2])
    (train, same_train), (test, same_test) = pairs
    return Task(name, X_train, X_test, np.asarray(y_train), train, test, same_train, same_test)


def run(args: argparse.Namespace) -> None:
    """Compute the lines that are missing, and say how far it is."""
    torch.set_num_threads(1)
    repair(args.results, Line)
    done = read(args.results, Line)
    keys = [(s, m, seed) for seed in range(args.seeds) for s in args.sets for m in args.methods]
    which, n_parts = args.part
    left = [key for key in keys if key not in done][which::n_parts]
    for number, (name, method, seed) in enumerate(left, 1):
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # short trainings say that they are short
            task = load_task(name, seed)
            auc = float(roc_auc_score(task.same_test, METHODS[method](task, seed)))
        line = Line(name, method, seed, auc, round(time.process_time() - start, 1))
        append(args.results, line)
        print(f"{number}/{len(left)} {name}, {method}, seed {seed}: {auc:.3f}", flush=True)


def report(args: argparse.Namespace) -> None:
    """Write the mean areas, set by set, with mean ranks, costs and Wilcoxon's tests."""
    lines = read(args.results, Line).values()
    sets = [name for name in SETS if any(line.set == name for line in lines)]
    means = np.array([[_mean(lines, name, method, "auc") for method in METHODS] for name in sets])
    ranks = mean_ranks(means)
    seconds = [
        np.mean([_mean(lines, name, method, "seconds") for name in sets]) for method in METHODS
    ]
    table = ['   "' + '", "'.join(("", *METHODS)) + '"']
    for name, row in zip(sets, means, strict=True):
        cells = [f"**{v:.3f}**" if v >= row.max() - 5e-4 else f"{v:.3f}" for v in row]
        table.append('   "' + '", "'.join((name, *cells)) + '"')
    for label, values, form in (
        ("mean", means.mean(0), ".3f"),
        ("mean rank", ranks, ".1f"),
        ("seconds", seconds, ".0f"),
    ):
        table.append('   "' + '", "'.join((label, *(f"{v:{form}}" for v in values))) + '"')
    if LEARNED in METHODS and len(sets) > 1:
        table.append('   "' + '", "'.join(_tests(means)) + '"')
    text = ".. csv-table::\n   :header-rows: 1\n\n" + "\n".join(table) + "\n"
    args.table.write_text(text, encoding="utf-8")
    print(text)


def _tests(means: np.ndarray) -> list[str]:
    """Wilcoxon's p-values over the sets of all methods against the learned one, after Holm."""
    names = list(METHODS)
    others = [name for name in names if name != LEARNED]
    ours = means[:, names.index(LEARNED)]
    p_values = holm(np.array([wilcoxon(ours, means[:, names.index(name)]) for name in others]))
    told = dict(zip(others, p_values, strict=True))
    return [f"p against {LEARNED}", *(f"{told[m]:.3f}" if m in told else "" for m in names)]


def _mean(lines, name: str, method: str, column: str) -> float:
    found = [getattr(line, column) for line in lines if (line.set, line.method) == (name, method)]
    return float(np.mean(found)) if found else float("nan")


def main(argv: list[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("run", "report"))
    here = [name for name in SETS if available(name)]
    parser.add_argument("--sets", nargs="+", choices=list(SOURCES), default=here)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("I", "N"))
    parser.add_argument("--results", type=Path, default=RESULTS / "pair_study.csv")
    parser.add_argument("--table", type=Path, default=TABLE)
    args = parser.parse_args(argv)
    {"run": run, "report": report}[args.what](args)


if __name__ == "__main__":
    main(sys.argv[1:])
