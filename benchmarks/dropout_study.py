"""Dropout under a trust region against dropout as others do it, on real recordings.

    python -m benchmarks.dropout_study run      train what is not there yet (Ctrl-C and start again)
    python -m benchmarks.dropout_study report   write tables and figure from what is there

Every method trains the same network (one hidden layer of 64 ReLU on standardised channels, Adam,
learning rate 0.001, batches of 32) for the same epochs: as many as make 600 optimizer steps on the
set's training recordings, since equal epochs would leave the small sets underfitted, whatever is
dropped. Every peer is tuned over its own grid, by the same three inner folds of the training
recordings; ours runs with its defaults, and tuned. What is chosen is chosen once a set and noise,
with one seed, and then trained with each of the others. Costs are processor seconds of one thread.
"""

import argparse
import json
import math
import multiprocessing
import os
import signal
import sys
import time
import traceback
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks import _study_report
from benchmarks._harness import RESULTS
from benchmarks._study_data import NOISES, SOURCES, StudySet, available, load
from benchmarks._study_ours import OURS, best, fit_and_judge_ours, setup_of
from benchmarks._study_peers import PEERS
from benchmarks._study_store import Key, Line, append, read, repair
from benchmarks._study_training import BATCH, fit_and_judge, inner_folds

METHODS = (*PEERS, *OURS)
#: Seed with which settings are chosen; no seed of a reported fit.
TUNING_SEED = 1000


@dataclass(frozen=True)
class Job:
    """The fits of one method on one set with one noise that are still to be made."""

    set: str
    noise: str
    method: str
    seeds: tuple[int, ...]
    steps: int
    path: Path

    def key(self, seed: int) -> Key:
        """The key of one fit."""
        return Key(self.set, self.noise, self.method, seed, self.steps, setup(self.method))


@dataclass(frozen=True)
class Choice:
    """Chosen settings, how they did on the inner folds, and what it cost to choose them."""

    settings: dict
    cv_score: float
    fits: int = 0
    epochs: int = 0
    seconds: float = 0.0


def setup(method: str) -> str:
    """Fingerprint of what a method is tuned over."""
    if method in OURS:
        return setup_of(method)
    return f"{zlib.crc32(json.dumps(PEERS[method].grid).encode()):08x}"


def epochs_of(data: StudySet, steps: int) -> int:
    """Epochs that make at least so many optimizer steps on all training recordings."""
    return math.ceil(steps / math.ceil(len(data.X_train) / BATCH))


def jobs_left(args: argparse.Namespace) -> list[Job]:
    """What has no line yet, set after set."""
    done = read(args.results)
    jobs = []
    for name in args.sets:
        for noise in args.noises:
            for method in args.methods:
                job = Job(name, noise, method, tuple(range(args.seeds)), args.steps, args.results)
                left = tuple(seed for seed in job.seeds if job.key(seed) not in done)
                if left:
                    jobs.append(Job(name, noise, method, left, args.steps, args.results))
    return jobs


def weight(job: Job) -> float:
    """Guess how long a job takes, in any unit; only for the time that is left."""
    data = load(job.set)
    n_fits = len(job.seeds)
    n_fits += 3 * len(OURS[job.method] if job.method in OURS else PEERS[job.method].grid)
    n_steps = job.steps
    ms_step = 2.5 if job.method in OURS else 0.05
    return n_fits * n_steps * (ms_step + 4e-4 * data.X_train[0].size)


def run_job(job: Job) -> str:
    """Tune, train, judge and write the lines; return what went wrong, or nothing."""
    try:
        data = load(job.set, job.noise)
        choice = _known_choice(job) or _choose(data, job)
        for line in _final_lines(data, job, choice):
            append(job.path, line)
    except Exception:
        return f"{job.set}, {job.noise}, {job.method}:\n{traceback.format_exc()}"
    return ""


def _known_choice(job: Job) -> Choice | None:
    """The choice that an interrupted run has made for other seeds, if one has."""
    for line in read(job.path).values():
        if line.key == job.key(line.seed):
            cost = (line.tuning_fits, line.tuning_epochs, line.tuning_seconds)
            return Choice(json.loads(line.chosen), line.cv_score, *cost)
    return None


def _choose(data: StudySet, job: Job) -> Choice:
    """Try the grid on the inner folds.

    A grid of one is tried all the same for peers, to compare methods by their inner score; that
    costs nothing in the books, as there is nothing to choose.
    """
    ours = job.method in OURS
    grid = OURS[job.method] if ours else PEERS[job.method].grid
    if ours and len(grid) == 1:
        return Choice(grid[0], float("nan"))
    folds = inner_folds(data)
    entries = [(setting, rows, test) for setting in grid for rows, test in folds]
    settings, rows, tests = zip(*entries, strict=True)
    seeds = [TUNING_SEED] * len(entries)
    figures, epochs, seconds = _train(data, job, settings, rows, tests, seeds)
    chosen, score = best(grid, figures.reshape(len(grid), len(folds), 3))
    if len(grid) == 1:
        return Choice(chosen, score)
    return Choice(chosen, score, len(entries), int(epochs.sum()), seconds.sum())


