"""How every network here is trained: one skorch net, one seed, one loop over epochs.

The faces compose: ``fit`` builds ``net_``, a :class:`skorch.NeuralNet` around a plain torch module,
and hands it to :meth:`NeuralEstimator._train`. The loop reads as a story: an epoch, its losses, the
callbacks' word, the verdict on progress. Global random states are left as they were.
"""

from __future__ import annotations

import copy
import functools
import logging
import math
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedShuffleSplit,
)
from sklearn.utils.class_weight import compute_sample_weight
from skorch import NeuralNet
from skorch.helper import predefined_split
from torch import Tensor, nn

from sklearn_dbt._base import DBTEstimator
from sklearn_dbt._compat import CallbackSupportMixin, Interval
from sklearn_dbt._persistence import TRANSIENT

logger = logging.getLogger("sklearn_dbt")

TRAINING_CONSTRAINTS = {
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
}

# Share of the whole fall of the loss that the last epochs must have brought to call for more.
STILL_FALLING = 0.05

# A callback may fit another estimator.
_INITIALISATION = threading.RLock()


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device to train on; ``"auto"`` is CUDA where there is one, otherwise the CPU.

    Parameters
    ----------
    device : str or torch.device, default="auto"
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, …

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If torch does not know the name, or this machine has no such device.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is unknown; use 'auto', 'cpu' or 'cuda'.") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}: torch finds no CUDA device; use 'auto' or 'cpu'.")
    return resolved


def draw_seeds(random_state, n_seeds: int) -> list[int]:
    """Draw `n_seeds` seeds from one; None draws from the system, not from numpy's global state.

    Parameters
    ----------
    random_state : int, RandomState or None
        The estimator's parameter.
    n_seeds : int
        How many: initialisation, shuffling, masks, …

    Returns
    -------
    list of int
        In ``[0, 2**31)``.
    """
    if not isinstance(random_state, np.random.RandomState):
        is_seed = isinstance(random_state, Integral)
        random_state = np.random.RandomState(int(random_state) if is_seed else None)
    return random_state.randint(2**31 - 1, size=n_seeds).tolist()


@contextmanager
def isolated_rng(seed: int) -> Iterator[None]:
    """Seed torch's global generators inside the block and put them back afterwards.

    ``fork_rng`` alone is not reproducible when several threads initialise at once, so that blocks
    take turns.

    Parameters
    ----------
    seed : int
        Seed inside the block.
    """
    with _INITIALISATION, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def seeded_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a new generator at `seed`."""
    return torch.Generator(device=device).manual_seed(seed)


class TensorDataset(torch.utils.data.Dataset):
    """Inputs, targets and weights as tensors, indexed by whole batches.

    Parameters
    ----------
    inputs : Tensor of shape (n, ...)
        What the network is given.
    targets : Tensor of shape (n, ...)
        What it should answer.
    weights : Tensor of shape (n,), default=None
        Weight of each row in the loss; None is 1.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None):
        self.inputs, self.targets = inputs, targets
        self.weights = torch.ones(len(inputs), dtype=inputs.dtype) if weights is None else weights

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows):
        return self.inputs[rows], (self.targets[rows], self.weights[rows])


class Batches:
    """Batches of a dataset that is indexed by many rows at once.

    A stand-in for torch's ``DataLoader``, which collates row by row in Python and takes its seeds
    from the global generator.

    Parameters
    ----------
    dataset : Dataset
        Answers ``dataset[rows]`` for a tensor of row numbers.
    batch_size : int
        Rows of a batch; the last one may have fewer.
    generator : torch.Generator, default=None
        Shuffles; None keeps the order.
    """

    def __init__(self, dataset, batch_size: int, generator: torch.Generator | None = None):
        self.dataset, self.batch_size, self.generator = dataset, batch_size, generator

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self):
        n = len(self.dataset)
        order = torch.arange(n) if self.generator is None else self._permutation(n)
        for rows in order.split(self.batch_size):
            yield self.dataset[rows]

    def _permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator)


