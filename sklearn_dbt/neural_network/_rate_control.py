"""The joint between skorch's training steps and a controller of dropout rates."""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.dataset import get_len

from sklearn_dbt.nn.trust_region import DecayController, TrustRegionController


class RateControl(Callback):
    """Let a controller take its step after each of the optimizer's.

    Works with any :class:`skorch.NeuralNet` whose module holds
    :class:`~sklearn_dbt.nn.TransformDropout` layers. What a controller's objective needs of the
    net it is given: the module and the optimizer, and the number of training rows where
    ``n_samples`` was left at None.

    Parameters
    ----------
    controller : TrustRegionController or DecayController
        Moves the rates of the module's dropout layers.
    validation_data : Dataset or tuple of (X, y), default=None
        Held-out rows for the objective "validation", in the form in which the net takes training
        data. They should take no part in anything else, early stopping included.
    validation_batch : int, default=256
        Largest number of held-out rows that an update looks at. Updates take turns with parts of
        equal size, shuffled anew when all have been used.
    n_passes : int, default=1
        Passes, each with its own masks, over which the controller's training loss is averaged.
        Single masks say little about a rate: what a gradient says about "validation" is smaller
        than its spread. More passes cost in proportion, in updates only.
    random_state : int, default=0
        Seed of that shuffle.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetRegressor
    >>> from torch import nn
    >>> from sklearn_dbt.neural_network import RateControl
    >>> from sklearn_dbt.nn import TransformDropout, TrustRegionController
    >>> module = nn.Sequential(TransformDropout(8, seed=0), nn.Linear(8, 1))
    >>> controller = TrustRegionController([module[0]], update_every=2)
    >>> net = NeuralNetRegressor(
    ...     module, max_epochs=5, verbose=0, callbacks=[("rates", RateControl(controller))]
    ... )
    >>> X = np.random.default_rng(0).normal(size=(512, 8)).astype(np.float32)
    >>> net = net.fit(X, X[:, :1])
    >>> controller.n_updates
    5
    """

    def __init__(
        self,
        controller: TrustRegionController | DecayController,
        validation_data=None,
        validation_batch: int = 256,
        n_passes: int = 1,
        random_state: int = 0,
    ):
        self.controller = controller
        self.validation_data = validation_data
        self.validation_batch = validation_batch
        self.n_passes = n_passes
        self.random_state = random_state

    def initialize(self):
        """Check the parameters and begin the shuffle anew; called by ``net.initialize``."""
        for name in ("validation_batch", "n_passes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
        self._shuffler = np.random.RandomState(self.random_state)
        self._parts = []
        self._counts_rows = getattr(self, "_counts_rows", False) or (
            getattr(self.controller, "n_samples", 0) is None
        )
        return self

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002
        """Join controller and module again: skorch pickles them apart, as two copies."""
        named = dict(net.module_.named_modules())
        if not hasattr(self, "_names"):
            known = {id(layer) for layer in self.controller.layers}
            self._names = [name for name, module in named.items() if id(module) in known]
        self.controller.layers = [named[name] for name in self._names]
        looks_ahead = getattr(self.controller, "objective", None) == "validation"
        if looks_ahead or getattr(self.controller, "module", None) is not None:
            self.controller.module = net.module_
        if looks_ahead:
            self.controller.optimizer = net.optimizer_
        self._held_out = self._dataset(net)

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):  # noqa: ARG002
        """Count the training rows for a controller that was not told their number."""
        if self._counts_rows:
            self.controller.n_samples = len(dataset_train)

    def on_batch_end(self, net, batch=None, training=False, **kwargs):  # noqa: ARG002
        """Take the controller's step on the batch that the optimizer has just seen."""
        if not training:
            return
        inputs, target = batch

        def loss():
            passes = [
                net.get_loss(net.infer(inputs), target, X=inputs, training=True)
                for _ in range(self.n_passes)
            ]
            return sum(passes) / self.n_passes

        held_out = getattr(self, "_held_out", None)
        self.controller.step(loss, None if held_out is None else _MeanLoss(net, self._draw))

    def on_train_end(self, net, X=None, y=None, **kwargs):  # noqa: ARG002
        """Forget the rows: they are the caller's, and need not be saved twice."""
        self._held_out = None

    def _dataset(self, net):
        if self.validation_data is None:
            return None
        data = self.validation_data
        dataset = net.get_dataset(*data) if isinstance(data, tuple) else net.get_dataset(data)
        if len(dataset) == 0:
            raise ValueError("validation_data must hold at least 1 row, got none.")
        return dataset

    def _draw(self, net):
        """Batches of the part whose turn it is."""
        n_rows = len(self._held_out)
        if not self._parts or n_rows != self._n_rows:  # a later fit may hold out others
            self._n_rows = n_rows
            n_parts = math.ceil(n_rows / self.validation_batch)
            self._parts = np.array_split(self._shuffler.permutation(n_rows), n_parts)
        part = torch.utils.data.Subset(self._held_out, self._parts.pop())
        return list(net.get_iterator(part, training=False))


class _MeanLoss:
    """Mean loss of held-out rows; they are drawn when it is first asked for, and kept."""

    def __init__(self, net, draw):
        self._net, self._draw, self._batches = net, draw, None

    def __call__(self):
        net = self._net
        if self._batches is None:
            self._batches = self._draw(net)
        sizes = [get_len(inputs) for inputs, _ in self._batches]
        losses = [
            size * net.get_loss(net.infer(inputs), target, X=inputs, training=False)
            for size, (inputs, target) in zip(sizes, self._batches, strict=True)
        ]
        return sum(losses) / sum(sizes)
