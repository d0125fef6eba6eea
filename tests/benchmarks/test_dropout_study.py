import json

import numpy as np
import pytest

from benchmarks import dropout_study
from benchmarks._study_data import load
from benchmarks._study_ours import DEFAULT, FACE, GRID, TUNED, best, fit_and_judge_ours, setup_of
from benchmarks._study_peers import PEERS
from benchmarks._study_store import Line, append, read, repair
from benchmarks.dropout_study import _parser, epochs_of, jobs_left, main, run_job, setup

OPTIONS = ["--sets", "diabetes", "--noises", "high", "--seeds", "2", "--steps", "20"]  # 2 epochs
METHODS = ["--methods", "none", "weight decay", DEFAULT]


@pytest.fixture
def path(tmp_path):
    repair(tmp_path / "study.csv")
    return tmp_path / "study.csv"


def arguments(path, *more):
    return _parser().parse_args(["run", *OPTIONS, "--results", str(path), *more])


def run_all(jobs):
    assert [run_job(job) for job in jobs] == [""] * len(jobs)


def test_a_run_goes_on_where_it_stopped(path):
    args = arguments(path, *METHODS)
    jobs = jobs_left(args)
    assert [(job.method, job.seeds) for job in jobs] == [
        ("none", (0, 1)), ("weight decay", (0, 1)), (DEFAULT, (0, 1)),
    ]  # fmt: skip
    run_all(jobs[:2])
    kept = path.read_text().splitlines(keepends=True)
    path.write_text("".join(kept[:-1]))  # killed before the last line of weight decay
    left = jobs_left(args)
    assert [(job.method, job.seeds) for job in left] == [("weight decay", (1,)), (DEFAULT, (0, 1))]
    chosen = read(path)[jobs[1].key(0)]
    run_all(left)
    again = read(path)[jobs[1].key(1)]
    # What was chosen stays, and so does what it cost; the fit is the one of the first run.
    assert again.chosen == chosen.chosen
    assert again.tuning_seconds == chosen.tuning_seconds > 0
    assert again.score == pytest.approx(float(kept[-1].split(",")[6]), rel=1e-3)
    assert jobs_left(args) == []


def test_lines_say_what_was_spent(path):
    run_all(jobs_left(arguments(path, "--methods", "none", "weight decay", TUNED)))
    lines = {line.method: line for line in read(path).values()}
    assert (lines["none"].tuning_fits, lines["none"].tuning_seconds) == (0, 0)
    assert np.isfinite(lines["none"].cv_score)
    n_fits = 3 * len(PEERS["weight decay"].grid)
    assert lines["weight decay"].tuning_fits == n_fits
    assert lines["weight decay"].tuning_epochs == 2 * n_fits
    assert lines[TUNED].tuning_epochs == 2 * 3 * len(GRID)
    assert json.loads(lines[TUNED].chosen) in GRID
    assert all(line.fit_epochs == 2 and line.fit_seconds > 0 for line in lines.values())


def test_other_defaults_or_grids_are_other_fits(path, monkeypatch):
    args = arguments(path, "--methods", "none", "weight decay")
    run_all(jobs_left(args))
    monkeypatch.setitem(PEERS, "weight decay", PEERS["dropout"])
    assert [job.method for job in jobs_left(args)] == ["weight decay"]
    assert setup_of(DEFAULT) != setup_of(TUNED)
    assert setup("dropout") != setup("none")


def test_a_failing_job_is_told_and_writes_nothing(path, monkeypatch):
    def broken(*_):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(dropout_study, "fit_and_judge", broken)
    (job,) = jobs_left(arguments(path, "--methods", "none"))
    assert "no such luck" in run_job(job)
    assert read(path) == {}


def test_ours_without_dropout_is_the_peers_plain_network():
    """Both codes train the same thing: over seeds, their scores agree."""
    data = load("diabetes")
    rows = np.arange(len(data.X_train))
    plain = {"controller": "fixed", "dropout_rate": 0.0}
    ours = [fit_and_judge_ours(data, plain, rows, None, s, 15)[0] for s in range(3)]
    stacked = dropout_study.fit_and_judge(
        data, PEERS["none"], [{}] * 30, [rows] * 30, [None] * 30, range(30), 15
    )
    spread = stacked[:, 0].std() + 1e-3
    assert abs(np.mean(ours, axis=0)[0] - stacked[:, 0].mean()) < 2 * spread


