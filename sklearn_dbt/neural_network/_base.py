"""What the dropout regressor and classifier share: everything but targets and outputs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Integral, Real

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
from sklearn_dbt.neural_network._dropout_control import (
    CONTROLLERS,
    dropout_maker,
    has_objective,
    rate_controller,
    schedule,
)
from sklearn_dbt.neural_network._network import (
    ACTIVATIONS,
    DropoutNetwork,
    channel_moments,
    convolutional_network,
    given_backbone,
    multilayer_perceptron,
)
from sklearn_dbt.neural_network._parameters import NETWORK_PARAMETERS
from sklearn_dbt.neural_network._rate_control import RateControl
from sklearn_dbt.nn.basis import BASES, PCA, Basis
from sklearn_dbt.nn.dropout import MASK_SHARINGS, POLICIES, Policy
from sklearn_dbt.nn.trust_region import OBJECTIVES

# Rows that go through the network at once outside training.
ROWS_AT_ONCE = 1024


class BaseTrustRegionDropout(NeuralEstimator, ABC):
    """What regressor and classifier share: everything but targets and outputs."""

    drop_rate_curve_: list[np.ndarray]

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        "basis": [StrOptions(set(BASES)), Basis],
        "basis_options": [dict, None],
        "policy": [StrOptions({"auto", *POLICIES}), Policy],
        "mask_sharing": [StrOptions(set(MASK_SHARINGS))],
        "controller": [StrOptions({*CONTROLLERS, "fixed"}), callable],
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
        if has_objective(self.controller) and self.objective == "validation":
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
        return dropout_maker(self._network_options, self._schedule()["observe_every"], seed)

    def _rate_control(self, module: DropoutNetwork) -> list:
        n_outputs = self._n_outputs if self._likelihood == "gaussian" else 1
        likelihood = {"likelihood": self._likelihood, "n_samples": self._n_train * n_outputs}
        made = rate_controller(
            self._network_options, module.dropouts, module, self._schedule(), likelihood
        )
        if made is None:
            return []
        controller, n_passes = made
        return [("rate_control", RateControl(controller, n_passes=n_passes))]

    def _schedule(self) -> dict[str, int]:
        n_steps = math.ceil(self._n_train / self.batch_size) * self.max_iter
        return schedule(n_steps, self.warm_up, self.update_every)

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
