"""Train many small networks at once, as one stack of matrices.

The networks of the study are so small that Python would cost more than arithmetic. All that share
a data set and a number of training rows are therefore trained together: weights are
``(M, in, out)``, a product of matrices is one `torch.baddbmm`, and Adam works element by element,
so that no model feels the others.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from sklearn.model_selection import KFold, StratifiedKFold
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks._study_data import StudySet
from benchmarks._study_peers import Peer, Stage

HIDDEN = 64
BATCH = 32
LEARNING_RATE = 1e-3
#: Weights a stack may hold; with more, its matrices leave the cache and nothing is gained.
STACK_WEIGHTS = 1_000_000


class Stack:
    """M networks with one hidden layer of ReLU on standardised channels.

    Parameters
    ----------
    X : Tensor of shape (n, C, T)
        Recordings; each model is trained on rows of its own.
    y : Tensor of shape (n,)
        Class codes, or numbers.
    rows : Tensor of shape (M, n_train)
        Training rows of each model.
    seeds : sequence of int
        One a model: its first weights, its order of batches and its masks.
    peer : Peer
        The method.
    settings : sequence of dict
        Its settings, one a model.
    n_outputs : int
        Classes, or 1.
    regression : bool
        Whether y holds numbers.
    """

    def __init__(
        self,
        X: Tensor,
        y: Tensor,
        rows: Tensor,
        seeds: Sequence[int],
        peer: Peer,
        settings: Sequence[dict],
        *,
        n_outputs: int,
        regression: bool,
    ):
        self.X, self.rows, self.regression = X, rows, regression
        # Two streams: with the same seed, methods share first weights and batches, whatever masks
        # they draw.
        self._order = [torch.Generator().manual_seed(2 * seed) for seed in seeds]
        masks = [torch.Generator().manual_seed(2 * seed + 1) for seed in seeds]
        picked = X[rows]
        self.mean = picked.mean(dim=(1, 3)).unsqueeze(-1)
        scale = picked.std(dim=(1, 3), correction=0).unsqueeze(-1)
        self.scale = torch.where(scale > 1e-6 * self.mean.abs(), scale, 1.0)
        self.y, self.y_mean, self.y_scale = y, 0.0, 1.0
        if regression:
            self.y_mean = y[rows].mean(1, keepdim=True)
            self.y_scale = y[rows].std(1, correction=0, keepdim=True)
        widths = (X[0].numel(), HIDDEN, n_outputs)
        self.weights, self.biases = [], []
        for fan_in, fan_out in pairwise(widths):
            self.weights.append(self._uniform((fan_in, fan_out), fan_in))
            self.biases.append(self._uniform((1, fan_out), fan_in))
        stage = Stage(X, self.scale, rows.shape[1], HIDDEN, regression, masks)
        self.method = peer.make(settings, stage)

    def _uniform(self, shape: tuple[int, int], fan_in: int) -> Tensor:
        """First values as `torch.nn.Linear` draws them, uniform within ±1/√fan_in."""
        drawn = torch.stack([torch.rand(shape, generator=g) for g in self._order])
        return ((2 * drawn - 1) * fan_in**-0.5).requires_grad_()

    def train(self, epochs: int) -> "Stack":
        """Adam on batches, each model's in an order of its own."""
        parameters = [*self.weights, *self.biases, *self.method.parameters()]
        adam = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
        n = self.rows.shape[1]
        for epoch in range(epochs):
            order = torch.stack([torch.randperm(n, generator=g) for g in self._order])
            shuffled = self.rows.gather(1, order)
            for start in range(0, n, BATCH):
                batch = shuffled[:, start : start + BATCH]
                loss = self._loss(batch, (epoch + start / n) / epochs)
                adam.zero_grad(set_to_none=True)
                (loss + self.method.penalty(self.weights)).backward()
                self.method.before_step(self.weights, LEARNING_RATE)
                adam.step()
        return self

    def _loss(self, batch: Tensor, time: float) -> Tensor:
        """Sum over the models of the mean loss of their batches."""
        x = (self.X[batch] - self.mean[:, None]) / self.scale[:, None]
        x = self.method.on_input(x, batch, time).flatten(2)
        h = torch.baddbmm(self.biases[0], x, self.weights[0]).relu()
        out = torch.baddbmm(self.biases[1], self.method.on_hidden(h, time), self.weights[1])
        y = self.y[batch]
        if self.regression:
            return (out[..., 0] - (y - self.y_mean) / self.y_scale).square().mean(1).sum()
        return cross_entropy(out.flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]

    @torch.inference_mode()
    def outputs(self, model: int, X: Tensor) -> Tensor:
        """Outputs of one model on recordings, in units of the target, without dropout."""
        x = ((X - self.mean[model]) / self.scale[model]).flatten(1)
        h = torch.addmm(self.biases[0][model], x, self.weights[0][model]).relu()
        out = torch.addmm(self.biases[1][model], h, self.weights[1][model])
        if self.regression:
            return out[:, 0] * self.y_scale[model] + self.y_mean[model]
        return out