def test_best_takes_the_score_and_then_the_loss():
    settings = [{"a": 0}, {"a": 1}, {"a": 2}]
    score = np.array([[0.7, 0.9], [0.9, 0.7], [0.2, 0.9]])
    loss = np.array([[1.0, 1.0], [0.5, 0.5], [0.1, 0.1]])
    figures = np.stack([score, loss, loss], axis=2)
    assert best(settings, figures) == ({"a": 1}, pytest.approx(0.8))


@pytest.mark.parametrize(("steps", "epochs"), [(600, 60), (601, 61), (1, 1)])
def test_all_sets_get_as_many_steps(steps, epochs):
    assert epochs_of(load("diabetes"), steps) == epochs  # 295 rows, 10 steps an epoch


def fake_lines(path, methods, n_seeds, better):
    """Lines as a run would write them, without one; scores grow by the method's place."""
    repair(path)
    for job in jobs_left(arguments(path, "--noises", "clean", "white", "--methods", *methods)):
        for seed in range(n_seeds):
            place = methods.index(job.method)
            figures = {"score": 0.5 + better * place + 0.01 * seed, "rmse": 1.0}
            tuning = {"tuning_fits": 9 * place, "tuning_epochs": 18 * place}
            seconds = {"tuning_seconds": 3.0 * place, "fit_epochs": 2, "fit_seconds": 1.0 + place}
            choice = {"cv_score": 0.5 - 0.1 * place, "chosen": "{}"}
            append(path, Line(*job.key(seed), **figures, **choice, **tuning, **seconds))


def test_report_says_what_is_missing_and_leaves_it_out(path, capsys):
    methods = ["none", "dropout", "early", DEFAULT, FACE, "rates fixed"]
    fake_lines(path, methods, 2, better=0.1)
    kept = path.read_text().splitlines(keepends=True)
    path.write_text("".join(kept[:-1]))
    options = [*OPTIONS, "--noises", "clean", "white", "--methods", *methods]
    assert main(["report", *options, "--results", str(path)]) == 0
    text = capsys.readouterr().out
    assert "23 of 24 fits are there, 1 are missing; 1 of 2 cells" in text
    assert '"diabetes", "clean", "50.5", "60.5", "70.5", "**80.5**", "90.5"' in text
    assert '"diabetes", "white"' not in text
    assert '"rates fixed", "100.50", "100.50"' in text  # a part left out has a table of its own
    # The best peer by the test score is the third, by the inner folds the first.
    assert '"diabetes", "clean", "early", "none", "+10.0", "+30.0"' in text
    # Three fits of two thirds and one whole, six times over, each 3 times a plain one's.
    assert '"early", "70.50", "18 + 1", "38", "9.00", "39.0"' in text
    # Ours in units of its own plain fit: 4 seconds to 5, and 27 fits of two thirds.
    assert f'"{DEFAULT}", "80.50", "27 + 1", "56", "13.00", "15.2"' in text
    folder = path.parent
    assert (folder / "study.rst").read_text().strip() == text.strip()
    assert (folder / "study_ranks_development.png").exists()
    assert len((folder / "study_scores.csv").read_text().splitlines()) == 1 + 12


def test_report_on_nothing(path, capsys):
    assert main(["report", *OPTIONS, *METHODS, "--results", str(path)]) == 0
    assert "0 of 6 fits are there, 6 are missing; 0 of 1 cells" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_runs_in_processes(path, capsys):
    argv = ["run", *OPTIONS, "--methods", "none", "dropout", "--results", str(path)]
    assert main(argv) == 0
    assert len(read(path)) == 4
    assert "2 jobs done, 0 failed" in capsys.readouterr().err
    assert main(argv) == 0
    assert "nothing left to train" in capsys.readouterr().err
