"""Latent sources behind a nonlinear mixture, found by telling segments of time apart."""

from __future__ import annotations

import warnings
from numbers import Integral

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor

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
    TensorDataset,
    WeightedLoss,
    draw_seeds,
    isolated_rng,
    keeps_old_fit,
    make_net,
    resolve_device,
)
from sklearn_dbt.decomposition._component_statistics import STATISTICS, component_statistics
from sklearn_dbt.decomposition._contrastive_training import (
    CosineDecay,
    FusedAdam,
    SampledBatches,
    chance_loss,
    contrastive_loss,
    forget_missing,
    held_out_losses,
    network_features,
)
from sklearn_dbt.decomposition._segments import (
    check_segments,
    hold_out_blocks,
    join,
    label_segments,
    whitening_of,
)
from sklearn_dbt.decomposition._unmixing import unmix
from sklearn_dbt.nn.encoders import Restarts, TimeContrastiveNetwork

# Held-out time points that are looked at after each epoch.
MOST_WATCHED = 4096
# What this estimator does not have of the parameters that trained networks share.
NOT_HERE = {"weight_decay", "early_stopping"}


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
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "method": [StrOptions({"tcl"})],
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
        batch_size=256,
        max_iter=50,
        max_samples=8192,
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
        """Train the network to tell segments apart, and unmix its features.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings; a list of ``(n_channels, n_times_i)`` arrays when lengths differ.
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
        panel = check_panel(self, X, reset=not resume, ragged=True, min_times=2)
        n_windows = check_segments(panel, self.segments, type(self).__name__)
        labels = label_segments(panel.lengths, n_windows)
        points = self._join(panel)
        if resume:
            self._check_resumable(panel, labels)
        else:
            self._start(panel, points, labels)
        self._warn_about_segments()
        self._start_curves(resume=resume)
        self._learn(self._whitened(points), labels, X)
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

    def _start(self, panel: Panel, points: np.ndarray, labels: np.ndarray) -> None:
        """Settle sizes, whitening and seeds, and build the networks."""
        mean = points.mean(axis=0)
        whitening = whitening_of(points - mean)
        n_components = self._check_n_components(panel, len(whitening))
        self.device_ = str(resolve_device(self.device))
        self.mean_, self.whitening_ = mean, whitening.astype(panel.dtype)
        self.n_components_, self.n_segments_ = n_components, int(labels[-1]) + 1
        sizes = self.hidden_layer_sizes
        self._hidden_sizes = None if sizes is None else list(sizes)
        self._seeds = draw_seeds(self.random_state, 4)
        self.net_ = self._build_net(self.n_init)

    def _build_net(self, n_networks: int = 1) -> NeuralNet:
        with isolated_rng(self._seeds[0]):
            module = Restarts(
                TimeContrastiveNetwork(
                    len(self.whitening_), self.n_components_, self.n_segments_, self._hidden_sizes
                )
                for _ in range(n_networks)
            )
        dtype = torch.from_numpy(self.whitening_).dtype
        net = make_net(
            module.to(self.device_, dtype),
            WeightedLoss(contrastive_loss),
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            seed=self._seeds[1],
            device=torch.device(self.device_),
            optimizer=FusedAdam,
            callbacks=[("decay", CosineDecay(self.learning_rate, self.max_iter))],
        )
        # skorch's set_params refuses to change iterators of an initialised net.
        net.iterator_train = SampledBatches
        net.iterator_valid__batch_size = MOST_WATCHED
        return net

    def _learn(self, inputs: Tensor, labels: np.ndarray, X) -> None:
        """Train on all but the held-out blocks, keep the best network and unmix its features."""
        random_state = np.random.RandomState(self._seeds[2])
        is_held_out = hold_out_blocks(labels, self.validation_fraction, random_state)
        held_out = random_state.permutation(np.flatnonzero(is_held_out))[:MOST_WATCHED]
        targets = torch.from_numpy(labels).to(inputs.device)
        kept = torch.from_numpy(np.flatnonzero(~is_held_out)).to(inputs.device)
        train = TensorDataset(inputs[kept], targets[kept])
        watched = TensorDataset(inputs[held_out], targets[held_out])
        self.chance_loss_ = chance_loss(train.targets, watched.targets)
        self._adopt_parameters()
        # Needed for an estimator as of the end of an epoch, which callbacks may ask for.
        self._training = inputs, labels, watched
        try:
            progress = Progress(self.tol, self.n_iter_no_change)
            self._train(train, watched, X=X, progress=progress)
        except KeyboardInterrupt:
            self._finish()
            raise
        else:
            self._finish()
        finally:
            del self._training

    def _adopt_parameters(self) -> None:
        """Give the net what may have been set anew since it was built."""
        self.net_.batch_size = self.batch_size
        self.net_.iterator_train__max_samples = self.max_samples
        decay = dict(self.net_.callbacks)["decay"]
        decay.learning_rate, decay.n_epochs = self.learning_rate, self.max_iter

    def _finish(self) -> None:
        for name, value in self._conclude(self.net_).items():
            setattr(self, name, value)
        forget_missing(self.net_.optimizer_, self.net_.module_)
        self._warn_about_chance()

    def _conclude(self, net: NeuralNet) -> dict:
        """Keep the best network of `net`; return the attributes that come of its features."""
        inputs, labels, watched = self._training
        net.module_.keep(int(held_out_losses(net.module_, watched).argmin()))
        features = network_features(net.module_.networks[0], inputs)
        strength = torch.linalg.vector_norm(inputs, dim=1).double().cpu().numpy()
        unmixing = unmix(features, labels, strength, self.unmixing, self._seeds[3])
        return {
            "feature_mean_": unmixing.mean,
            "unmixing_": unmixing.matrix,
            "unmixing_method_": unmixing.method,
            "contrast_": unmixing.contrast,
        }

    def _fitted_now(self) -> dict:
        fitted = super()._fitted_now()
        return fitted | self._conclude(fitted["net_"])

    def _join(self, panel: Panel) -> np.ndarray:
        return join(panel, offset=self.remove_offset, gain=self.remove_gain)

    def _whitened(self, points: np.ndarray) -> Tensor:
        whitened = (points.astype(self.mean_.dtype) - self.mean_) @ self.whitening_.T
        return torch.from_numpy(whitened).to(self.device_)

    def _components(self, panel: Panel) -> list[np.ndarray]:
        """Components of each recording, shape (n_components, n_times_i)."""
        inputs = self._whitened(self._join(panel))
        features = network_features(self.net_.module_.networks[0], inputs)
        components = (self.unmixing_ @ (features - self.feature_mean_).T).astype(panel.dtype)
        return np.split(components, np.cumsum(panel.lengths)[:-1], axis=1)

    def _check_n_components(self, panel: Panel, rank: int) -> int:
        name, n_channels = type(self).__name__, panel.n_channels
        n_components = rank if self.n_components is None else self.n_components
        kind = "a table is a panel of one channel" if panel.is_table else f"X has {n_channels}"
        if n_components > n_channels:
            raise ValueError(
                f"{name}: n_components={n_components} must be at most the number of channels; "
                f"{kind}."
            )
        if rank == 0:
            raise ValueError(f"{name}: all recordings of X are constant; nothing can be learnt.")
        if n_components > rank:
            raise ValueError(
                f"{name}: n_components={n_components}, but only {rank} of the {n_channels} "
                "channels are linearly independent (some are constant, or sums of others). Use "
                f"n_components={rank} or fewer, or None."
            )
        return int(n_components)

    def _check_resumable(self, panel: Panel, labels: np.ndarray) -> None:
        name = type(self).__name__
        if int(labels[-1]) + 1 != self.n_segments_:
            raise ValueError(
                f"{name}: warm_start=True continues on the same segments; X has "
                f"{int(labels[-1]) + 1} and the last fit had {self.n_segments_}."
            )
        sizes = None if self.hidden_layer_sizes is None else list(self.hidden_layer_sizes)
        if self.n_components not in (None, self.n_components_) or sizes != self._hidden_sizes:
            raise ValueError(
                f"{name}: warm_start=True continues with the same network; n_components and "
                "hidden_layer_sizes cannot change."
            )
        if panel.dtype != self.whitening_.dtype:
            raise ValueError(
                f"{name}: X is {panel.dtype}, but {self.whitening_.dtype} was seen in the fit that "
                "this one continues."
            )

    def _warn_about_segments(self) -> None:
        if self.n_segments_ <= self.n_components_:
            warnings.warn(
                f"{type(self).__name__}: {self.n_segments_} segments cannot identify "
                f"{self.n_components_} components; at least {self.n_components_ + 1} are needed. "
                "Give more recordings, more segments a recording, or fewer components.",
                UserWarning,
                stacklevel=5,
            )

    def _warn_about_chance(self) -> None:
        best = min(self.validation_loss_curve_, default=0.0)
        if best >= self.chance_loss_:
            warnings.warn(
                f"{type(self).__name__}: held-out time points are told apart no better than by "
                f"guessing (loss {best:.4g}, chance {self.chance_loss_:.4g}); without their "
                "offset and gain the segments look alike, and components are not identified.",
                UserWarning,
                stacklevel=7,
            )
