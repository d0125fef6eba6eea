"""Run every ``bench_*.py`` in a process of its own and write one table of them all."""

import subprocess
import sys
from pathlib import Path

from benchmarks._harness import RESULTS, Row, environment, read, table, write

HERE = Path(__file__).parent


def run() -> list[Row]:
    """Run the benchmarks one after the other and collect their rows."""
    rows: list[Row] = []
    for file in sorted(HERE.glob("bench_*.py")):
        print(f"--- {file.stem}", flush=True)
        subprocess.run(
            [sys.executable, "-m", f"benchmarks.{file.stem}"], check=True, cwd=HERE.parent
        )
        rows += read(RESULTS / f"{file.stem}.csv")
    return rows


if __name__ == "__main__":
    everything = run()
    write(everything, RESULTS, "all")
    print(environment(), table(everything), sep="\n\n")
    print(f"written to {RESULTS / 'all.md'} and {RESULTS / 'all.csv'}")
