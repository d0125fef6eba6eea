"""What the dropout regressor and classifier share: everything but targets and outputs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from skorch import NeuralNet
from torch import Tensor, nn

from sklearn_dbt._base import Panel, check_panel
from sklearn_dbt._compat import (
    Interval,
    StrOptions,
    check_is_fitted,
    check_sample_weight,
    fit_context,
    with_callbacks,
)
from sklearn_dbt._training import (
    TRAINING_CONSTRAINTS,
    NeuralEstimator,
    Progress,
    TensorDataset,
    WeightedLoss,
    draw_seeds,
    held_out_split,
    isolated_rng,
    keeps_old_fit,
    make_net,
    resolve_device,
)
from sklearn_dbt.neural_network._network import (
    ACTIVATIONS,
    DropoutNetwork,
    channel_moments,
    convolutional_network,
    given_backbone,
    multilayer_perceptron,
)
from sklearn_dbt.neural_network._rate_control import RateControl
from sklearn_dbt.nn.basis import BASES, PCA, Basis, make_basis
from sklearn_dbt.nn.dropout import MASK_SHARINGS, POLICIES, Policy, TransformDropout
from sklearn_dbt.nn.trust_region import OBJECTIVES, DecayController, TrustRegionController

CONTROLLERS = {"trust_region": TrustRegionController, "decay": DecayController}
# Rows that go through the network at once outside training.
ROWS_AT_ONCE = 1024
# What a net is built from; a fit that continues cannot change it.
NETWORK_PARAMETERS = (
    "basis",
    "basis_options",
    "policy",
    "mask_sharing",
    "controller",
    "objective",
    "controller_options",
    "dropout_rate",
    "dropout_on",
    "backbone",
    "hidden_layer_sizes",
    "kernel_size",
    "activation",
    "locks",
    "sampling_rate",
)
# The divergence of the variational objective is infinite at rate 0.
LEAST_VARIATIONAL_RATE = 1e-3
# How many updates of the rates a whole fit makes when update_every="auto".
UPDATES_PER_FIT = 12
# The furthest that an update moves the rates, root mean square: at most a quarter in a whole fit.
# Rates that go to zero within a fit leave its second half to overfit.
FURTHEST_MOVE = 0.02
# Masks over which the loss one step ahead is averaged: one alone says little about the rates.
PASSES = 8
# How many batches the running statistics look at for an update, and what a step forgets.
LOOKS_PER_UPDATE = 4
FORGETTING = 0.99

PARAMETERS = """
    Parameters
    ----------
    basis : str or Basis, default="fourier"
        Where coefficients are dropped: a name of ``sklearn_dbt.nn.BASES``, or a
        :class:`~sklearn_dbt.nn.Basis`, which must fit the width of the one layer it is used on.
    basis_options : dict, default=None
        Keyword arguments of a basis given by name, such as ``{"wavelet": "sym4"}``.
    policy : "auto", str or Policy, default="auto"
        How a coefficient's energy and place decide its rate: a name of
        ``sklearn_dbt.nn.dropout.POLICIES``, or a :class:`~sklearn_dbt.nn.Policy`. "auto" is
        ``"frequency"``, which drops high frequencies more, where there is a time axis and the basis
        has frequencies, and ``"energy"``, which drops weak coefficients more, elsewhere.
    mask_sharing : {"octave", "none"}, default="octave"
        Coefficients of a channel that are kept or dropped together: those of an octave of
        frequency (a scale of a wavelet transform), or none. Whole bands that are missing now and
        then teach the network not to lean on any of them. In a hidden layer without a time axis
        nothing is shared.
    controller : {"trust_region", "decay", "fixed"}, default="trust_region"
        What moves the rates: a trust region on the objective, a decay to zero in clipped steps, or
        nothing.
    objective : {"train", "validation", "variational"}, default="train"
        What the trust region lowers: the training loss, which leads the rates to zero under
        control; the loss of held-out rows, one step of the optimizer ahead; or a variational bound,
        for policies that do not depend on the sample.
    controller_options : dict, default=None
        Keyword arguments of :class:`~sklearn_dbt.nn.TrustRegionController` or
        :class:`~sklearn_dbt.nn.DecayController`, such as ``{"radius": 0.01}``. The trust region's
        ``radius_max`` is 0.02 here, unless a ``radius`` is given.
    dropout_rate : float, default=0.7
        Mean rate at the start, in [0, 0.95).
    dropout_on : {"input", "hidden", "both"}, default="input"
        Drop coefficients of each channel along time, of each hidden layer, or both. In a hidden
        layer coefficients are taken along its units, with ``backbone="conv"`` along time.
    backbone : {"mlp", "conv"}, torch.nn.Module or callable, default="mlp"
        Fully connected layers; convolutions along time and their mean over time, which do not mind
        where a pattern stands; a module that maps (n, n_channels, n_times) to (n, n_outputs), which
        is copied, with its weights; or ``backbone(n_channels, n_times, n_outputs)`` that makes one.
        Where hidden dropout is asked for, it takes the place of a module's own
        :class:`torch.nn.Dropout` layers.
    hidden_layer_sizes : tuple of int, default=(64,)
        Width of each hidden layer, or number of filters of each convolution; with ``"mlp"``, ``()``
        is a linear model. A given module does not use it.
    kernel_size : int, default=9
        Length of the convolutions in samples.
    activation : {"relu", "tanh", "gelu"}, default="relu"
        Between the layers.
    learning_rate : float, default=1e-3
        Of the Adam optimizer.
    weight_decay : float, default=0.0
        Ridge penalty on the weights, as the optimizer applies it.
    batch_size : int, default=32
        Recordings in a step.
    max_iter : int, default=100
        Epochs. With `early_stopping` they may be fewer, and a warning says when the held-out loss
        was still falling at the end.
    tol : float, default=1e-4
        With `early_stopping`, a fall of the held-out loss by less than ``tol * max(1, loss)`` is
        none.
    n_iter_no_change : int, default=20
        With `early_stopping`, epochs without a fall after which training stops.
    early_stopping : bool, default=False
        Hold out rows, watch their loss and keep the best epoch's weights. Otherwise all epochs are
        run: masks make the training loss too noisy to stop by, and rates are moved on a schedule.
    validation_fraction : float, default=0.1
        Share held out, for early stopping and again for ``objective="validation"``; classes keep
        their shares, and groups stay whole when `fit` gets them.
    update_every : "auto" or int, default="auto"
        Optimizer steps between two updates of the rates; "auto" makes about 12 updates in
        `max_iter` epochs.
    warm_up : float, default=0.1
        Share of `max_iter` in which rates stand still while energies are gathered, in [0, 1).
    locks : list of (float, float) or CoefficientSet, default=None
        What is never dropped from the input: frequency bands (low, high) in the unit of
        `sampling_rate`, or sets such as ``Scales([5, 6])``.
    sampling_rate : float, default=1.0
        Samples per second; makes frequencies Hz. At 1.0 they are cycles per sample.
    random_state : int, RandomState or None, default=None
        One seed for initialisation, shuffling, masks and the held-out rows.
    device : str or torch.device, default="auto"
        Where to train; "auto" is CUDA where there is one.
    warm_start : bool, default=False
        Continue from the last fit: weights, optimizer, rates and controller.
    verbose : int, default=0
        Log epochs at level INFO of the logger ``sklearn_dbt``, instead of DEBUG.