def _final_lines(data: StudySet, job: Job, choice: Choice) -> Iterator[Line]:
    """Train on all training recordings: peers all seeds at once, ours one after the other."""
    rows = np.arange(len(data.X_train))
    groups = [[seed] for seed in job.seeds] if job.method in OURS else [list(job.seeds)]
    for seeds in groups:
        n = len(seeds)
        figures, epochs, seconds = _train(
            data, job, [choice.settings] * n, [rows] * n, [None] * n, seeds
        )
        for i, seed in enumerate(seeds):
            yield Line(
                *job.key(seed),
                score=figures[i, 0],
                rmse=figures[i, 2],
                cv_score=choice.cv_score,
                chosen=json.dumps(choice.settings),
                tuning_fits=choice.fits,
                tuning_epochs=choice.epochs,
                tuning_seconds=choice.seconds,
                fit_epochs=int(epochs[i]),
                fit_seconds=seconds[i],
            )


def _train(data, job, settings, rows, tests, seeds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Figures, epochs and processor seconds of each fit (an even share, where made in a stack)."""
    n_epochs = epochs_of(data, job.steps)
    begin = time.process_time()
    if job.method in PEERS:
        figures = fit_and_judge(data, PEERS[job.method], settings, rows, tests, seeds, n_epochs)
        share = (time.process_time() - begin) / len(seeds)
        return figures, np.full(len(seeds), n_epochs), np.full(len(seeds), share)
    fits = []
    for entry in zip(settings, rows, tests, seeds, strict=True):
        begin = time.process_time()
        figures, epochs = fit_and_judge_ours(data, *entry, n_epochs)
        fits.append((figures, epochs, time.process_time() - begin))
    return tuple(np.array(column) for column in zip(*fits, strict=True))


def _start_worker() -> None:
    # Ctrl-C is the parent's business; a worker is ended by it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    # Imports, compiled kernels and torch's first backward pass are no method's cost.
    data = load("diabetes")
    rows = np.arange(len(data.X_train))
    fit_and_judge(data, PEERS["dropout"], [{"p": 0.5, "on": "input"}], [rows], [None], [0], 1)
    fit_and_judge_ours(data, {}, rows, None, 0, 3)


def run(args: argparse.Namespace) -> int:
    """Train everything that is left; return the exit status."""
    cut = repair(args.results)
    if cut:
        print(f"cut off an unfinished line of {cut} bytes", file=sys.stderr)
    jobs = jobs_left(args)
    if not jobs:
        print("nothing left to train", file=sys.stderr)
        return 0
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = "1"
    # A polite kill is as good as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failures = []
    pool = multiprocessing.get_context("spawn").Pool(args.jobs, _start_worker)
    try:
        for failure in _watched(pool, jobs):
            if failure:
                failures.append(failure)
                print(f"\nfailed: {failure}", file=sys.stderr)
        pool.close()
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        pool.terminate()
        pool.join()
    print(f"\n{len(jobs) - len(failures)} jobs done, {len(failures)} failed", file=sys.stderr)
    return 1 if failures else 0


def _watched(pool, jobs: list[Job]) -> Iterator[str]:
    """Run the jobs and say on stderr how far they are."""
    weights = [weight(job) for job in jobs]
    begin, done, started = time.monotonic(), 0.0, 0.0
    # In order, so that each result is its job's; a slow job holds back the count only for a while.
    for i, failure in enumerate(pool.imap(run_job, jobs)):
        done += weights[i]
        passed = time.monotonic() - begin
        # Starting the workers is no measure of their speed.
        started = started or passed
        left = (passed - started) * (sum(weights) - done) / max(done - weights[0], 1e-9)
        job = f"{jobs[i].set}, {jobs[i].noise}, {jobs[i].method}"
        text = f"[{i + 1}/{len(jobs)}] {job}; {_clock(passed)} passed, about {_clock(left)} left"
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{text:100s}", end=end, file=sys.stderr, flush=True)
        yield failure


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _parser() -> argparse.ArgumentParser:
    here = [name for name in SOURCES if available(name)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dropout_study")
    parser.add_argument("command", choices=["run", "report"])
    parser.add_argument("--sets", nargs="+", choices=list(SOURCES), default=here, metavar="SET")
    parser.add_argument("--half", choices=sorted({s.half for s in SOURCES.values()}))
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD"
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default: 5)")
    parser.add_argument("--steps", type=int, default=600, help="of the optimizer (default: 600)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--results", type=Path, default=RESULTS / "dropout_study.csv")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and do what it says; return the exit status."""
    args = _parser().parse_args(argv)
    absent = [name for name in SOURCES if not available(name)]
    if absent:
        print(f"not installed, left out: {', '.join(absent)}", file=sys.stderr)
    chosen = [name for name in args.sets if name not in absent]
    args.sets = [name for name in chosen if args.half in (None, SOURCES[name].half)]
    if args.command == "run":
        return run(args)
    lines = read(args.results)
    wanted = [
        Key(name, noise, method, seed, args.steps, setup(method))
        for name in args.sets
        for noise in args.noises
        for method in args.methods
        for seed in range(args.seeds)
    ]
    text = _study_report.report(lines, wanted, args.results.with_suffix(""))
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
