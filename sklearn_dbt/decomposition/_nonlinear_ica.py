"""Latent sources behind a nonlinear mixture, found by telling segments of time apart."""

from __future__ import annotations

import copy
import math
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from skorch import NeuralNet

from sklearn_dbt._base import Panel, check_panel, series_names
from sklearn_dbt._compat import (
    Interval,
    StrOptions,
    TableOutputMixin,
    check_feature_names_in,
    check_is_fitted,
    fit_context,
    with_callbacks,
)
from sklearn_dbt._training import (
    TRAINING_CONSTRAINTS,
    NeuralEstimator,
    Progress,
    draw_seeds,
    isolated_rng,
    keeps_old_fit,
    make_net,
    resolve_device,
    seeded_generator,
)
from sklearn_dbt.decomposition._checks import (
    as_components,
    check_n_components,
    check_resumable,
    check_same_network,
)
from sklearn_dbt.decomposition._component_statistics import STATISTICS, component_statistics
from sklearn_dbt.decomposition._contrastive_training import (
    CosineDecay,
    FusedAdamW,
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
from sklearn_dbt.decomposition._points import Points, WhitePoints, evenly_spaced
from sklearn_dbt.decomposition._segments import (
    check_segments,
    hold_out_blocks,
    label_segments,
)
from sklearn_dbt.nn.encoders import Restarts

# Held-out time points that are looked at after each epoch.
MOST_WATCHED = 4096
# What this estimator does not have of the parameters that trained networks share.
NOT_HERE = {"early_stopping"}


def has_decoder(encoder) -> bool:
    """Whether components can be decoded; says which method can, where they cannot."""
    if encoder.method != "ivae":
        raise AttributeError(
            f"method={encoder.method!r} has no decoder; inverse_transform needs method='ivae'."
        )
    return True


class NonlinearICAEncoder(TableOutputMixin, NeuralEstimator):
    r"""Nonlinear independent component analysis of recordings by time-contrastive learning.

    Channels are an invertible nonlinear mixture of independent sources,
    :math:`x(t) = f(s_1(t), \dots, s_n(t))`, and the strength of each source changes in its own way
    from segment to segment of time. A network :math:`h` is trained to tell which segment
    :math:`\tau` a time point belongs to,

    .. math::

        P(\tau \mid x) = \operatorname{softmax}_\tau \bigl( w_\tau^\top h(x) + b_\tau \bigr), \qquad
        h(x) = |V g(x) + a| ,

    and where it does so optimally, :math:`h(x) = A \, q(s) + d` with
    :math:`q(s_i) = \log p(s_i)` up to scale: the nonlinearity is undone. A linear unmixing of
    :math:`h` gives the components,

    .. math:: z(t) = B \, \bigl( h(x(t)) - \bar h \bigr) \approx q(s(t)) .

    **What is recovered is** :math:`q(s)`, **not** :math:`s`: the magnitude :math:`|s_i|` for
    Laplace sources, the energy :math:`s_i^2` for Gaussian ones, standardised. The sign of a source
    is not recovered.

    Before anything else the offset of each channel and the gain of each recording (one for all
    channels) are removed, or the network would learn to recognise the electrodes and the amplifier.

    Parameters
    ----------
    n_components : int, default=None
        Number of components, at most the number of channels; None is as many as there are
        linearly independent channels.
    method : {"tcl"}, default="tcl"
        How components are learnt: time-contrastive learning.
    segments : "recording" or int, default="recording"
        What is told apart: recordings, or that many windows of equal length in each recording,
        all different. To identify the components takes at least ``n_components + 1`` segments.
    remove_offset : bool, default=True
        Subtract from each channel its mean over the recording. Electrodes drift, and what drifts
        tells recordings apart. But where the strengths of sources differ so do the means of
        their nonlinear mixture, and with them the mixture is torn: if recordings are the segments
        and their offsets can be trusted, False recovers far more.
    remove_gain : bool, default=True
        Divide each recording by its root mean square over all channels.
    output : {"series", "features"}, default="series"
        ``"series"`` gives the components over time, ``"features"`` a table with three statistics of
        each component in each recording: ``mean``, ``log_variance`` (natural logarithm) and
        ``trend`` (change of the fitted line from begin to end).
    unmixing : {"auto", "joint_diagonalization", "fastica"}, default="auto"
        How features are unmixed. ``"joint_diagonalization"`` makes the covariances of all segments
        as diagonal as it can, ``"fastica"`` maximises non-Gaussianity. ``"auto"`` takes the former
        where the components' variances change from segment to segment in repeatable ways.
    n_init : int, default=2
        Networks that are trained side by side from different initial weights; the one with the
        lowest held-out contrastive loss is kept. Time grows in proportion.
    hidden_layer_sizes : tuple of int, default=None
        Width of each maxout layer; None is three layers of ``max(32, 2 * n_components)``.
    learning_rate : float, default=0.02
        Of the Adam optimizer at the start; it falls to 0 over `max_iter` epochs along a cosine.
    weight_decay : float, default=0.01
        Share of its weights, times the learning rate, that a step of AdamW takes off.
    batch_size : int, default=256
        Time points in a step.
    max_iter : int, default=50
        Epochs.
    max_samples : int, default=8192
        Time points of an epoch, drawn anew for each one; None is all there are. With the defaults a
        fit makes at most 1600 steps, however long the recordings are.
    tol : float, default=1e-4
        A fall of the held-out loss by less than ``tol * max(1, loss)`` is none.
    n_iter_no_change : int, default=12
        Epochs without a fall after which training stops. The weights of the best epoch are kept.
    validation_fraction : float, default=0.1
        Share of each segment, one block of consecutive time points, that is held out of training
        to compute the contrastive loss on.
    random_state : int, RandomState or None, default=None
        One seed for initialisation, shuffling, the held-out blocks and FastICA.
    device : str or torch.device, default="auto"
        Where to train; "auto" is CUDA where there is one.
    warm_start : bool, default=False
        Continue from the weights of the last fit, on the same recordings and segments.
    verbose : int, default=0
        Log epochs at level INFO of the logger ``sklearn_dbt``, instead of DEBUG.

    Attributes
    ----------
    n_components_ : int
        Number of components.
    n_segments_ : int
        Number of segments that were told apart.
    mean_ : ndarray of shape (n_channels,)
        Mean of the standardised channels; 0 when offsets are removed.
    whitening_ : ndarray of shape (n_directions, n_channels)
        PCA whitening of the standardised channels; directions that do not vary are left out.
    feature_mean_ : ndarray of shape (n_components,)
        Mean :math:`\bar h` of the network's features.
    unmixing_ : ndarray of shape (n_components, n_components)
        The unmixing :math:`B`. Components have mean 0 and variance 1 over the recordings of `fit`,
        and rise with the norm of the whitened channels, as :math:`|s|` does.
    unmixing_method_ : {"joint_diagonalization", "fastica", "none"}
        How it was found; "none" for one component.
    contrast_ : ndarray of shape (n_components,)
        Share of the variance of each component that lies between segments, in [0, 1]. Components
        are in falling order of it.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_.networks[0]`` is the
        :class:`~sklearn_dbt.nn.encoders.TimeContrastiveNetwork`.
    loss_curve_ : list of float
        Contrastive training loss of each epoch, the mean over the `n_init` networks.
    validation_loss_curve_ : list of float
        The same on held-out time points.
    chance_loss_ : float
        Contrastive loss of guessing: what the held-out loss has to be below.
    n_iter_ : int
        Epochs run.
    device_ : str
        Where it was trained.
    n_features_in_ : int
        Channels of a panel, columns of a table.
    feature_names_in_ : ndarray of str
        Names of columns, when `X` had any. Only for tables.

    Warns
    -----
    UserWarning
        If there are fewer than ``n_components + 1`` segments, or if held-out time points cannot be
        told apart better than by guessing: then the components are not identified.
    ConvergenceWarning
        If the loss was still falling after `max_iter` epochs, or FastICA did not converge.

    See Also
    --------
    sklearn.decomposition.FastICA : Linear mixtures, of constant strengths too; recovers signs.
    sklearn_dbt.nn.encoders.TimeContrastiveNetwork : The network alone.

    Notes
    -----
    A 2D `X` is a panel of one channel, and so has one component: a nonlinear function of the signal
    at each moment, whose gain is removed. What one channel can tell about segments is
    the shape of its distribution only.

    Recordings may differ in length (lists of arrays), and `transform` takes recordings of any
    length and number; each is encoded by itself. The network computes in the precision of the `X`
    of `fit`; float32 is the faster one.

    References
    ----------
    .. [1] A. Hyvärinen, H. Morioka, "Unsupervised feature extraction by time-contrastive learning
       and nonlinear ICA", NeurIPS 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.decomposition import NonlinearICAEncoder
    >>> rng = np.random.default_rng(0)
    >>> strength = rng.uniform(0.1, 3, (2, 20)).repeat(100, axis=1)
    >>> sources = strength * rng.laplace(size=(2, 2000))
    >>> mixed = np.array([[1, 0.6], [-0.5, 1]]) @ sources
    >>> X = np.where(mixed > 0, mixed, 0.2 * mixed)[None]
    >>> encoder = NonlinearICAEncoder(segments=20, n_init=1, random_state=0).fit(X)
    >>> Z = encoder.transform(X)
    >>> Z.shape
    (1, 2, 2000)
    >>> bool(np.corrcoef(abs(sources), Z[0])[:2, 2:].max(axis=1).min() > 0.8)
    True
    """

    _parameter_constraints: dict = {
        **{name: rule for name, rule in TRAINING_CONSTRAINTS.items() if name not in NOT_HERE},
        "weight_decay": [Interval(Real, 0, None, closed="left"), "array-like"],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "method": [StrOptions(set(METHODS))],
        "segments": [StrOptions({"recording"}), Interval(Integral, 1, None, closed="left")],
        "remove_offset": ["boolean"],
        "remove_gain": ["boolean"],
        "output": [StrOptions({"series", "features"})],
        "unmixing": [StrOptions({"auto", "joint_diagonalization", "fastica"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", None],
        "max_samples": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components=None,
        *,
        method="tcl",
        segments="recording",
        remove_offset=True,
        remove_gain=True,
        output="series",
        unmixing="auto",
        n_init=2,
        hidden_layer_sizes=None,
        learning_rate=0.02,
        weight_decay=(0.01, 0.3),
        batch_size=512,
        max_iter=50,
        max_samples=32_768,
        tol=1e-4,
        n_iter_no_change=12,
        validation_fraction=0.1,
        random_state=None,
        device="auto",
        warm_start=False,
        verbose=0,
    ):
        self.n_components = n_components
        self.method = method
        self.segments = segments
        self.remove_offset = remove_offset
        self.remove_gain = remove_gain
        self.output = output
        self.unmixing = unmixing
        self.n_init = n_init
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.warm_start = warm_start
        self.verbose = verbose

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    @keeps_old_fit
    def fit(self, X, y=None):  # noqa: ARG002
        """Train the network, and bring its components to their standard form.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings; a list of ``(n_channels, n_times_i)`` arrays when lengths differ. Arrays
            on disk (:class:`numpy.memmap`) of more than half a gigabyte are not read as a whole.
        y : None
            Ignored.

        Returns
        -------
        self : NonlinearICAEncoder

        Raises
        ------
        ValueError
            For bad parameters or data: one segment only, recordings too short for their
            windows, more components than linearly independent channels; nothing is trained then.
        """
        resume = self.warm_start and hasattr(self, "unmixing_")
        panel, labels = self._check(X, reset=not resume)
        points = Points(panel, offset=self.remove_offset, gain=self.remove_gain)
        if resume:
            check_resumable(self, panel, labels)
        else:
            self._settle(panel, points, labels)
        recorded = self._recorded(points, labels)
        self._warn_about_segments()
        self._start_curves(resume=resume)
        if not resume:
            self.net_ = self._new_net(recorded)
        self._learn(recorded, X, max_iter=self.max_iter)
        return self

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    @keeps_old_fit
    def partial_fit(self, X, y=None):  # noqa: ARG002
        """Train for one epoch on some recordings, which may be new ones.

        Whitening is that of the first call. Segments are told apart within one call only: what
        belongs to them in the network begins anew where recordings differ from the last ones, and
        so does the state of the optimizer. The rate is `learning_rate` throughout. Components are
        unmixed on the recordings of the call, and keep their places.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings, as in `fit`.
        y : None
            Ignored.

        Returns
        -------
        self : NonlinearICAEncoder

        Raises
        ------
        ValueError
            As `fit`, and where `X` has another number of channels or another precision than in
            the first call.
        """
        goes_on = hasattr(self, "unmixing_")
        panel, labels = self._check(X, reset=not goes_on)
        points = Points(panel, offset=self.remove_offset, gain=self.remove_gain)
        if goes_on:
            check_same_network(self, panel)
            self.n_segments_ = int(labels[-1]) + 1
        else:
            self._settle(panel, points, labels)
        recorded = self._recorded(points, labels)
        self._warn_about_segments()
        self._start_curves(resume=goes_on)
        self.net_ = self._renewed_net(recorded) if goes_on else self._new_net(recorded)
        places = (self.unmixing_, self.feature_mean_) if goes_on else None
        self._learn(recorded, X, max_iter=1, constant_rate=True, places=places)
        return self

    def transform(self, X):
        """Encode recordings.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings.

        Returns
        -------
        ndarray or list of ndarray
            ``(n, n_components, n_times)`` for ``"series"`` (a list for a list of unlike lengths,
            a table for a table), or ``(n, 3 * n_components)`` for ``"features"``; in the precision
            of `X`.
        """
        check_is_fitted(self, "unmixing_")
        panel = check_panel(self, X, reset=False, ragged=True, min_times=2)
        series = self._components(panel)
        if self.output == "features":
            return np.stack([component_statistics(recording) for recording in series])
        return series if panel.is_ragged else panel.like_input(np.stack(series))

    @available_if(has_decoder)
    def inverse_transform(self, X):
        """Decode components: recordings as they are after offset and gain have been removed.

        Only for ``method="ivae"``, which has a decoder.

        Parameters
        ----------
        X : array-like of shape (n, n_components, n_times), or list of 2D arrays
            Components as `transform` gives them with ``output="series"``; for a table, a table.

        Returns
        -------
        ndarray or list of ndarray
            Recordings of shape ``(n, n_channels, n_times)``, a list for a list.

        Raises
        ------
        ValueError
            If `X` has another number of components.
        """
        check_is_fitted(self, "unmixing_")
        components, is_list = as_components(X, self.n_components_, self._n_dims_in == 2)
        decoded = [self._decode(series) for series in components]
        if is_list:
            return decoded
        panel = np.stack(decoded)
        return panel[:, 0] if self._n_dims_in == 2 else panel

    def get_feature_names_out(self, input_features=None):
        """Names of the components, or columns for a table.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked; components are mixtures of all channels.

        Returns
        -------
        ndarray of str
            As ``"component3"`` for ``"series"`` (with time, ``"component0_t17"``, for a table) and
            ``"component3_log_variance"`` for ``"features"``.
        """
        check_is_fitted(self, "unmixing_")
        check_feature_names_in(self, input_features)
        names = [f"component{i}" for i in range(self.n_components_)]
        if self.output == "features":
            return np.array([f"{name}_{s}" for name in names for s in STATISTICS], dtype=object)
        return series_names(names, self.n_features_in_, self._n_dims_in == 2)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

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
        self._seeds = draw_seeds(self.random_state, 4)

    def _recorded(self, points: Points, labels: np.ndarray) -> Recorded:
        inputs = WhitePoints(points, self.mean_, self.whitening_, self.device_).held()
        return Recorded(inputs, torch.from_numpy(labels).to(self.device_), points.starts)

    def _components(self, panel: Panel) -> list[np.ndarray]:
        """Components of each recording, shape (n_components, n_times_i)."""
        points = Points(panel, offset=self.remove_offset, gain=self.remove_gain)
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
        return make_method(self.method, self.unmixing, self.n_components_, self._seeds[3])

    def _build_net(self, n_networks: int = 1) -> NeuralNet:
        sizes = len(self.whitening_), self.n_components_, self.n_segments_, self._hidden_sizes
        method = self._method()
        with isolated_rng(self._seeds[0]):
            module = Restarts(method.network(*sizes) for _ in range(n_networks))
        return self._wrap(module, method)

    def _new_net(self, recorded: Recorded) -> NeuralNet:
        net = self._build_net(self.n_init)
        rows, method = evenly_spaced(len(recorded.inputs)), self._method()
        for network in net.module_.networks:
            method.start(network, recorded, rows, self.n_components_)
        return self._wrap(net.module_, method)

    def _renewed_net(self, recorded: Recorded) -> NeuralNet:
        """Wrap a copy of the trained network, whose segments are those of new recordings."""
        module, rows = copy.deepcopy(self.net_.module_), evenly_spaced(len(recorded.inputs))
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
            optimizer=FusedAdamW,
            callbacks=[
                ("decay", CosineDecay(self.learning_rate, self.max_iter)),
                ("held", HeldMessage(self.max_iter)),
            ],
        )
        net.optimizer_ = FusedAdamW(parameter_groups(net.module_), lr=self.learning_rate)
        # skorch's set_params refuses to change iterators of an initialised net.
        net.iterator_train = SampledBatches
        net.iterator_valid__batch_size = MOST_WATCHED
        return net

    def _learn(
        self, recorded: Recorded, X, *, max_iter: int, constant_rate: bool = False, places=None
    ) -> None:
        """Train on all but the held-out blocks, keep the best network and unmix its features."""
        method, random_state = self._method(), np.random.RandomState(self._seeds[2])
        labels = recorded.segments.cpu().numpy()
        is_held_out = hold_out_blocks(labels, self.validation_fraction, random_state)
        held_out = random_state.permutation(np.flatnonzero(is_held_out))[:MOST_WATCHED]
        on_device = {"device": recorded.segments.device}
        kept = torch.as_tensor(np.flatnonzero(~is_held_out), **on_device)
        rows = torch.as_tensor(held_out, **on_device)
        draws = seeded_generator(random_state.randint(2**31 - 1))
        train = Examples(method, recorded, kept, draws)
        watched = Examples(method, recorded, rows, draws).drawn()
        self.chance_loss_ = method.chance(recorded, kept, rows)
        self._adopt_parameters(math.inf if constant_rate else max_iter)
        # Needed for an estimator as of the end of an epoch, which callbacks may ask for.
        self._training = method, recorded, watched, places
        progress = None if constant_rate else Progress(self.tol, self.n_iter_no_change)
        try:
            self._train(train, watched, X=X, max_iter=max_iter, progress=progress)
        except KeyboardInterrupt:
            self._finish()
            raise
        else:
            self._finish()
        finally:
            del self._training

    def _adopt_parameters(self, n_epochs: float) -> None:
        """Give the net what may have been set anew since it was built."""
        self.net_.batch_size = self.batch_size
        self.net_.iterator_train__max_samples = self.max_samples
        set_decay(self.net_.optimizer_, np.ravel(self.weight_decay))
        callbacks = dict(self.net_.callbacks)
        callbacks["decay"].learning_rate = self.learning_rate
        callbacks["decay"].n_epochs = callbacks["held"].n_epochs = n_epochs

    def _finish(self) -> None:
        for name, value in self._conclude(self.net_).items():
            setattr(self, name, value)
        forget_missing(self.net_.optimizer_, self.net_.module_)
        self._warn_about_identifiability()

    def _conclude(self, net: NeuralNet) -> dict:
        """Keep the best network of `net`; return the attributes that come of its features."""
        method, recorded, watched, places = self._training
        net.module_.keep(int(held_out_losses(method, net.module_, watched).argmin()))
        rows = evenly_spaced(len(recorded.inputs))
        features = network_features(net.module_.networks[0], recorded.inputs[rows])
        unmixing = method.unmix(features, recorded, rows)
        if places is not None:
            unmixing = unmixing.in_places_of(*places, features)
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
                stacklevel=5,
            )

    def _warn_about_identifiability(self) -> None:
        """Warn where nothing was told apart, or too little for as many components."""
        name, best = type(self).__name__, min(self.validation_loss_curve_, default=0.0)
        if best >= self.chance_loss_:
            warnings.warn(
                f"{name}: held-out time points are told apart no better than by "
                f"guessing (loss {best:.4g}, chance {self.chance_loss_:.4g}); without their "
                "offset and gain the segments look alike, and components are not identified.",
                UserWarning,
                stacklevel=7,
            )
            return
        rank, n = self._modulation_rank(), self.n_components_
        if rank is not None and rank < n:
            warnings.warn(
                f"{name}: the strengths of the {n} components change in {rank} independent ways "
                f"over the {self.n_segments_} segments, beyond chance; {n} are needed to "
                "identify them all. Use fewer components, or segments that differ more.",
                UserWarning,
                stacklevel=7,
            )

    def _modulation_rank(self) -> int | None:
        method, recorded, *_ = self._training
        if not method.needs_segments or self.n_components_ == 1:
            return None
        rows = evenly_spaced(len(recorded.inputs))
        features = network_features(self.net_.module_.networks[0], recorded.inputs[rows])
        components = (features - self.feature_mean_) @ self.unmixing_.T
        strengths = np.abs(components) if method.signed else components
        return modulation_rank(strengths, recorded.segments.cpu().numpy()[rows])
