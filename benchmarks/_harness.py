"""Time several ways of computing one thing, side by side in one process.

Four precautions, because a ratio is easily wrong by more than what it is meant to show:

- Every contender runs once before the clock starts, which compiles what compiles, and its result is
  compared with ours: contenders that do not compute the same thing are an error, not a row.
- Contenders take turns, in a rotated order each round, so that a slow second hits them all alike.
- Within a round each is repeated until a minimum time has passed, so that the clock's steps vanish.
- The ratio is the median over rounds of the ratio *within* a round; its spread is told with it.
"""

import csv
import gc
import importlib
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "numpy", "scikit-learn", "numba", "PyWavelets", "ptwt", "pysdtw", "tslearn")


@dataclass(frozen=True)
class Row:
    """One line of the table: a contender in a case.

    Attributes
    ----------
    benchmark, case, contender : str
        What was measured.
    milliseconds : float
        Median time of one call; nan when skipped.
    ratio : float
        Its time over ours: above 1, ours is faster.
    spread : str
        Smallest and largest quartile of the ratio over the rounds.
    difference : float
        Largest absolute difference of its result from ours, before any timing; nan when the
        results are random and not compared.
    note : str
        "skipped: ..." when the contender is not there.
    """

    benchmark: str
    case: str
    contender: str
    milliseconds: float = float("nan")
    ratio: float = float("nan")
    spread: str = ""
    difference: float = float("nan")
    note: str = ""


def compare(
    benchmark: str,
    case: str,
    contenders: Mapping[str, Callable[[], object]],
    *,
    tolerance: float | None,
    rounds: int = 15,
    min_seconds: float = 0.02,
    max_seconds: float = 30.0,
    missing: Mapping[str, str] | None = None,
) -> list[Row]:
    """Time contenders against the first of them, which is ours.

    Parameters
    ----------
    benchmark, case : str
        Names for the table.
    contenders : mapping of str to callable
        Calls without arguments; each returns what it computed, as an array, a tensor or a
        sequence of them.
    tolerance : float or None
        Largest allowed absolute difference from our result; None compares nothing.
    rounds : int, default=15
        Turns that each contender gets.
    min_seconds : float, default=0.02
        Least time of one turn.
    max_seconds : float, default=30.0
        Time for all turns together; slow contenders get fewer, but at least three each.
    missing : mapping of str to str, default=None
        Contenders that are not there, and why.

    Returns
    -------
    list of Row
        One a contender, ours first; then one a missing contender.

    Raises
    ------
    AssertionError
        If a result differs from ours by more than `tolerance`.
    """
    ours, *_ = contenders
    differences = _differences(benchmark, case, contenders, tolerance)
    once = {name: _time(call, 1) for name, call in contenders.items()}
    calls = {name: max(1, round(min_seconds / max(t, 1e-9))) for name, t in once.items()}
    fit_in = int(max_seconds / sum(calls[name] * t for name, t in once.items()))
    rounds = min(rounds, max(3, fit_in))
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            seconds[name].append(_time(contenders[name], calls[name]))
    rows = []
    for name in names:
        ratios = [t / o for t, o in zip(seconds[name], seconds[ours], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows.append(
            Row(
                benchmark=benchmark,
                case=case,
                contender=name,
                milliseconds=1e3 * statistics.median(seconds[name]),
                ratio=middle,
                spread="" if name == ours else f"{low:.2f} to {high:.2f}",
                difference=differences[name],
            )
        )
    skipped = [
        Row(benchmark, case, name, note=f"skipped: {why}") for name, why in (missing or {}).items()
    ]
    return rows + skipped


def load(package: str) -> tuple[object | None, dict[str, str]]:
    """A peer's module if it is installed, else None and the reason, for `compare(missing=...)`."""
    try:
        return importlib.import_module(package), {}
    except ImportError:
        return None, {package: "not installed"}


def environment() -> str:
    """Describe on one line what the figures depend on: versions, machine and threads."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} absent")
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    return f"{machine}, torch threads {torch.get_num_threads()}; {', '.join(versions)}"


def table(rows: list[Row]) -> str:
    """Write the rows as a Markdown table."""
    header = "| benchmark | case | contender | ms | time / ours | quartiles | max. difference |"
    lines = [header, "|---|---|---|--:|--:|---|--:|"]
    for row in rows:
        if row.note:
            figures = [row.note, "", "", ""]
        else:
            same = "random" if np.isnan(row.difference) else f"{row.difference:.1e}"
            figures = [f"{row.milliseconds:.3g}", f"{row.ratio:.2f}", row.spread, same]
        lines.append(f"| {' | '.join([row.benchmark, row.case, row.contender, *figures])} |")
    return "\n".join(lines) + "\n"


def write(rows: list[Row], folder: Path, name: str) -> None:
    """Write ``name.csv``, a line a row, and ``name.md``, the table with its environment."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    (folder / f"{name}.md").write_text(f"{environment()}\n\n{table(rows)}", encoding="utf-8")


def read(path: Path) -> list[Row]:
    """Read the rows that `write` wrote."""
    numbers = ("milliseconds", "ratio", "difference")
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return [Row(**{k: float(v) if k in numbers else v for k, v in line.items()}) for line in lines]


def main(name: str, rows: list[Row]) -> None:
    """What each benchmark file does when it is run: write its rows and print them."""
    write(rows, RESULTS, name)
    print(table(rows))


def _differences(
    benchmark: str,
    case: str,
    contenders: Mapping[str, Callable[[], object]],
    tolerance: float | None,
) -> dict[str, float]:
    results = {name: call() for name, call in contenders.items()}
    if tolerance is None:
        return dict.fromkeys(contenders, float("nan"))
    ours = next(iter(results.values()))
    found = {name: _max_difference(result, ours) for name, result in results.items()}
    for name, difference in found.items():
        if not difference <= tolerance:
            raise AssertionError(
                f"{benchmark}, {case}: the result of {name} differs from ours by {difference:.2e}, "
                f"more than {tolerance:.2e}; they do not compute the same thing."
            )
    return found


def _max_difference(result: object, ours: object) -> float:
    pairs = zip(_arrays(result), _arrays(ours), strict=True)
    return max(float(np.max(np.abs(a - b))) for a, b in pairs)


def _arrays(result: object) -> list[np.ndarray]:
    parts = result if isinstance(result, list | tuple) else [result]
    return [
        p.detach().cpu().numpy() if isinstance(p, torch.Tensor) else np.asarray(p) for p in parts
    ]


def _time(call: Callable[[], object], calls: int) -> float:
    """Seconds of one call, averaged over a turn that the garbage collector does not interrupt."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls
    finally:
        gc.enable()
