"""A classifier of pairs: do two recordings belong together?"""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
from scipy.special import expit
from torch import nn

from sklearn_dbt._compat import HasMethods, Interval, StrOptions, check_is_fitted
from sklearn_dbt._training import TRAINING_CONSTRAINTS
from sklearn_dbt.pairs._base import BasePairClassifier
from sklearn_dbt.pairs._inference import distances, in_evaluation
from sklearn_dbt.pairs._pair_batches import PairDataset
from sklearn_dbt.pairs._pair_data import read_pairs


class SoftDTWPairClassifier(BasePairClassifier):
    r"""Classify pairs of series by their soft-DTW distance: same or different.

    The distance of two series of n and m samples is the soft-DTW divergence, made comparable
    between pairs of different lengths,

    .. math::

        d(x, z) = \frac{\bar\ell}{n + m} \Bigl(\mathrm{sdtw}_\gamma(x, z)
            - \tfrac12 \mathrm{sdtw}_\gamma(x, x) - \tfrac12 \mathrm{sdtw}_\gamma(z, z)\Bigr),

    of the recordings themselves or of what an `encoder` makes of them, with :math:`\bar\ell` the
    mean of n + m over the training pairs (recordings of one length have the divergence itself). The
    cost of two samples is :math:`\sum_c v_c (x_{ci} - z_{cj})^2`. The probability that they belong
    together is

    .. math::

        P(\text{same}) = \sigma(\alpha - w\, d(x, z)), \qquad w > 0.

    The scale w and the threshold :math:`\alpha` are always learned; the channel weights
    :math:`v_c` and the smoothing :math:`\gamma` on request. Positive numbers are learned as
    exponentials, by the Adam optimizer. The losses are

    .. math::

        L_{ce} &= \text{mean cross-entropy of } P \\
        L_{ctr} &= \operatorname{mean}_P \tilde d
            + \mu \operatorname{mean}_N [\text{margin} - \tilde d]_+

    with :math:`\tilde d` the distance in units of its mean over the training pairs before training:
    "logistic" is :math:`L_{ce}`; "contrastive" moves the distance by :math:`L_{ctr}` alone, while
    :math:`L_{ce}` fits w and :math:`\alpha` to it without acting back; "combined" is
    :math:`L_{ce} + \lambda L_{ctr}`. The cross-entropy asks for Platt's soft targets, not for 0 and
    1, so that w stays finite where the classes do not overlap. Before and after training w and
    :math:`\alpha` are solved for exactly, whatever the loss: probabilities are calibrated on the
    training pairs.

    Where nothing of the distance is learned, which is the default, all distances are computed once
    and what is left is a logistic regression of one number.

    Where something is learned, `mining` chooses the pairs of each epoch. Every recording that is in
    pairs of both kinds is an anchor a once, and each of its positives p is joined by negatives n.
    Semi-hard ones [5]_, :math:`d(a, p) < d(a, n) < d(a, p) + \text{margin}`, go first; after them
    the nearest. The distances that choose are computed once an epoch and enter no gradient.

    Parameters
    ----------
    gamma : float, default=1.0
        Smoothing of the soft-DTW, in units of the squared amplitude; the start when it is learned.
    band : int, default=None
        Sakoe-Chiba radius in samples of the longer series; None is no band.
    loss : {"logistic", "contrastive", "combined"}, default="logistic"
        What is minimised.
    encoder : torch.nn.Module, transformer or None, default=None
        A module from (n, n_channels, n_times) to (n, n_channels_out, n_times_out) is copied and
        trained with the distance, on recordings of equal length at a time. A transformer or
        Pipeline is cloned and fitted to the training recordings, without labels; in a
        :class:`~sklearn.frozen.FrozenEstimator` it stays as it was fitted. None compares the
        recordings themselves.
    n_components : int, default=None
        Project the channels on this many principal components of the training recordings, after a
        transformer and before a module. None keeps all channels.
    downsampling : int, default=1
        Average this many adjacent samples into one, after the projection. Two makes soft-DTW four
        times cheaper.
    learn_gamma : bool, default=False
        Whether :math:`\gamma` is learned.
    learn_channels : bool or "auto", default="auto"
        Whether the channel weights :math:`v_c` are learned; "auto" does so unless the loss is
        "logistic" or a module as encoder can do it.
    divergence : bool, default=True
        False takes the plain soft-DTW value, which can be negative; only for the logistic loss.
    margin : float, default=1.0
        Distance up to which negative pairs are pushed apart, in units of the mean distance.
    negative_weight : float, default=1.0
        Weight :math:`\mu` of the negative pairs in the contrastive loss.
    contrastive_weight : float, default=1.0
        Weight :math:`\lambda` of the contrastive loss in the combined one.
    mining : {"semi-hard", "hard", "random"} or None, default=None
        How the negatives of an anchor are chosen: see above; the nearest; at random. None takes all
        pairs in random order.
    positives_per_anchor : int, default=2
        Positives that are drawn for each anchor in an epoch.
    negatives_per_positive : int, default=2
        Negatives that are chosen for each of them.
    preprocessor : array-like of shape (n, n_channels, n_times), list or callable, default=None
        Panel that pairs given as integers, shape (n_pairs, 2), point into; or
        ``preprocessor(names)`` that gives the recordings of an array of distinct names or numbers.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class; "balanced" is inversely proportional to its frequency.
    learning_rate : float, default=0.05
        Of the Adam optimizer.
    encoder_learning_rate : float, default=0.001
        The same for the weights of a module as encoder.
    weight_decay : float, default=0.0
        Ridge penalty on the change of the learned numbers (of logarithms, where they are positive)
        since the start, and on the weights of a module, as the optimizer applies it.
    batch_size : int, default=256
        Pairs in a step; all of them where nothing of the distance is learned. With `mining` a
        batch ends with the anchor that fills it.
    max_iter : int, default=100
        Epochs.
    tol : float, default=1e-4
        A fall of the watched loss by less than ``tol * max(1, loss)`` is none.
    n_iter_no_change : int, default=10
        Epochs without a fall after which training stops. With `mining` the training loss tells
        nothing of that, and all epochs are run unless pairs are held out.
    early_stopping : bool, default=False
        Hold out pairs, watch their loss and keep the best epoch. Otherwise the training loss is
        watched.
    validation_fraction : float, default=0.1
        Share held out. When `fit` gets groups, pairs within some groups are held out and pairs that
        cross to the others are dropped.
    random_state : int, RandomState or None, default=None
        One seed for shuffling and the held-out pairs.
    device : str or torch.device, default="auto"
        Where to train; "auto" is CUDA where there is one.
    verbose : int, default=0
        Log epochs at level INFO of the logger ``sklearn_dbt``, instead of DEBUG.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The two labels; the second one is that of pairs that belong together.
    gamma_ : float
        Smoothing at the end.
    channel_weights_ : ndarray of shape (n_channels,)
        Weight :math:`v_c` of each channel that is compared; 1 where they are not learned.
    encoder_ : torch.nn.Module, transformer or None
        The encoder as trained or fitted.
    components_ : ndarray of shape (n_components, n_channels) or None
        The principal components of the channels.
    scale_ : float
        Scale w of the distance in the logit.
    threshold_ : float
        Threshold :math:`\alpha`; a pair is called the same where ``scale_ * distance`` is below it.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_loss_curve_ : list of float
        Held-out loss of each epoch; empty without `early_stopping`.
    n_iter_ : int
        Epochs run.
    device_ : str
        Where it was trained.
    n_features_in_ : int
        Channels of a series, or columns of a table.
    feature_names_in_ : ndarray of str
        Names of columns, when `X` had any. Only for tables.

    See Also
    --------
    make_pairs : Draw labelled pairs from labelled recordings.
    sklearn_dbt.PairGroupKFold : Cross-validate with no recording on both sides.
    sklearn_dbt.nn.soft_dtw : The distance, for any torch code.

    Notes
    -----
    `X` is one of: an array (n_pairs, 2, n_channels, n_times); a list of two-tuples of
    (n_channels, n_times_i) arrays; with `preprocessor` an integer array (n_pairs, 2); a table,
    whose rows are read as two halves that overlap in the middle column when there is one.

    Amplitudes are taken as they are: scale recordings first (:class:`~sklearn_dbt.ChannelScaler`)
    so that ``gamma`` near 1 makes sense. The number of threads is torch's
    (:func:`torch.set_num_threads`).

    References
    ----------
    .. [1] M. Cuturi and M. Blondel, "Soft-DTW: a Differentiable Loss Function for Time-Series",
       ICML 2017.
    .. [2] M. Blondel, A. Mensch and J.-P. Vert, "Differentiable Divergences Between Time Series",
       AISTATS 2021.
    .. [3] R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality Reduction by Learning an Invariant
       Mapping", CVPR 2006.
    .. [4] J. Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to
       Regularized Likelihood Methods", Advances in Large Margin Classifiers, 1999.
    .. [5] F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: A Unified Embedding for Face
       Recognition and Clustering", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import SoftDTWPairClassifier, make_pairs
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(40) % 2
    >>> onset = rng.integers(0, 20, size=(40, 1))
    >>> t = np.arange(40) - onset
    >>> X = np.where(y[:, None] == 1, t > 0, (t > 0) & (t < 10)) + 0.1 * rng.normal(size=(40, 40))
    >>> pairs, same, _ = make_pairs(X, y, n_pairs=100, random_state=0)
    >>> model = SoftDTWPairClassifier(gamma=0.1, random_state=0).fit(pairs[:60], same[:60])
    >>> bool(model.score(pairs[60:], same[60:]) > 0.9)
    True
    """

    _parameter_constraints: dict = {
        **{k: v for k, v in TRAINING_CONSTRAINTS.items() if k != "warm_start"},
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "band": [Interval(Integral, 0, None, closed="left"), None],
        "loss": [StrOptions({"logistic", "contrastive", "combined"})],
        "learn_gamma": ["boolean"],
        "learn_channels": ["boolean", StrOptions({"auto"})],
        "divergence": ["boolean"],
        "margin": [Interval(Real, 0, None, closed="neither")],
        "negative_weight": [Interval(Real, 0, None, closed="left")],
        "contrastive_weight": [Interval(Real, 0, None, closed="neither")],
        "encoder": [nn.Module, HasMethods(["fit", "transform"]), None],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "downsampling": [Interval(Integral, 1, None, closed="left")],
        "mining": [StrOptions({"semi-hard", "hard", "random"}), None],
        "positives_per_anchor": [Interval(Integral, 1, None, closed="left")],
        "negatives_per_positive": [Interval(Integral, 1, None, closed="left")],
        "encoder_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "preprocessor": ["array-like", callable, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        gamma=1.0,
        band=None,
        loss="logistic",
        *,
        encoder=None,
        n_components=None,
        downsampling=1,
        learn_gamma=False,
        learn_channels="auto",
        divergence=True,
        margin=1.0,
        negative_weight=1.0,
        contrastive_weight=1.0,
        mining=None,
        positives_per_anchor=2,
        negatives_per_positive=2,
        preprocessor=None,
        class_weight=None,
        learning_rate=0.05,
        encoder_learning_rate=0.001,
        weight_decay=0.0,
        batch_size=256,
        max_iter=100,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        random_state=None,
        device="auto",
        verbose=0,
    ):
        self.gamma = gamma
        self.band = band
        self.loss = loss
        self.encoder = encoder
        self.n_components = n_components
        self.downsampling = downsampling
        self.learn_gamma = learn_gamma
        self.learn_channels = learn_channels
        self.divergence = divergence
        self.margin = margin
        self.negative_weight = negative_weight
        self.contrastive_weight = contrastive_weight
        self.mining = mining
        self.positives_per_anchor = positives_per_anchor
        self.negatives_per_positive = negatives_per_positive
        self.preprocessor = preprocessor
        self.class_weight = class_weight
        self.learning_rate = learning_rate
        self.encoder_learning_rate = encoder_learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        # Halves of a table's row are no pair of series; on real pairs the score is good.
        tags.classifier_tags.poor_score = True
        return tags

    def fit(self, X, y, sample_weight=None, groups=None):
        """Learn when two series belong together.

        Parameters
        ----------
        X : array-like of shape (n_pairs, 2, n_channels, n_times), or another form of pairs
            The pairs (see the notes on the class). float32 is faster than float64.
        y : array-like of shape (n_pairs,)
            Two labels of any kind; the greater one means the same.
        sample_weight : array-like of shape (n_pairs,), default=None
            Weight of each pair in the loss. Weight 0 leaves a pair out.
        groups : array-like of shape (n_pairs, 2), default=None
            Groups of both series that `early_stopping` keeps on one side.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            For bad parameters or data, among them a band too narrow for the lengths; nothing is
            trained then.
        """
        self._validate_params()
        return self._fit_all(X, y, sample_weight, groups)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch on these pairs, from where the estimator stands.

        The first call fixes what is fixed before training: a transformer, principal components,
        the units of distance and margin. Where nothing of the distance is learned, scale and
        threshold are solved for exactly from the distances of all pairs given so far, as if `fit`
        had got them together; otherwise they take their steps with the rest.
        Parameters changed since the first call take effect in the next `fit`.

        Parameters
        ----------
        X : array-like of shape (n_pairs, 2, n_channels, n_times), or another form of pairs
            The pairs; those of the first call must be of both kinds.
        y : array-like of shape (n_pairs,)
            Their labels.
        classes : array-like of shape (2,), default=None
            Both labels; needed in the first call.
        sample_weight : array-like of shape (n_pairs,), default=None
            Weight of each pair in the loss.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the first call has no `classes`, `y` holds others, or ``class_weight="balanced"``,
            which cannot be known before all pairs are.
        """
        self._validate_params()
        return self._fit_one_epoch(X, y, classes, sample_weight)

    def decision_function(self, X):
        """Logit of each pair's belonging together.

        Parameters
        ----------
        X : array-like of shape (n_pairs, 2, n_channels, n_times), or another form of pairs
            The pairs.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Positive where they are called the same.
        """
        distance = self.pair_distance(X)
        network = self.net_.module_
        return network.threshold.item() - distance * distance.dtype.type(network.scale.item())

    def predict_proba(self, X):
        """Probability of both classes.

        Parameters
        ----------
        X : array-like of shape (n_pairs, 2, n_channels, n_times), or another form of pairs
            The pairs.

        Returns
        -------
        ndarray of shape (n_pairs, 2)
            Columns as in ``classes_``.
        """
        logit = self.decision_function(X)
        return np.stack([expit(-logit), expit(logit)], axis=1)

    def predict(self, X):
        """More probable class of each pair.

        Parameters
        ----------
        X : array-like of shape (n_pairs, 2, n_channels, n_times), or another form of pairs
            The pairs.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Class labels.
        """
        is_same = self.decision_function(X) > 0
        return self.classes_[is_same.astype(int)]

    def pair_distance(self, X):
        """Distance of both series of each pair, as it was learned.

        Parameters
        ----------
        X : array-like of shape (n_pairs, 2, n_channels, n_times), or another form of pairs
            The pairs.

        Returns
        -------
        ndarray of shape (n_pairs,)
            In the precision of the training pairs.
        """
        check_is_fitted(self, "net_")
        pairs = read_pairs(self, X, reset=False, preprocessor=self.preprocessor)
        nothing = np.zeros(len(pairs))
        data = PairDataset(self._prepare(pairs), nothing, nothing, self.device_)
        return distances(self.net_.module_, data).cpu().numpy()

    def pairwise_distances(self, X, Y=None):
        """Distance of every recording to every other, as it was learned.

        What neighbours, clusterings and embeddings take with ``metric="precomputed"``.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings, not pairs.
        Y : array-like of shape (m, n_channels, n_times) or (m, n_times), or list, default=None
            Other recordings. None takes those of `X`, each pair once.

        Returns
        -------
        ndarray of shape (n, m)
            Exactly symmetric without `Y`; then 0 on the diagonal, unless ``divergence=False``.

        Raises
        ------
        ValueError
            For bad data or another number of channels than in `fit`.
        """
        check_is_fitted(self, "net_")
        network = self.net_.module_
        sets = [self._embed_recordings(one) for one in (X, Y) if one is not None]
        with in_evaluation(network):
            return network.matrix(*sets).cpu().numpy()

    def encode(self, X):
        """Series as they are compared: encoded, projected, downsampled, their channels weighted.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
            Recordings, not pairs.

        Returns
        -------
        list of n ndarray of shape (n_channels_out, n_times_out_i)

        Raises
        ------
        ValueError
            For bad data or another number of channels than in `fit`.
        """
        check_is_fitted(self, "net_")
        series, lengths, _ = self._embed_recordings(X)
        return [one[:, :n].cpu().numpy() for one, n in zip(series, lengths, strict=True)]

    @property
    def encoder_(self):
        """The encoder as trained or fitted."""
        module = self.net_.module_.encoder
        return self._front.transformer if module is None else module

    @property
    def components_(self) -> np.ndarray | None:
        """Principal components of the channels."""
        return self._front.components

    @property
    def gamma_(self) -> float:
        """Smoothing at the end."""
        return self.net_.module_.start_gamma * math.exp(self.net_.module_.zeta.item())

    @property
    def channel_weights_(self) -> np.ndarray:
        """Weight of each channel, shape (n_channels,)."""
        return self.net_.module_.channel_weights.detach().cpu().numpy()

    @property
    def scale_(self) -> float:
        """Scale w of the distance in the logit."""
        return self.net_.module_.scale.item()

    @property
    def threshold_(self) -> float:
        """Threshold of the scaled distance."""
        return self.net_.module_.threshold.item()
