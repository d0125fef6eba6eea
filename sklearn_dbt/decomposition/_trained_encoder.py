"""How the encoder is trained: data, networks, what is concluded from them, and warnings."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import torch
from skorch import NeuralNet

from sklearn_dbt._base import Panel, check_panel
from sklearn_dbt._training import (
    NeuralEstimator,
    Progress,
    draw_seeds,
    isolated_rng,
    make_net,
    resolve_device,
    seeded_generator,
)
from sklearn_dbt.decomposition._checks import check_n_components
from sklearn_dbt.decomposition._contrastive_training import (
    CosineDecay,
    HeldMessage,
    LossOfRestarts,
    SampledBatches,
    forget_missing,
    held_out_losses,
    network_features,
    parameter_groups,
    set_decay,
)
from sklearn_dbt.decomposition._identifiability import modulation_rank
from sklearn_dbt.decomposition._method import Examples, Method, Recorded
from sklearn_dbt.decomposition._methods import METHODS, make_method
from sklearn_dbt.decomposition._muon import MuonAdamW
from sklearn_dbt.decomposition._points import Points, WhitePoints, evenly_spaced
from sklearn_dbt.decomposition._segments import check_segments, hold_out_blocks, label_segments
from sklearn_dbt.nn.encoders import Restarts

# Held-out time points that are looked at after each epoch.
MOST_WATCHED = 4096


class TrainedEncoder(NeuralEstimator):
    """Private part of :class:`NonlinearICAEncoder`, whose parameters it reads.

    Data go through ``_check``, ``_settle`` and ``_recorded``, training through ``_new_net`` (or
    ``_renewed_net``), ``_learn`` and ``_finish``.
    """

    # --- data ------------------------------------------------------------------------------------

    def _check(self, X, *, reset: bool) -> tuple[Panel, np.ndarray]:
        panel = check_panel(self, X, reset=reset, ragged=True, min_times=2)
        if not METHODS[self.method].needs_segments:
            return panel, label_segments(panel.lengths, 1)
        n_windows = check_segments(panel, self.segments, type(self).__name__)
        return panel, label_segments(panel.lengths, n_windows)

    def _settle(self, panel: Panel, points: Points, labels: np.ndarray) -> None:
        """Settle sizes, whitening and seeds."""
        mean, whitening = points.whitening()
        n_components = check_n_components(self, panel, len(whitening))
        self.device_ = str(resolve_device(self.device))
        self.mean_, self.whitening_ = mean, whitening
        self.n_components_, self.n_segments_ = n_components, int(labels[-1]) + 1
        sizes = self.hidden_layer_sizes
        self._hidden_sizes = None if sizes is None else list(sizes)
        self._fitted_method = self.method
        self._fitted_removal = {"offset": self.remove_offset, "gain": self.remove_gain}
        self._seeds = draw_seeds(self.random_state, 4)

    def _recorded(self, points: Points, labels: np.ndarray) -> Recorded:
        inputs = WhitePoints(points, self.mean_, self.whitening_, self.device_).held()
        return Recorded(inputs, torch.from_numpy(labels).to(self.device_), points.starts)

    def _components(self, panel: Panel) -> list[np.ndarray]:
        """Components of each recording, shape (n_components, n_times_i)."""
        points = Points(panel, **self._fitted_removal)
        inputs = WhitePoints(points, self.mean_, self.whitening_, self.device_)
        features = network_features(self.net_.module_.networks[0], inputs)
        components = (self.unmixing_ @ (features - self.feature_mean_).T).astype(panel.dtype)
        return np.split(components, np.cumsum(panel.lengths)[:-1], axis=1)

    def _decode(self, series: np.ndarray) -> np.ndarray:
        """Standardised recording behind the components of one."""
        features = np.linalg.solve(self.unmixing_, series.astype(np.float64)).T + self.feature_mean_
        z = torch.from_numpy(features.astype(self.whitening_.dtype)).to(self.device_)
        with torch.no_grad():
            white = self.net_.module_.networks[0].decode(z).cpu().numpy()
        recording = white @ np.linalg.pinv(self.whitening_).T + self.mean_
        return recording.T.astype(series.dtype)

    # --- training --------------------------------------------------------------------------------

    def _method(self) -> Method:
        return make_method(self._fitted_method, self.unmixing, self.n_components_, self._seeds[3])

    def _n_epochs(self) -> int:
        return METHODS[self._fitted_method].n_epochs if self.max_iter is None else self.max_iter

    def _build_net(self, n_networks: int = 1) -> NeuralNet:
        sizes = len(self.whitening_), self.n_components_, self.n_segments_, self._hidden_sizes
        method = self._method()
        with isolated_rng(self._seeds[0]):
            module = Restarts(method.network(*sizes) for _ in range(n_networks))
        return self._wrap(module, method)

    def _new_net(self, recorded: Recorded) -> NeuralNet:
        net = self._build_net(self.n_init)
        rows, method = evenly_spaced(recorded.labels), self._method()
        for network in net.module_.networks:
            method.start(network, recorded, rows, self.n_components_)
        return self._wrap(net.module_, method)

    def _renewed_net(self, recorded: Recorded) -> NeuralNet:
        """Wrap a copy of the trained network, whose segments are those of new recordings."""
        module, rows = copy.deepcopy(self.net_.module_), evenly_spaced(recorded.labels)
        if METHODS[self.method].needs_segments:
            module.networks[0].renew(recorded.inputs[rows], recorded.segments[rows])
        return self._wrap(module, self._method())

    def _wrap(self, module: Restarts, method: Method) -> NeuralNet:
        dtype = torch.from_numpy(self.whitening_).dtype
        net = make_net(
            module.to(self.device_, dtype),
            LossOfRestarts(method.loss),
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            seed=self._seeds[1],
            device=torch.device(self.device_),
            optimizer=MuonAdamW,
            callbacks=[
                ("decay", CosineDecay(self.learning_rate, self._n_epochs())),
                ("held", HeldMessage(self._n_epochs())),
            ],
        )
        net.optimizer_ = MuonAdamW(parameter_groups(net.module_), lr=self.learning_rate)
        # skorch's set_params refuses to change iterators of an initialised net.
        net.iterator_train = SampledBatches
        net.iterator_valid__batch_size = MOST_WATCHED
        return net

    def _learn(
        self, recorded: Recorded, X, *, max_iter: int, constant_rate: bool = False, places=None
    ) -> None:
        """Train on all but the held-out blocks, keep the best network and unmix its features."""
        method, random_state = self._method(), np.random.RandomState(self._seeds[2])
        is_held_out = hold_out_blocks(recorded.labels, self.validation_fraction, random_state)
        held_out = random_state.permutation(np.flatnonzero(is_held_out))[:MOST_WATCHED]
        device = recorded.segments.device
        kept = torch.as_tensor(np.flatnonzero(~is_held_out), device=device)
        rows = torch.as_tensor(held_out, device=device)
        draws = seeded_generator(random_state.randint(2**31 - 1))
        train = Examples(method, recorded, kept, draws)
        watched = Examples(method, recorded, rows, draws).drawn()
        self.chance_loss_ = method.chance(recorded, kept, rows)
        self._adopt_parameters(math.inf if constant_rate else max_iter)
        # Needed for an estimator as of the end of an epoch, which callbacks may ask for.
        self._training = method, recorded, watched, places
        progress = None if constant_rate else Progress(self.tol, self.n_iter_no_change)
        n_before = self.n_iter_
        try:
            self._train(train, watched, X=X, max_iter=max_iter, progress=progress)
        except KeyboardInterrupt:
            self._finish(n_before)
            raise
        else:
            self._finish(n_before)
        finally:
            del self._training

    def _adopt_parameters(self, n_epochs: float) -> None:
        """Give the net what may have been set anew since it was built."""
        self.net_.batch_size = self.batch_size
        self.net_.iterator_train__max_samples = self.max_samples
        set_decay(self.net_.optimizer_, self.weight_decay)
        callbacks = dict(self.net_.callbacks)
        callbacks["decay"].learning_rate = self.learning_rate
        callbacks["decay"].n_epochs = callbacks["held"].n_epochs = n_epochs

    def _finish(self, n_before: int) -> None:
        for name, value in self._conclude(self.net_).items():
            setattr(self, name, value)
        forget_missing(self.net_.optimizer_, self.net_.module_)
        self._warn_about_identifiability(n_before)

    def _conclude(self, net: NeuralNet) -> dict:
        """Keep the best network of `net`; return the attributes that come of its features."""
        method, recorded, watched, places = self._training
        net.module_.keep(int(held_out_losses(method, net.module_, watched).argmin()))
        rows = evenly_spaced(recorded.labels)
        features = network_features(net.module_.networks[0], recorded.inputs[rows])
        unmixing = method.unmix(features, recorded, rows)
        if places is not None:
            unmixing = unmixing.in_places_of(places[0], places[1], features)
        return {
            "feature_mean_": unmixing.mean,
            "unmixing_": unmixing.matrix,
            "unmixing_method_": unmixing.method,
            "contrast_": unmixing.contrast,
        }

    def _fitted_now(self) -> dict:
        fitted = super()._fitted_now()
        return fitted | self._conclude(fitted["net_"])

    # --- warnings --------------------------------------------------------------------------------

    def _warn_about_segments(self) -> None:
        n = self.n_components_
        least = self._method().least_segments(n)
        if self.n_segments_ < least:
            warnings.warn(
                f"{type(self).__name__}: {self.n_segments_} segments cannot identify "
                f"{n} components; at least {least} are needed. "
                "Give more recordings, more segments a recording, or fewer components.",
                UserWarning,
                stacklevel=6,
            )

    def _warn_about_identifiability(self, n_before: int) -> None:
        """Warn where nothing was told apart, or too little for as many components.

        Only the epochs from `n_before` on count; earlier ones may have been on other segments.
        """
        name, best = type(self).__name__, min(self.validation_loss_curve_[n_before:], default=0.0)
        if best >= self.chance_loss_:
            warnings.warn(
                f"{name}: held-out time points are told apart no better than by "
                f"guessing (loss {best:.4g}, chance {self.chance_loss_:.4g}); without their "
                "offset and gain the segments look alike, and components are not identified.",
                UserWarning,
                stacklevel=8,
            )
            return
        rank, n = self._modulation_rank(), self.n_components_
        if rank is not None and rank < n:
            warnings.warn(
                f"{name}: the strengths of the {n} components change in {rank} independent ways "
                f"over the {self.n_segments_} segments, beyond chance; {n} are needed to "
                "identify them all. Use fewer components, or segments that differ more.",
                UserWarning,
                stacklevel=8,
            )

    def _modulation_rank(self) -> int | None:
        method, recorded, *_ = self._training
        if not method.needs_segments or self.n_components_ == 1:
            return None
        rows = evenly_spaced(recorded.labels)
        features = network_features(self.net_.module_.networks[0], recorded.inputs[rows])
        components = (features - self.feature_mean_) @ self.unmixing_.T
        strengths = np.abs(components) if method.signed else components
        return modulation_rank(strengths, recorded.labels[rows])
