"""The joint between skorch's training steps and a controller of dropout rates."""

from __future__ import annotations

from skorch.callbacks import Callback

from sklearn_dbt.nn.trust_region import DecayController, TrustRegionController


class RateControl(Callback):
    """Let a controller take its step after each of the optimizer's.

    Works with any :class:`skorch.NeuralNet` whose module holds
    :class:`~sklearn_dbt.nn.TransformDropout` layers.

    Parameters
    ----------
    controller : TrustRegionController or DecayController
        Moves the rates of the module's dropout layers.

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

    def __init__(self, controller: TrustRegionController | DecayController):
        self.controller = controller

    def on_train_begin(self, net, X=None, y=None, **kwargs):  # noqa: ARG002
        """Join controller and module again: skorch pickles them apart, as two copies."""
        named = dict(net.module_.named_modules())
        if not hasattr(self, "_names"):
            known = {id(layer) for layer in self.controller.layers}
            self._names = [name for name, module in named.items() if id(module) in known]
        self.controller.layers = [named[name] for name in self._names]
        if getattr(self.controller, "module", None) is not None:
            self.controller.module = net.module_

    def on_batch_end(self, net, batch=None, training=False, **kwargs):  # noqa: ARG002
        """Take the controller's step on the batch that the optimizer has just seen."""
        if not training:
            return
        inputs, target = batch

        def loss():
            return net.get_loss(net.infer(inputs), target, X=inputs, training=True)

        self.controller.step(loss)