def judge(out: Tensor, y: Tensor, regression: bool) -> tuple[float, float, float]:
    """Score, loss and RMSE of outputs (logits, or numbers) against targets.

    The score is accuracy or R², the loss cross-entropy or 1 - R²; RMSE is nan for classes.
    """
    if regression:
        error = (out - y).square().mean().item()
        relative = error / y.var(correction=0).item()
        return 1 - relative, relative, error**0.5
    right = (out.argmax(1) == y).double().mean().item()
    return right, cross_entropy(out, y).item(), float("nan")


def inner_folds(data: StudySet, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Three folds of the training rows, stratified by class; the same for all methods.

    The training parts are cut to the shortest of the three, by two rows at most for each class, so
    that all folds of all settings fit into one stack.
    """
    splitter = KFold if data.regression else StratifiedKFold
    folds = splitter(3, shuffle=True, random_state=seed)
    pairs = list(folds.split(data.X_train, data.y_train))
    shortest = min(len(train) for train, _ in pairs)
    rng = np.random.default_rng(seed)
    return [(np.sort(rng.permutation(train)[:shortest]), test) for train, test in pairs]


def fit_and_judge(
    data: StudySet,
    peer: Peer,
    settings: Sequence[dict],
    rows: Sequence[np.ndarray],
    tests: Sequence[np.ndarray | None],
    seeds: Sequence[int],
    epochs: int,
) -> np.ndarray:
    """Train one model per entry, in stacks, and judge each on rows it has not seen.

    Parameters
    ----------
    data : StudySet
        Where all rows come from.
    peer : Peer
        The method.
    settings, rows, tests, seeds : sequences of equal length
        Settings, training rows, rows to judge on (None: the test recordings) and seed of a model.
    epochs : int
        Epochs.

    Returns
    -------
    ndarray of shape (n_models, 3)
        Score, loss and RMSE.
    """
    X, y = torch.from_numpy(data.X_train), torch.from_numpy(data.y_train)
    unseen = torch.from_numpy(data.X_test), torch.from_numpy(data.y_test)
    results = []
    at_once = max(1, STACK_WEIGHTS // (X[0].numel() * HIDDEN))
    for begin in range(0, len(settings), at_once):
        part = slice(begin, begin + at_once)
        stack = Stack(
            X,
            y,
            torch.from_numpy(np.stack(rows[part])),
            seeds[part],
            peer,
            settings[part],
            n_outputs=data.n_outputs,
            regression=data.regression,
        ).train(epochs)
        for model, test in enumerate(tests[part]):
            X_new, y_new = unseen if test is None else (X[test], y[test])
            results.append(judge(stack.outputs(model, X_new), y_new, data.regression))
    return np.array(results)
