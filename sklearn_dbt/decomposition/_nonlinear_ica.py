"""Latent sources behind a nonlinear mixture, found by what happens over time."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils.metaestimators import available_if

from sklearn_dbt._base import check_panel, series_names
from sklearn_dbt._compat import (
    Interval,
    StrOptions,
    TableOutputMixin,
    check_feature_names_in,
    check_is_fitted,
    fit_context,
    with_callbacks,
)
from sklearn_dbt._training import TRAINING_CONSTRAINTS, keeps_old_fit
from sklearn_dbt.decomposition._checks import (
    as_components,
    check_resumable,
    check_same_network,
    check_varies,
)
from sklearn_dbt.decomposition._component_statistics import STATISTICS, component_statistics
from sklearn_dbt.decomposition._methods import METHODS
from sklearn_dbt.decomposition._points import Points
from sklearn_dbt.decomposition._trained_encoder import TrainedEncoder

# What this estimator does not have of the parameters that trained networks share.
NOT_HERE = {"early_stopping"}


def has_decoder(encoder) -> bool:
    """Whether components can be decoded; says which method can, where they cannot."""
    method = getattr(encoder, "_fitted_method", encoder.method)
    if method != "ivae":
        raise AttributeError(
            f"method={method!r} has no decoder; inverse_transform needs method='ivae'."
        )
    return True


class NonlinearICAEncoder(TableOutputMixin, TrainedEncoder):
    r"""Nonlinear independent component analysis of recordings, by contrastive learning.

    Channels are an invertible nonlinear mixture of independent sources,
    :math:`x(t) = f(s_1(t), \dots, s_n(t))`. Independence alone does not identify them; what happens
    over time does. A network :math:`r` that starts as a linear unmixing is trained to tell

    - ``"tcl"``: which segment :math:`\tau` of time a point belongs to, by the strength of its
      sources (time-contrastive learning [1]_),

      .. math:: P(\tau \mid x)
          = \operatorname{softmax}_\tau \bigl( w_\tau^\top h(x) + b_\tau \bigr), \;
          h(x) = |r(x)| ;

    - ``"pcl"``: consecutive points from points in a random order, by the dependence of each source
      on its own past (permutation-contrastive learning [2]_),

      .. math:: \operatorname{logit} P
          = \textstyle\sum_i B_i \bigl( r_i(x_t), r_i(x_{t-1}) \bigr) + c ;

    - ``"gcl"``: points with their segment from points with that of another (generalized contrastive
      learning [3]_),

      .. math:: \operatorname{logit} P = \textstyle\sum_i \psi_i \bigl( r_i(x), \tau \bigr)
          + b_\tau + c(r(x)) ;

    - ``"ivae"``: it maximises the evidence bound of a model :math:`x = f(z) + \varepsilon` whose
      sources are Gaussian given the segment (identifiable variational autoencoder [4]_). It has a
      decoder, :meth:`inverse_transform`. Since the segment of new recordings is not known, they
      are encoded by a network that has learnt :math:`\mathbb{E}[z \mid x]`.

    **What "tcl" recovers are magnitudes**, :math:`q(s) = \log p(s)` up to scale: :math:`|s_i|` for
    Laplace sources, between :math:`|s_i|` and :math:`s_i^2` for Gaussian ones. Its features are
    :math:`h(x) = A \, q(s) + d`, and a linear unmixing gives the components,
    :math:`z(t) = B \, ( h(x(t)) - \bar h )`. The other methods recover each source itself up to a
    function of its own, sign and order.

    Before anything else the offset of each channel and the gain of each recording (one for all
    channels) are removed, or the network would learn to recognise the electrodes and the amplifier.

    Parameters
    ----------
    n_components : int, default=None
        Number of components, at most the number of channels; None is as many as there are
        linearly independent channels.
    method : {"tcl", "pcl", "gcl", "ivae"}, default="tcl"
        How components are learnt.
    segments : "recording" or int, default="recording"
        What is told apart: recordings, or that many windows of equal length in each recording,
        all different. To identify the components takes at least ``n_components + 1`` segments,
        for "ivae" ``2 * n_components + 1``. "pcl" does not use them: it permutes time within
        recordings.
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
        How "tcl" unmixes features. ``"joint_diagonalization"`` makes the covariances of all
        segments as diagonal as it can, ``"fastica"`` maximises non-Gaussianity. ``"auto"`` takes
        the former where the components' variances change from segment to segment in repeatable
        ways.
    n_init : int, default=1
        Networks that are trained side by side from different initial weights; the one with the
        lowest held-out loss is kept. Time grows in proportion.
    hidden_layer_sizes : tuple of int, default=None
        Width of each layer of :math:`r`; None is two layers of 64.
    learning_rate : float, default=0.02
        Of the optimizer at the start; it falls to 0 over `max_iter` epochs along a cosine. What
        leads from one hidden layer of :math:`r` to the next is trained by Muon (momentum whose
        singular values are made equal [5]_), all else by AdamW.
    weight_decay : float, default=0.01
        Share of the weights between hidden layers, times the learning rate, that a step takes off;
        with less than two hidden layers there are none.
    batch_size : int, default=512
        Time points in a step.
    max_iter : int, default=None
        Epochs; None is 125 for "tcl", whose loss falls for long, and 50 for the others.
    max_samples : int, default=32768
        Time points of an epoch, drawn anew for each one; None is all there are. With the defaults a
        fit makes at most 8000 steps ("tcl") or 3200, however long the recordings are.
    tol : float, default=1e-4
        A fall of the held-out loss by less than ``tol * max(1, loss)`` is none.
    n_iter_no_change : int, default=30
        Epochs without a fall after which training stops. The weights of the best epoch are kept.
    validation_fraction : float, default=0.1
        Share of each segment, one block of consecutive time points, that is held out of training
        to compute the contrastive loss on.
    random_state : int, RandomState or None, default=None
        One seed for initialisation, shuffling, held-out blocks, contrasts and FastICA.
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
        Mean of the network's features.
    unmixing_ : ndarray of shape (n_components, n_components)
        Linear map from the network's features to components, which have mean 0 and variance 1
        over the recordings of `fit`. Those of "tcl" rise with the norm of the whitened channels,
        as :math:`|s|` does; others with the whitened direction that they correlate most with.
    unmixing_method_ : {"joint_diagonalization", "fastica", "none"}
        How it was found; "none" for one component, and for all methods but "tcl", whose features
        are components already.
    contrast_ : ndarray of shape (n_components,)
        Share of the variance of each component's magnitude that lies between segments, in [0, 1];
        for "pcl" how much magnitudes depend on those one step before. Components are in falling
        order of it; `partial_fit` keeps their places.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_.networks[0]`` is the network, of
        ``sklearn_dbt.nn.encoders``.
    loss_curve_ : list of float
        Training loss of each epoch, the mean over the `n_init` networks.
    validation_loss_curve_ : list of float
        Loss of the best of them on held-out time points.
    chance_loss_ : float
        Loss of guessing (for "ivae" of one Gaussian for all segments): what the held-out loss has
        to be below.
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
        If the data cannot identify the components: there are too few segments, strengths change in
        fewer independent ways than there are components, or held-out time points cannot be told
        apart better than by guessing.
    ConvergenceWarning
        If the loss was still falling after `max_iter` epochs, or FastICA did not converge.

    See Also
    --------
    sklearn.decomposition.FastICA : Linear mixtures, of constant strengths too; recovers signs.
    sklearn_dbt.datasets.make_nonlinear_mixture : Mixtures whose sources are known.
    sklearn_dbt.metrics.mean_correlation_coefficient : How well they are recovered.

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
    .. [2] A. Hyvärinen, H. Morioka, "Nonlinear ICA of temporally dependent stationary sources",
       AISTATS 2017.
    .. [3] A. Hyvärinen, H. Sasaki, R. Turner, "Nonlinear ICA using auxiliary variables and
       generalized contrastive learning", AISTATS 2019.
    .. [4] I. Khemakhem, D. Kingma, R. Monti, A. Hyvärinen, "Variational autoencoders and nonlinear
       ICA: a unifying framework", AISTATS 2020.
    .. [5] K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
       https://kellerjordan.github.io/posts/muon/.

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
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
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
        n_init=1,
        hidden_layer_sizes=None,
        learning_rate=0.02,
        weight_decay=0.01,
        batch_size=512,
        max_iter=None,
        max_samples=32_768,
        tol=1e-4,
        n_iter_no_change=30,
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
        self._learn(recorded, X, max_iter=self._n_epochs())
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
            check_varies(self, points)
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
