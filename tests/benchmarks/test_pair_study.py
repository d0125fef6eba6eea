"""The pair study judges unseen recordings, every method by the same pairs, and resumes."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import pair_study
from benchmarks._pair_study_methods import METHODS, Task, encoders
from benchmarks._study_store import read
from sklearn_dbt import make_pairs

pytest.importorskip("aeon")


@pytest.fixture(scope="module")
def task():
    """Two shapes at random onsets in one channel, noise in the other, of two lengths."""
    rng = np.random.default_rng(0)

    def recordings(n):
        y = np.arange(n) % 2
        t = np.arange(30) - rng.integers(0, 12, size=(n, 1))
        shape = np.where(y[:, None] == 1, t > 0, (t > 0) & (t < 9)) + 0.1 * rng.normal(size=(n, 30))
        X = np.stack([shape, rng.normal(size=(n, 30))], axis=1).astype(np.float32)
        return [x[:, : 30 - i % 2] for i, x in enumerate(X)], y

    (X, y), (X_test, y_test) = recordings(30), recordings(20)
    train, same, _ = make_pairs(X, y, return_indices=True, random_state=0)
    test, same_test, _ = make_pairs(X_test, y_test, return_indices=True, random_state=0)
    return Task("shapes", X, X_test, y, train, test, same, same_test)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "ours, learned"])
@pytest.mark.filterwarnings("ignore")
def test_every_method_scores_the_test_pairs(task, method):
    scores = METHODS[method](task, 0)
    assert scores.shape == task.same_test.shape
    auc = roc_auc_score(task.same_test, scores)
    assert auc > (0.4 if method == "Euclidean" else 0.6)
    if method != "NCA on features":  # its optimizer starts from random numbers
        np.testing.assert_array_equal(METHODS[method](task, 0), scores)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_learning_pays_where_a_channel_is_noise(task):
    louder = np.array([[1.0], [4.0]], dtype=np.float32)
    task = replace(
        task,
        X_train=[louder * x for x in task.X_train],
        X_test=[louder * x for x in task.X_test],
    )
    learned = roc_auc_score(task.same_test, METHODS["ours, learned"](task, 0))
    fixed = roc_auc_score(task.same_test, METHODS["ours, fixed"](task, 0))
    assert learned > fixed + 0.1


def test_a_band_is_wide_enough_for_the_lengths(task):
    assert task.radius(None) is None
    assert task.radius(0.1) == 3
    short = Task("", [np.zeros((1, 60))], [np.zeros((1, 5))], *[None] * 5)
    assert short.radius(0.05) == 15


def test_encoders_are_drawn_by_the_seed():
    first, again, other = (encoders(3, seed)["filters"].weight for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert "projection" not in encoders(1, 0)


def test_a_real_task_shares_no_recording():
    task = pair_study.load_task("JapaneseVowels", 0)
    train = {x.tobytes() for x in task.X_train}
    assert not train & {x.tobytes() for x in task.X_test}
    assert len(task.train) == pair_study.N_TRAIN
    assert len(task.test) == pair_study.N_TEST
    assert task.same.mean() == 0.5
    assert max(x.shape[1] for x in task.X_train) <= pair_study.MAX_TIMES


def test_a_run_resumes_and_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pair_study, "METHODS", {"Euclidean": METHODS["Euclidean"]})
    where = ["--results", str(tmp_path / "r.csv"), "--table", str(tmp_path / "t.inc")]
    options = [*where, "--sets", "GunPoint", "--methods", "Euclidean"]
    monkeypatch.setattr(pair_study.torch, "set_num_threads", lambda n: None)  # noqa: ARG005
    pair_study.main(["run", *options, "--seeds", "1"])
    assert "1/1 GunPoint" in capsys.readouterr().out
    pair_study.main(["run", *options, "--seeds", "2"])
    assert "1/1 GunPoint, Euclidean, seed 1" in capsys.readouterr().out
    lines = read(tmp_path / "r.csv", pair_study.Line)
    assert set(lines) == {("GunPoint", "Euclidean", 0), ("GunPoint", "Euclidean", 1)}
    pair_study.main(["report", *where])
    mean = np.mean([line.auc for line in lines.values()])
    assert f'"GunPoint", "**{mean:.3f}**"' in (tmp_path / "t.inc").read_text()
