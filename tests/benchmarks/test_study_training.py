import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from torch import nn

from benchmarks import _study_training
from benchmarks._study_data import StudySet
from benchmarks._study_peers import PEERS
from benchmarks._study_training import BATCH, HIDDEN, Stack, fit_and_judge, inner_folds, judge


def make_set(regression=False, n=43, n_classes=3):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((n + 20, 2, 16)) * [[3.0], [0.5]] + 1).astype(np.float32)
    y = X[:, 0].mean(1) * 5 if regression else np.arange(n + 20) % n_classes
    if not regression:
        X[:, 0] += 4 * y[:, None]
    n_outputs = 1 if regression else n_classes
    return StudySet("made", X[:n], y[:n], X[n:], y[n:], n_outputs, regression)


def make_stack(data, peer, settings, rows, seeds):
    return Stack(
        torch.from_numpy(data.X_train),
        torch.from_numpy(data.y_train),
        torch.tensor(np.stack(rows)),
        seeds,
        PEERS[peer],
        settings,
        n_outputs=data.n_outputs,
        regression=data.regression,
    )


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("peer", list(PEERS))
def test_a_model_is_trained_in_a_stack_as_alone(peer, regression):
    data = make_set(regression)
    grid = PEERS[peer].grid
    settings = [grid[0], grid[-1], grid[len(grid) // 2]]
    rows, seeds = [np.arange(40), np.arange(2, 42), np.arange(3, 43)], [0, 1, 1]
    stack = make_stack(data, peer, settings, rows, seeds).train(4)
    for i in range(3):
        alone = make_stack(data, peer, settings[i : i + 1], rows[i : i + 1], seeds[i : i + 1])
        first = [w.detach().clone() for w in alone.weights]
        alone.train(4)
        for together, single, start in zip(stack.weights, alone.weights, first, strict=True):
            torch.testing.assert_close(together[i], single[0], atol=2e-5, rtol=1e-4)
            assert (single[0] - start[0]).abs().max() > 1e-3


@pytest.mark.parametrize("regression", [False, True])
def test_a_stack_without_dropout_is_an_ordinary_network(regression):
    data = make_set(regression)
    stack = make_stack(data, "none", [{}], [np.arange(40)], [5])
    x = torch.from_numpy(data.X_train[:40])
    x = ((x - x.mean((0, 2))[:, None]) / x.std((0, 2), correction=0)[:, None]).flatten(1)
    y = torch.from_numpy(data.y_train[:40])
    if regression:
        y = ((y - y.mean()) / y.std(correction=0))[:, None].float()
    net = nn.Sequential(nn.Linear(32, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, data.n_outputs))
    loss = nn.MSELoss() if regression else nn.CrossEntropyLoss()
    with torch.no_grad():
        for linear, weight, bias in zip(net[::2], stack.weights, stack.biases, strict=True):
            linear.weight.copy_(weight[0].T)
            linear.bias.copy_(bias[0, 0])
    generator = torch.Generator()
    generator.set_state(stack._order[0].get_state())
    stack.train(5)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(5):
        for batch in torch.randperm(40, generator=generator).split(BATCH):
            adam.zero_grad()
            loss(net(x[batch]), y[batch]).backward()
            adam.step()
    torch.testing.assert_close(net[0].weight.T, stack.weights[0][0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net[2].bias, stack.biases[1][0, 0], atol=1e-5, rtol=1e-4)


def test_first_weights_are_drawn_as_torch_draws_them():
    stack = make_stack(make_set(), "none", [{}] * 20, [np.arange(40)] * 20, range(20))
    linear = nn.Linear(32, 4000)
    for weight in (stack.weights[0], stack.biases[0]):
        assert abs(weight.std().item() / linear.weight.std().item() - 1) < 0.05
        assert weight.abs().max() <= linear.weight.abs().max() * 1.01


def test_methods_share_weights_and_batches_for_a_seed():
    data, rows = make_set(), [np.arange(40)]
    none = make_stack(data, "none", [{}], rows, [3])
    other = make_stack(data, "dropout", [{"p": 1e-9, "on": "input"}], rows, [3])
    torch.testing.assert_close(none.train(2).weights[0], other.train(2).weights[0])


@pytest.mark.parametrize("regression", [False, True])
def test_chunks_do_not_change_the_figures(regression, monkeypatch):
    data = make_set(regression)
    folds = inner_folds(data)
    rows, tests = zip(*folds, strict=True)
    entries = [{"p": 0.3, "on": "input"}] * 3, rows, tests, [0, 1, 2], 3
    whole = fit_and_judge(data, PEERS["dropout"], *entries)
    monkeypatch.setattr(_study_training, "STACK_WEIGHTS", 1)
    np.testing.assert_allclose(whole, fit_and_judge(data, PEERS["dropout"], *entries), rtol=1e-3)


def test_training_learns_what_is_there():
    data = make_set()
    figures = fit_and_judge(data, PEERS["none"], [{}], [np.arange(43)], [None], [0], 60)
    assert figures[0, 0] > 0.7


def test_judge_against_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(30, 3, generator=generator)
    y = torch.arange(30) % 3
    score, loss, rmse = judge(logits, y, False)
    assert score == pytest.approx(accuracy_score(y, logits.argmax(1)))
    assert loss == pytest.approx(log_loss(y, logits.double().softmax(1)), rel=1e-5)
    assert np.isnan(rmse)
    out, y = torch.randn(2, 30, generator=generator)
    score, loss, rmse = judge(out, y, True)
    assert score == pytest.approx(r2_score(y, out), rel=1e-4)
    assert loss == pytest.approx(1 - score)
    assert rmse == pytest.approx(root_mean_squared_error(y, out), rel=1e-5)


@pytest.mark.parametrize("regression", [False, True])
def test_inner_folds(regression):
    data = make_set(regression)
    folds = inner_folds(data)
    assert len({len(train) for train, _ in folds}) == 1
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(43))
    for train, test in folds:
        assert not set(train) & set(test)
        assert len(train) + len(test) >= 41
        if not regression:
            assert np.ptp(np.bincount(data.y_train[train])) <= 2