class WeightedLoss(nn.Module):
    r"""Weighted mean of a loss over the rows, :math:`\sum_i w_i \ell_i / \sum_i w_i`.

    Parameters
    ----------
    loss : callable
        ``loss(output, target, reduction="none")`` as in :mod:`torch.nn.functional`; what it
        returns is averaged over all axes but the first.
    """

    def __init__(self, loss: Callable[..., Tensor]):
        super().__init__()
        self.loss = loss

    def forward(self, output: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        wanted, weights = target
        rows = self.loss(output, wanted, reduction="none")
        rows = rows.flatten(1).mean(1) if rows.ndim > 1 else rows
        return (weights * rows).sum() / weights.sum()


def class_weights_of_rows(class_weight, classes: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Weight of each row by its class.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        The parameter of a classifier; a dict has labels as keys, those it lacks weigh 1.
    classes : ndarray of shape (n_classes,)
        The labels.
    codes : ndarray of int of shape (n_rows,)
        Number of each row's label.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    if isinstance(class_weight, dict):
        class_weight = {code: class_weight.get(label, 1.0) for code, label in enumerate(classes)}
    return compute_sample_weight(class_weight, codes)


def held_out_split(n_rows, fraction, seed, *, y=None, groups=None, what="early_stopping=True"):
    """Split row numbers to hold some out; groups stay whole and classes keep their shares.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    fraction : float
        Share to hold out; with classes and groups the nearest 1/k.
    seed : int
        Seed of the shuffle.
    y : array-like of shape (n_rows,), default=None
        Classes to stratify by; None for a regression.
    groups : array-like of shape (n_rows,), default=None
        Group of each row.
    what : str, default="early_stopping=True"
        What holds rows out, for the error.

    Returns
    -------
    train, held_out : ndarray of int

    Raises
    ------
    ValueError
        If there are too few rows, groups or members of a class to leave something on both sides.
    """
    rows = np.arange(n_rows)
    if y is not None and groups is not None:
        splitter = StratifiedGroupKFold(
            max(2, round(1 / fraction)), shuffle=True, random_state=seed
        )
    elif groups is not None:
        splitter = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
    elif y is not None:
        size = max(math.ceil(fraction * n_rows), len(np.unique(y)))
        splitter = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
    else:
        splitter = ShuffleSplit(1, test_size=fraction, random_state=seed)
    try:
        return next(splitter.split(rows, y, groups))
    except ValueError as error:
        raise ValueError(
            f"{what} cannot hold out validation_fraction={fraction} of {n_rows} rows: "
            f"{error} Give more rows or another fraction, or do without it."
        ) from error


def make_net(
    module: nn.Module,
    criterion: nn.Module,
    *,
    learning_rate: float,
    batch_size: int,
    seed: int,
    device: torch.device,
    weight_decay: float = 0.0,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    callbacks=(),
    batches: Callable[..., Iterable] = Batches,
    param_groups: Sequence[tuple[str, dict]] = (),
) -> NeuralNet:
    """Wrap a module in an initialised skorch net that trains from :class:`Batches`.

    Parameters
    ----------
    module : nn.Module
        The network, already initialised (see :func:`isolated_rng`).
    criterion : nn.Module
        Loss of ``(output, (target, weights))``.
    learning_rate, weight_decay : float
        Of the optimizer.
    batch_size : int
        Rows of a batch.
    seed : int
        Seed of the shuffle.
    device : torch.device
        Where it trains.
    optimizer : callable, default=torch.optim.Adam
        Class of the optimizer, or one with some of its arguments filled in.
    callbacks : sequence of (str, skorch.callbacks.Callback), default=()
        Called during training.
    batches : callable, default=Batches
        ``batches(dataset, batch_size=..., generator=...)`` gives the batches of an epoch.
    param_groups : sequence of (str, dict), default=()
        Patterns of names of parameters, and options of the optimizer for them.

    Returns
    -------
    skorch.NeuralNet
        Initialised; its ``module_`` is `module`.
    """
    net = NeuralNet(
        module,
        criterion,
        optimizer=optimizer,
        lr=learning_rate,
        optimizer__weight_decay=weight_decay,
        batch_size=batch_size,
        optimizer__param_groups=list(param_groups),
        iterator_train=batches,
        iterator_train__generator=seeded_generator(seed),
        iterator_valid=Batches,
        train_split=None,
        callbacks=list(callbacks),
        device=str(device),
        verbose=0,
    )
    # skorch's default callbacks score and print what this loop says itself.
    net.get_default_callbacks = _no_callbacks
    return net.initialize()


def _no_callbacks() -> list:
    return []


class Progress:
    """Judge the epochs: which was the best, and when nothing got better for too long.

    Parameters
    ----------
    tol : float
        What counts as better: a fall of more than ``tol * max(1, |best|)``.
    patience : int
        Epochs without one after which training stops.
    """

    def __init__(self, tol: float, patience: int):
        self.tol, self.patience = tol, patience
        self.best_loss, self.n_stale = math.inf, 0

    def improved(self, loss: float) -> bool:
        """Take the loss of an epoch; return whether it is better than all before."""
        scale = max(1.0, abs(self.best_loss)) if math.isfinite(self.best_loss) else 0.0
        better = loss < self.best_loss - self.tol * scale
        self.best_loss, self.n_stale = (loss, 0) if better else (self.best_loss, self.n_stale + 1)
        return better

    @property
    def is_stale(self) -> bool:
        return self.n_stale >= self.patience


def keeps_old_fit(method):
    """Let a training method that raises an error leave the estimator as it found it.

    Ctrl-C is no error: what was learnt until then is kept.

    Parameters
    ----------
    method : callable
        ``fit`` or ``partial_fit``; stands inside ``with_callbacks``.

    Returns
    -------
    callable
    """

    @functools.wraps(method)
    def guarded(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except Exception:
            # The callbacks of this call are still to be torn down.
            running = {name: value for name, value in vars(self).items() if name in TRANSIENT}
            vars(self).clear()
            vars(self).update(before | running)
            raise

    return guarded


class NeuralEstimator(CallbackSupportMixin, DBTEstimator):
    """Base of the estimators that train ``net_``.

    A subclass has the parameters of ``TRAINING_CONSTRAINTS`` that it uses, sets ``net_`` in `fit`
    through :func:`make_net` on ``device_``, calls :meth:`_train` from a method under
    ``with_callbacks``, and implements ``_build_net`` so that a saved estimator can be read.
    """

    device_: str
    _network_attributes = ("net_",)
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    n_iter_: int

    def _build_net(self) -> NeuralNet:
        """Build ``net_`` anew from parameters and fitted attributes; weights are loaded after."""
        raise NotImplementedError

    def _network_tensors(self) -> dict[str, np.ndarray]:
        state = self.net_.module_.state_dict()
        return {k: v.detach().cpu().numpy() for k, v in state.items() if isinstance(v, Tensor)}

    def _restore_networks(self, tensors: dict[str, np.ndarray]) -> None:
        if torch.device(self.device_).type == "cuda" and not torch.cuda.is_available():
            self.device_ = "cpu"
        self.net_ = self._build_net()
        state = self.net_.module_.state_dict()
        state |= {k: torch.from_numpy(np.array(v)) for k, v in tensors.items()}
        self.net_.module_.load_state_dict(state)
        self.net_.module_.eval()

    def _start_curves(self, *, resume: bool) -> None:
        # New lists, so that a fit that fails does not lengthen those of the one before.
        self.loss_curve_ = [*self.loss_curve_] if resume else []
        self.validation_loss_curve_ = [*self.validation_loss_curve_] if resume else []
        if not resume:
            self.n_iter_ = 0

    def _train(self, train, held_out=None, *, X=None, y=None, max_iter=None, progress=None) -> None:
        """Train ``net_`` for `max_iter` epochs, or until progress or a callback says stop.

        Parameters
        ----------
        train, held_out : Dataset
            With `held_out` its loss is watched and the weights of its best epoch are kept; without,
            the training loss is watched and the last weights are kept.
        X, y : array-like
            Handed to the callbacks.
        max_iter : int, default=None
            Epochs of this call; None is the parameter.
        progress : Progress, default=None
            None runs all epochs.

        Raises
        ------
        ValueError
            If the loss of the first epoch is not finite; the weights are as before then.
        KeyboardInterrupt
            On Ctrl-C, after the best weights have been put back; the estimator can predict.
        """
        net, max_iter = self.net_, self.max_iter if max_iter is None else max_iter
        net.set_params(train_split=None if held_out is None else predefined_split(held_out))
        root = self._init_callback_context(max_subtasks=max_iter)
        root.call_on_fit_task_begin(estimator=self, X=X, y=y)
        start, best = _snapshot(net.module_), None
        optimizer_start = copy.deepcopy(net.optimizer_.state_dict())
        net.notify("on_train_begin", X=train, y=None)
        try:
            for _ in range(max_iter):
                context = root.subcontext(task_name="epoch")
                context.call_on_fit_task_begin(estimator=self, X=X, y=y)
                net.fit_loop(train, epochs=1)
                loss = self._record_epoch(held_out is not None)
                if not math.isfinite(loss):
                    self._give_up(start, best)
                    break
                if progress is None or progress.improved(loss) or best is None:
                    best = _snapshot(net.module_)
                stopped = context.call_on_fit_task_end(
                    estimator=self, X=X, y=y, reconstruction_attributes=self._fitted_now
                )
                if stopped or (progress is not None and progress.is_stale):
                    break
            else:
                self._warn_if_improving(progress, max_iter)
        except Exception:
            net.module_.load_state_dict(start)
            net.optimizer_.load_state_dict(optimizer_start)
            raise
        except KeyboardInterrupt:
            if best is not None:
                net.module_.load_state_dict(best)
            raise KeyboardInterrupt(
                f"{type(self).__name__} was stopped after {self.n_iter_} epochs; the best weights "
                "so far are kept and it can predict."
            ) from None
        finally:
            net.notify("on_train_end", X=train, y=None)
            net.module_.eval()
        if held_out is not None:
            net.module_.load_state_dict(best)
        root.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._fitted_now
        )

    def _record_epoch(self, with_held_out: bool) -> float:
        """Append the epoch's mean losses to the curves; return the one that is watched."""
        batches = self.net_.history[-1]["batches"]
        self.loss_curve_.append(_mean_loss(batches, "train"))
        self.n_iter_ += 1
        if with_held_out:
            self.validation_loss_curve_.append(_mean_loss(batches, "valid"))
        # The history of batches would grow without bound over long trainings.
        self.net_.history[-1]["batches"] = batches[-1:]
        watched = (self.validation_loss_curve_ if with_held_out else self.loss_curve_)[-1]
        level = logging.INFO if self.verbose else logging.DEBUG
        logger.log(level, "%s epoch %d loss %.6g", type(self).__name__, self.n_iter_, watched)
        return watched

    def _fitted_now(self) -> dict:
        """Attributes of a copy that predicts as if training had stopped here."""
        net = copy.copy(self.net_)
        net.module_ = copy.deepcopy(self.net_.module_).eval()
        return {"net_": net}

    def _give_up(self, start, best) -> None:
        self.net_.module_.load_state_dict(start if best is None else best)
        if best is None:
            raise ValueError(
                f"{type(self).__name__}: the loss of the first epoch is {self.loss_curve_[-1]}; "
                "scale the input or lower learning_rate."
            )
        warnings.warn(
            f"{type(self).__name__}: the loss became {self.loss_curve_[-1]} in epoch "
            f"{self.n_iter_}; earlier weights are kept. Lower learning_rate.",
            ConvergenceWarning,
            stacklevel=7,
        )

    def _warn_if_improving(self, progress: Progress | None, max_iter: int) -> None:
        """Warn when the last tenth of the epochs still brought a good part of the whole fall."""
        if progress is None:
            return
        curve = self.validation_loss_curve_ or self.loss_curve_
        n_recent = min(progress.patience, max(1, max_iter // 10))
        recent = curve[-1 - n_recent] - curve[-1] if len(curve) > n_recent else 1
        if recent <= max(progress.tol, STILL_FALLING * (curve[0] - min(curve))):
            return
        warnings.warn(
            f"{type(self).__name__}: {max_iter} epochs were run (max_iter) and the loss was still "
            "falling. Raise max_iter, or tol if this is near enough.",
            ConvergenceWarning,
            stacklevel=7,
        )


def _snapshot(module: torch.nn.Module) -> dict[str, Any]:
    """What `load_state_dict` needs to come back here, in a tenth of a deepcopy's time."""
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)
        for name, value in module.state_dict().items()
    }


def _mean_loss(batches: list[dict], prefix: str) -> float:
    losses = [batch[f"{prefix}_loss"] for batch in batches if f"{prefix}_loss" in batch]
    sizes = [batch[f"{prefix}_batch_size"] for batch in batches if f"{prefix}_loss" in batch]
    return float(np.average(losses, weights=sizes))
