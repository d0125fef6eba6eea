"""Where the dropout study keeps what it has found: one line a fit, so that a kill loses little.

A line is written by one call to the operating system, at the end of the file; several processes may
do so at once. The last line of a killed run may be cut; `repair` takes it away, and it is computed
again.
"""

import csv
import io
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Line:
    """One trained and judged model of the study.

    Attributes
    ----------
    set, noise, method : str
        What was trained on what.
    seed, steps : int
        Seed of the fit and the number of optimizer steps the run was asked for.
    setup : str
        Fingerprint of the method's grid and, for ours, defaults.
    score, rmse : float
        Accuracy, or R² and root mean square error, on the test recordings.
    cv_score : float
        Mean score of the chosen settings over the inner folds; nan for ours with defaults.
    chosen : str
        The settings, as JSON.
    tuning_fits, tuning_epochs, tuning_seconds : int, int, float
        What the choice cost, once for all seeds; nothing where there is nothing to choose.
        Seconds are those of the processor, one thread.
    fit_epochs, fit_seconds : int, float
        What this fit cost.
    """

    set: str
    noise: str
    method: str
    seed: int
    steps: int
    setup: str
    score: float
    rmse: float
    cv_score: float
    chosen: str
    tuning_fits: int
    tuning_epochs: int
    tuning_seconds: float
    fit_epochs: int
    fit_seconds: float

    @property
    def key(self) -> "Key":
        """What makes two lines the same fit."""
        return Key(self.set, self.noise, self.method, self.seed, self.steps, self.setup)


class Key(NamedTuple):
    """Which fit a line is about."""

    set: str
    noise: str
    method: str
    seed: int
    steps: int
    setup: str


def repair(path: Path, kind: type = Line) -> int:
    """Create the file with its header, or cut off a last line that was not finished.

    Parameters
    ----------
    path : Path
        The file.
    kind : dataclass, default=Line
        What a line holds.

    Returns
    -------
    int
        Number of bytes cut off.

    Raises
    ------
    ValueError
        If the file's columns are not those of `kind`; it is left as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    columns = [field.name for field in fields(kind)]
    header = _text(columns)
    if whole and not whole.startswith(header):
        raise ValueError(f"{path} has other columns than {columns}; move it away.")
    if not whole:
        path.write_bytes(header)
    elif len(whole) < len(content):
        os.truncate(path, len(whole))
    return len(content) - len(whole)


def append(path: Path, line) -> None:
    """Add a line at the end of the file, whole or not at all as far as other writers can see."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, _text(asdict(line).values()))
    finally:
        os.close(file)


def read(path: Path, kind: type = Line) -> dict:
    """All finished lines, by their ``key``; of several about one fit, the last."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    rows = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    columns = fields(kind)
    lines = [
        kind(**{column.name: column.type(row[column.name]) for column in columns}) for row in rows
    ]
    return {line.key: line for line in lines}


def _text(values) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue().encode()
