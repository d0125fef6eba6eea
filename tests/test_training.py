"""The one training loop: seeds, weights, callbacks, early stopping, Ctrl-C, non-finite losses."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklearn_dbt._compat import with_callbacks
from sklearn_dbt._training import (
    Batches,
    NeuralEstimator,
    Progress,
    TensorDataset,
    WeightedLoss,
    class_weights_of_rows,
    draw_seeds,
    held_out_split,
    isolated_rng,
    keeps_old_fit,
    make_net,
    resolve_device,
    seeded_generator,
)


class Line(NeuralEstimator):
    """Least squares by Adam, the smallest estimator that trains."""

    def __init__(self, max_iter=30, learning_rate=0.05, batch_size=16, patience=None, verbose=0):
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.patience = patience
        self.verbose = verbose

    def _build_net(self):
        return make_net(
            nn.Linear(self.n_features_in_, 1),
            WeightedLoss(nn.functional.mse_loss),
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            seed=3,
            device=torch.device("cpu"),
        )

    @with_callbacks
    @keeps_old_fit
    def fit(self, X, y, sample_weight=None, held_out=None):
        self.n_features_in_ = X.shape[1]
        with isolated_rng(0):
            self.net_ = self._build_net()
        self._start_curves(resume=False)
        progress = None if self.patience is None else Progress(1e-3, self.patience)
        held_out = None if held_out is None else TensorDataset(*held_out)
        self._train(TensorDataset(X, y, sample_weight), held_out, X=X, y=y, progress=progress)
        return self

    @torch.no_grad()
    def predict(self, X):
        return self.net_.module_(X)


@pytest.fixture
def data():
    generator = seeded_generator(0)
    X = torch.randn(60, 4, generator=generator)
    coefficients = torch.randn(4, 1, generator=generator)
    return X, X @ coefficients + 2.0


def test_it_learns_and_two_runs_are_equal(data):
    X, y = data
    first, second = Line(max_iter=200).fit(X, y), Line(max_iter=200).fit(X, y)
    assert (first.predict(X) - y).square().mean() < 1e-3
    assert torch.equal(first.predict(X), second.predict(X))
    assert len(first.loss_curve_) == first.n_iter_ == 200
    assert first.loss_curve_[-1] < 1e-2 * first.loss_curve_[0]


def test_the_recorded_loss_is_the_mean_over_rows(data):
    X, y = data
    line = Line(max_iter=1, learning_rate=1e-12, batch_size=16).fit(X, y)
    assert line.loss_curve_[0] == pytest.approx(
        (line.predict(X) - y).square().mean().item(), rel=1e-4
    )


def test_a_weight_is_a_repeated_row(data):
    X, y = data
    weights = torch.arange(60) % 3 + 1.0
    repeats = weights.long()
    weighted = Line(batch_size=1000).fit(X, y, weights)
    repeated = Line(batch_size=1000).fit(
        X.repeat_interleave(repeats, 0), y.repeat_interleave(repeats, 0)
    )
    torch.testing.assert_close(weighted.predict(X), repeated.predict(X), rtol=1e-4, atol=1e-4)


def test_training_stops_when_nothing_gets_better(data):
    line = Line(max_iter=500, patience=5).fit(*data)
    assert line.n_iter_ < 500


@pytest.mark.parametrize("patience", [10, 30])
def test_the_last_tenth_of_the_epochs_says_whether_a_loss_is_falling(patience):
    line, progress = Line(), Progress(1e-4, patience)
    line.validation_loss_curve_ = []
    line.loss_curve_ = [*np.linspace(10, 1, 44), 1, 1, 1, 1, 1, 1]
    line._warn_if_improving(progress, 50)
    line.loss_curve_ = np.linspace(10, 1, 50).tolist()
    with pytest.warns(ConvergenceWarning, match="50 epochs were run"):
        line._warn_if_improving(progress, 50)


def test_a_loss_still_falling_at_the_end_warns(data):
    with pytest.warns(ConvergenceWarning, match=r"3 epochs were run \(max_iter\)"):
        Line(max_iter=3, patience=5).fit(*data)


def test_the_weights_of_the_best_held_out_epoch_are_kept(data):
    X, y = data
    # The held-out rows want the opposite, so that the first epoch is the best one.
    held_out = X[:20], -10 * y[:20]
    line = Line(max_iter=40, patience=10).fit(X, y, held_out=held_out)
    best = int(np.argmin(line.validation_loss_curve_))
    assert line.n_iter_ == best + 1 + 10
    once = (line.predict(held_out[0]) - held_out[1]).square().mean().item()
    assert once == pytest.approx(line.validation_loss_curve_[best], rel=1e-4)


class Hook:
    """A scikit-learn callback that calls a function at the end of every epoch."""

    def __init__(self, function):
        self.function = function

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return context.task_name == "epoch" and self.function(context.task_id, fitted_estimator)


def test_a_callback_stops_and_sees_the_estimator_as_of_then(data):
    X, y = data
    seen = []

    def watch(epoch, estimator):
        seen.append(estimator)
        return epoch == 2

    line = Line().set_callbacks(Hook(watch)).fit(X, y)
    assert line.n_iter_ == 3
    predictions = [estimator.predict(X) for estimator in seen]
    assert not torch.equal(predictions[0], predictions[1])
    assert torch.equal(predictions[2], line.predict(X))


def test_ctrl_c_keeps_a_working_estimator_and_says_so(data):
    X, y = data

    def interrupt(epoch, _):
        if epoch == 3:
            raise KeyboardInterrupt
        return False

    line = Line().set_callbacks(Hook(interrupt))
    with pytest.raises(KeyboardInterrupt, match="stopped after 4 epochs; the best weights so far"):
        line.fit(X, y)
    assert line.n_iter_ == 4
    assert torch.isfinite(line.predict(X)).all()
    assert not line.net_.module_.training


def test_a_loss_that_explodes_keeps_earlier_weights(data):
    X, y = data
    with pytest.warns(ConvergenceWarning, match=r"the loss became (nan|inf) in epoch"):
        line = Line(learning_rate=1e30, batch_size=1000).fit(X, y)
    assert torch.isfinite(line.predict(X)).all()


def test_a_loss_that_is_never_finite_raises(data):
    X, y = data
    with pytest.raises(ValueError, match=r"loss of the first epoch is (nan|inf); scale the input"):
        Line().fit(X * 1e30, y)


def test_an_error_in_fit_keeps_the_old_fit_and_tears_callbacks_down(data):
    X, y = data
    torn_down = []
    hook = Hook(lambda *_: False)
    hook.teardown = lambda context, **_: torn_down.append(context.task_name)
    line = Line(max_iter=3).set_callbacks(hook).fit(X, y)
    before = line.predict(X)
    with pytest.raises(ValueError, match="loss of the first epoch"):
        line.fit(X * 1e30, y)
    assert torn_down == ["fit", "fit"]
    assert torch.equal(line.predict(X), before)
    assert line.n_iter_ == len(line.loss_curve_) == 3
    assert not hasattr(line, "_callback_fit_ctx")


def test_epochs_are_logged_and_silent_by_default(data, caplog, capsys):
    with caplog.at_level(logging.INFO, logger="sklearn_dbt"):
        Line(max_iter=2).fit(*data)
        assert caplog.records == []
        Line(max_iter=2, verbose=1).fit(*data)
    assert [r.getMessage().split(" loss")[0] for r in caplog.records] == [
        "Line epoch 1",
        "Line epoch 2",
    ]
    assert capsys.readouterr().out == ""


def test_seeds_come_from_the_parameter_alone():
    assert draw_seeds(3, 2) == draw_seeds(3, 2)
    assert draw_seeds(3, 2) != draw_seeds(4, 2)
    assert draw_seeds(None, 2) != draw_seeds(None, 2)
    state = np.random.RandomState(0)
    assert draw_seeds(state, 2) != draw_seeds(state, 2)


def test_isolated_rng_leaves_the_global_generator_as_it_was():
    before = torch.get_rng_state()
    with isolated_rng(1):
        first = torch.rand(3)
    with isolated_rng(1):
        second = torch.rand(3)
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_threads_that_initialise_at_once_do_not_mix_their_numbers():
    def numbers(seed):
        with isolated_rng(seed):
            return [torch.rand(1000).sum().item() for _ in range(100)]

    alone = [numbers(seed) for seed in range(8)]
    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(numbers, range(8))) == alone


def test_batches_cover_every_row_once():
    dataset = TensorDataset(torch.arange(10.0), torch.arange(10.0))
    plain = [inputs for inputs, _ in Batches(dataset, 4)]
    assert [len(batch) for batch in plain] == [4, 4, 2]
    assert torch.equal(torch.cat(plain), torch.arange(10.0))
    generator = seeded_generator(0)
    epochs = [torch.cat([x for x, _ in Batches(dataset, 4, generator)]) for _ in range(2)]
    assert not torch.equal(epochs[0], epochs[1])
    assert all(torch.equal(epoch.sort().values, torch.arange(10.0)) for epoch in epochs)


def test_weighted_loss_matches_its_formula():
    output, target = torch.rand(5, 2), torch.rand(5, 2)
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0, 3.0])
    rows = (output - target).square().mean(1)
    loss = WeightedLoss(nn.functional.mse_loss)(output, (target, weights))
    torch.testing.assert_close(loss, (weights * rows).sum() / 7.0)


def test_weights_of_classes_go_by_label():
    classes, codes = np.array(["a", "b"]), np.array([0, 1, 1, 1])
    assert class_weights_of_rows(None, classes, codes).tolist() == [1, 1, 1, 1]
    assert class_weights_of_rows({"b": 3.0}, classes, codes).tolist() == [1, 3, 3, 3]
    balanced = class_weights_of_rows("balanced", classes, codes)
    assert balanced[0] == pytest.approx(balanced[1:].sum())


def test_held_out_rows_keep_groups_whole_and_classes_present():
    y, groups = np.arange(60) % 3, np.arange(60) // 6
    for options in ({}, {"y": y}, {"groups": groups}, {"y": y, "groups": groups}):
        train, held_out = held_out_split(60, 0.2, 0, **options)
        assert sorted([*train, *held_out]) == list(range(60))
        if "groups" in options:
            assert not set(groups[train]) & set(groups[held_out])
        if "y" in options:
            assert set(y[held_out]) == {0, 1, 2}


@pytest.mark.parametrize(
    "options",
    [{}, {"y": np.array([0, 1, 1])}, {"groups": np.zeros(3)}],
    ids=["rows", "y", "groups"],
)
def test_too_little_to_hold_out_is_refused(options):
    n = 1 if not options else 3
    with pytest.raises(ValueError, match="early_stopping=True cannot hold out"):
        held_out_split(n, 0.1, 0, **options)


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda"}
    with pytest.raises(ValueError, match="device='abacus' is unknown; use 'auto', 'cpu' or 'cuda'"):
        resolve_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch finds no CUDA device"):
            resolve_device("cuda")