"""

ATTRIBUTES = """
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    drop_rates_ : ndarray of shape (n_rates,)
        Rate of each coefficient at the end, layer after layer from the input on.
    drop_rate_curve_ : list of ndarray of shape (n_rates,)
        The rates at the end of each epoch.
    trust_region_history_ : dict of ndarray
        One entry an update: ``step``, ``radius`` (before the decision), ``step_norm`` (distance
        moved, 0 when rejected), ``rho``, ``accepted``, ``loss``, ``mean_rate`` and more; equally
        long. An empty dict when the controller is "fixed".
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_loss_curve_ : list of float
        Held-out loss of each epoch; empty without `early_stopping`.
    n_iter_ : int
        Epochs run.
    device_ : str
        Where it was trained.
    n_features_in_ : int
        Channels of a panel, columns of a table.
    feature_names_in_ : ndarray of str
        Names of columns, when `X` had any. Only for tables.
"""


def _policy(policy: str | Policy, basis: Basis, has_times: bool) -> str | Policy:
    """The policy for a layer, where "auto" leaves it open."""
    if policy != "auto":
        return policy
    has_frequencies = has_times and not basis.layout.frequency.isnan().any()
    return "frequency" if has_frequencies else "energy"


class BaseTrustRegionDropout(NeuralEstimator, ABC):
    """What regressor and classifier share: everything but targets and outputs."""

    drop_rate_curve_: list[np.ndarray]

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        "basis": [StrOptions(set(BASES)), Basis],
        "basis_options": [dict, None],
        "policy": [StrOptions({"auto", *POLICIES}), Policy],
        "mask_sharing": [StrOptions(set(MASK_SHARINGS))],
        "controller": [StrOptions({*CONTROLLERS, "fixed"})],
        "objective": [StrOptions(set(OBJECTIVES))],
        "controller_options": [dict, None],
        "dropout_rate": [Interval(Real, 0, 0.95, closed="left")],
        "dropout_on": [StrOptions({"input", "hidden", "both"})],
        "backbone": [StrOptions({"mlp", "conv"}), nn.Module, callable],
        "hidden_layer_sizes": ["array-like"],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "update_every": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "warm_up": [Interval(Real, 0, 1, closed="left")],
        "locks": [list, tuple, None],
        "sampling_rate": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        basis="fourier",
        *,
        basis_options=None,
        policy="auto",
        mask_sharing="octave",
        controller="trust_region",
        objective="train",
        controller_options=None,
        dropout_rate=0.7,
        dropout_on="input",
        backbone="mlp",
        hidden_layer_sizes=(64,),
        kernel_size=9,
        activation="relu",
        learning_rate=1e-3,
        weight_decay=0.0,
        batch_size=32,
        max_iter=100,
        tol=1e-4,
        n_iter_no_change=20,
        early_stopping=False,
        validation_fraction=0.1,
        update_every="auto",
        warm_up=0.1,
        locks=None,
        sampling_rate=1.0,
        random_state=None,
        device="auto",
        warm_start=False,
        verbose=0,
    ):
        self.basis = basis
        self.basis_options = basis_options
        self.policy = policy
        self.mask_sharing = mask_sharing
        self.controller = controller
        self.objective = objective
        self.controller_options = controller_options
        self.dropout_rate = dropout_rate
        self.dropout_on = dropout_on
        self.backbone = backbone
        self.hidden_layer_sizes = hidden_layer_sizes
        self.kernel_size = kernel_size
        self.activation = activation
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.update_every = update_every
        self.warm_up = warm_up
        self.locks = locks
        self.sampling_rate = sampling_rate
        self.random_state = random_state
        self.device = device
        self.warm_start = warm_start
        self.verbose = verbose

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    @keeps_old_fit
    def fit(self, X, y, sample_weight=None, groups=None):
        """Train the network and let the controller move its rates.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times)
            Recordings; a table is a panel of one channel. The network computes in the precision
            of `X`; float32 is the faster one.
        y : array-like of shape (n,) or (n, n_outputs)
            Targets.
        sample_weight : array-like of shape (n,), default=None
            Weight of each recording in the loss. Weight 0 leaves a recording out.
        groups : array-like of shape (n,), default=None
            Groups that are held out whole, by `early_stopping` and ``objective="validation"``.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            For bad parameters or data; nothing is trained then.
        """
        resume = self.warm_start and hasattr(self, "net_")
        data = self._prepare(X, y, sample_weight, groups, resume=resume)
        # Masks make the training loss too noisy to judge by, and the schedule counts on all epochs.
        progress = Progress(self.tol, self.n_iter_no_change) if self.early_stopping else None
        return self._run(data, X, y, self.max_iter, progress, resume=resume)

    @with_callbacks
    @keeps_old_fit
    def _fit_one_epoch(self, X, y, sample_weight, *, resume, classes=None):
        data = self._prepare(
            X, y, sample_weight, None, resume=resume, stops_early=False, classes=classes
        )
        return self._run(data, X, y, 1, None, resume=resume)

    def _prepare(self, X, y, sample_weight, groups, *, resume, stops_early=True, classes=None):
        """Check everything and return the rows, by what they are for."""
        self._check_layers()
        panel, y = check_panel(self, X, y, reset=not resume, **self._y_options)
        weights = check_sample_weight(
            sample_weight, panel.data, dtype=panel.dtype, ensure_non_negative=True
        )
        y = self._encode_target(y, resume, classes)
        weights = (weights * self._class_weights(y)).astype(panel.dtype, copy=False)
        kept = np.flatnonzero(weights)
        if groups is not None and len(groups) != panel.n_recordings:
            raise ValueError(
                f"{type(self).__name__}: groups has {len(groups)} entries and X "
                f"{panel.n_recordings} recordings."
            )
        self.device_ = str(resolve_device(self.device))
        seeds = draw_seeds(self.random_state, 5)
        rows = {"train": kept}
        if stops_early and self.early_stopping:
            rows |= self._held_out("stopping", rows["train"], y, groups, seeds[3])
        if self.controller == "trust_region" and self.objective == "validation":
            rows |= self._held_out("rates", rows["train"], y, groups, seeds[4])
        if resume:
            self._check_resumable(panel)
            self._adopt_parameters()
        else:
            self._n_times_in = panel.n_times
            self._network_options = {name: getattr(self, name) for name in NETWORK_PARAMETERS}
            self._start_net(panel, y, weights, rows["train"], seeds)
        return {name: self._dataset(panel, y, weights, chosen) for name, chosen in rows.items()}

    def _held_out(self, name: str, rows: np.ndarray, y, groups, seed: int) -> dict:
        """Split rows in those that are held out, under a name, and those left to train on."""
        train, held_out = held_out_split(
            len(rows),
            self.validation_fraction,
            seed,
            y=y[rows] if isinstance(self, ClassifierMixin) else None,
            groups=None if groups is None else np.asarray(groups)[rows],
            what="early_stopping=True" if name == "stopping" else "objective='validation'",
        )
        return {"train": rows[train], name: rows[held_out]}

    def _start_net(self, panel, y, weights, rows, seeds) -> None:
        x, w = torch.from_numpy(panel.data[rows]), torch.from_numpy(weights[rows])
        self._moments = [moment.numpy() for moment in channel_moments(x, w)]
        self._scale_target(y[rows], weights[rows])
        self._seeds = seeds[:3]
        self._n_train = len(rows)
        self.net_ = self._build_net()
        self.net_.module_.observe_input(x.split(ROWS_AT_ONCE))

    def _adopt_parameters(self) -> None:
        """Give the net what may have been set anew since it was built."""
        self.net_.batch_size = self.batch_size
        for group in self.net_.optimizer_.param_groups:
            group["lr"], group["weight_decay"] = self.learning_rate, self.weight_decay

    def _build_net(self) -> NeuralNet:
        init_seed, shuffle_seed, mask_seed = self._seeds
        mean, scale = (torch.from_numpy(moment) for moment in self._moments)
        with isolated_rng(init_seed):
            module = self._build_module(mean, scale, mask_seed)
        module.to(self.device_)
        return make_net(
            module,
            WeightedLoss(self._loss),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            seed=shuffle_seed,
            device=torch.device(self.device_),
            callbacks=self._rate_control(module),
        )

    def _build_module(self, mean: Tensor, scale: Tensor, seed: int) -> DropoutNetwork:
        options = self._network_options
        make_dropout = self._dropout_maker(seed)
        on_input = options["dropout_on"] != "hidden"
        hidden = None if options["dropout_on"] == "input" else make_dropout
        shape = (len(mean), self._n_times_in, self._n_outputs)
        layers = {
            "hidden_layer_sizes": [int(size) for size in options["hidden_layer_sizes"]],
            "activation": options["activation"],
            "make_dropout": hidden,
        }
        input_dropout = make_dropout(self._n_times_in, is_input=True) if on_input else None
        backbone: nn.Module
        if options["backbone"] == "mlp":
            backbone = multilayer_perceptron(*shape, **layers)
        elif options["backbone"] == "conv":
            backbone = convolutional_network(*shape, kernel_size=options["kernel_size"], **layers)
        else:
            backbone = given_backbone(options["backbone"], *shape, make_dropout=hidden)
        return DropoutNetwork(mean, scale, input_dropout, backbone)

    def _dropout_maker(self, seed: int):
        options = self._network_options
        by_kl = options["controller"] == "trust_region" and options["objective"] == "variational"
        p_min = LEAST_VARIATIONAL_RATE if by_kl else 0.0
        momentum = FORGETTING ** self._schedule()["observe_every"]

        def make(n_features: int, *, is_input: bool = False) -> TransformDropout:
            nonlocal seed
            seed += 1
            has_times = is_input or options["backbone"] == "conv"
            basis = make_basis(options["basis"], n_features, **options["basis_options"] or {})
            return TransformDropout(
                n_features,
                basis=basis,
                policy=_policy(options["policy"], basis, has_times),
                mask_sharing=options["mask_sharing"] if has_times else "none",
                p=max(options["dropout_rate"], p_min),
                p_min=p_min,
                locks=options["locks"] or () if is_input else (),
                sampling_rate=options["sampling_rate"] if is_input else None,
                momentum=momentum,
                seed=seed,
            )

        return make

    def _rate_control(self, module: DropoutNetwork) -> list:
        kind = self._network_options["controller"]
        if kind == "fixed":
            return []
        options: dict[str, Any] = {**self._schedule()}
        if kind == "trust_region":
            objective = self._network_options["objective"]
            options |= {"module": module, "objective": objective}
            if objective == "variational":
                n_outputs = self._n_outputs if self._likelihood == "gaussian" else 1
                options["likelihood"] = self._likelihood
                options["n_samples"] = self._n_train * n_outputs
        given = self._network_options["controller_options"] or {}
        if kind == "trust_region" and "radius" not in given:
            options["radius_max"] = FURTHEST_MOVE
        options |= given
        controller = CONTROLLERS[kind](module.dropouts, **options)
        n_passes = PASSES if options.get("objective") == "validation" else 1
        return [("rate_control", RateControl(controller, n_passes=n_passes))]

    def _schedule(self) -> dict[str, int]:
        """When rates are moved and statistics look at a batch, in optimizer steps."""
        steps = math.ceil(self._n_train / self.batch_size) * self.max_iter
        warm_up = math.ceil(self.warm_up * steps)
        every = self.update_every
        if every == "auto":
            every = max(1, (steps - warm_up) // UPDATES_PER_FIT)
        return {
            "update_every": int(every),
            "observe_every": max(1, int(every) // LOOKS_PER_UPDATE),
            "warmup_steps": warm_up,
        }

    def _run(self, data, X, y, max_iter, progress, *, resume):
        self._start_curves(resume=resume)
        control = dict(self.net_.callbacks).get("rate_control")
        if control is not None:
            control.validation_data = data.get("rates")
        try:
            self._train(
                data["train"], data.get("stopping"), X=X, y=y, max_iter=max_iter, progress=progress
            )
        finally:
            if control is not None:
                control.validation_data = None  # not to be saved with the estimator
            self._record_rates()
        return self

    def _start_curves(self, *, resume: bool) -> None:
        super()._start_curves(resume=resume)
        self.drop_rate_curve_ = [*self.drop_rate_curve_] if resume else []

    def _record_epoch(self, with_held_out: bool) -> float:
        self.drop_rate_curve_.append(self._rates())
        return super()._record_epoch(with_held_out)

    def _rates(self) -> np.ndarray:
        rates = [layer.rates.detach().flatten() for layer in self.net_.module_.dropouts]
        return torch.cat(rates).cpu().numpy() if rates else np.array([])

    def _record_rates(self) -> None:
        self.drop_rates_ = self._rates()
        history: dict[str, list] = {}
        for _, callback in self.net_.callbacks:
            history |= callback.controller.history
        self.trust_region_history_ = {name: np.array(column) for name, column in history.items()}

    def _dataset(self, panel: Panel, y: np.ndarray, weights: np.ndarray, rows) -> TensorDataset:
        device = torch.device(self.device_)
        target = self._network_target(y[rows], panel.dtype)
        return TensorDataset(
            torch.tensor(panel.data[rows], device=device),
            target.to(device),
            torch.tensor(weights[rows], device=device),
        )

    def _outputs(self, X) -> np.ndarray:
        """Outputs of the network, shape (n, n_outputs)."""
        check_is_fitted(self, "net_")
        panel = check_panel(self, X, reset=False)
        self._check_length(panel)
        module, dtype = self.net_.module_, self.net_.module_.mean.dtype
        with torch.inference_mode():
            outputs = [
                module(torch.tensor(rows, dtype=dtype, device=module.mean.device)).cpu().numpy()
                for rows in np.split(
                    panel.data, range(ROWS_AT_ONCE, panel.n_recordings, ROWS_AT_ONCE)
                )
            ]
        return np.concatenate(outputs)

    def _check_length(self, panel: Panel) -> None:
        if panel.n_times != self._n_times_in:
            raise ValueError(
                f"{type(self).__name__}: X has {panel.n_times} time points, but "
                f"{self._n_times_in} were seen in fit."
            )

    def _check_resumable(self, panel: Panel) -> None:
        self._check_length(panel)
        changed = [
            name
            for name, value in self._network_options.items()
            if value is not getattr(self, name) and not np.array_equal(value, getattr(self, name))
        ]
        if changed:
            raise ValueError(
                f"{type(self).__name__}: {', '.join(changed)} changed since the fit that this one "
                "continues, and the network is built from it; set warm_start=False to begin anew."
            )
        if panel.dtype != self._moments[0].dtype:
            raise ValueError(
                f"{type(self).__name__}: X is {panel.dtype}, but {self._moments[0].dtype} was seen "
                "in the fit that this one continues."
            )

    def _check_layers(self) -> None:
        sizes = list(self.hidden_layer_sizes)
        for size in sizes:
            if not isinstance(size, Integral) or size < 1:
                raise ValueError(
                    "hidden_layer_sizes must hold positive integers, got "
                    f"{self.hidden_layer_sizes!r}."
                )
        if not sizes and (self.backbone == "conv" or self.dropout_on == "hidden"):
            asked = "backbone='conv'" if self.backbone == "conv" else "dropout_on='hidden'"
            if isinstance(self.backbone, str):
                raise ValueError(f"{asked} needs a hidden layer; hidden_layer_sizes is empty.")
        if self.dropout_on == "hidden" and self.locks:
            raise ValueError(
                "locks are bands of the input, but dropout_on='hidden' drops none of it."
            )
        is_pca = self.basis == "pca" or isinstance(self.basis, PCA)
        if is_pca and self.controller == "fixed" and self.dropout_on != "input":
            raise ValueError(
                "controller='fixed' never looks at hidden layers, so basis='pca' would stay the "
                "identity there; choose another controller, another basis, or dropout_on='input'."
            )

    _y_options: dict = {}
    _likelihood: str

    def _class_weights(self, y: np.ndarray) -> np.ndarray | float:  # noqa: ARG002
        return 1.0

    @staticmethod
    @abstractmethod
    def _loss(output: Tensor, target: Tensor, /, *, reduction: str) -> Tensor:
        """Loss of each row."""

    @property
    @abstractmethod
    def _n_outputs(self) -> int:
        """Width of the network's last layer."""

    @abstractmethod
    def _encode_target(self, y: np.ndarray, resume: bool, classes=None) -> np.ndarray:
        """Return the target as numbers the loss takes; remember what decodes them."""

    @abstractmethod
    def _scale_target(self, y: np.ndarray, weights: np.ndarray) -> None:
        """Remember the target's moments, where they are needed."""

    @abstractmethod
    def _network_target(self, y: np.ndarray, dtype: np.dtype) -> Tensor:
        """The target as the network is to answer it."""
