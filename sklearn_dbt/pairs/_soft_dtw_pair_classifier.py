"""A classifier of pairs: do two recordings belong together?"""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from skorch import NeuralNet
from torch import Tensor

from sklearn_dbt._compat import (
    Interval,
    StrOptions,
    check_is_fitted,
    check_sample_weight,
    fit_context,
    validate_data,
    with_callbacks,
)
from sklearn_dbt._training import (
    TRAINING_CONSTRAINTS,
    NeuralEstimator,
    Progress,
    WeightedLoss,
    class_weights_of_rows,
    draw_seeds,
    held_out_split,
    keeps_old_fit,
    make_net,
    resolve_device,
)
from sklearn_dbt.pairs._pair_data import Pairs, read_pairs
from sklearn_dbt.pairs._pair_network import PairDataset, PairLoss, PairNetwork
from sklearn_dbt.pairs._platt import fit_line, soft_targets

# Pairs whose distances are computed at once outside training.
PAIRS_AT_ONCE = 1024


class SoftDTWPairClassifier(ClassifierMixin, NeuralEstimator):
    r"""Classify pairs of series by their soft-DTW distance: same or different.

    The distance of two series of n and m samples is the soft-DTW divergence, made comparable
    between pairs of different lengths,

    .. math::

        d(x, z) = \frac{\bar\ell}{n + m} \Bigl(\mathrm{sdtw}_\gamma(x, z)
            - \tfrac12 \mathrm{sdtw}_\gamma(x, x) - \tfrac12 \mathrm{sdtw}_\gamma(z, z)\Bigr),

    with :math:`\bar\ell` the mean of n + m over the training pairs (recordings of one length have
    the divergence itself). The cost of two samples is
    :math:`\sum_c v_c (x_{ci} - z_{cj})^2`. The probability that they belong together is

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

    Parameters
    ----------
    gamma : float, default=1.0
        Smoothing of the soft-DTW, in units of the squared amplitude; the start when it is learned.
    band : int, default=None
        Sakoe-Chiba radius in samples of the longer series; None is no band.
    loss : {"logistic", "contrastive", "combined"}, default="logistic"
        What is minimised.
    learn_gamma : bool, default=False
        Whether :math:`\gamma` is learned.
    learn_channels : bool or "auto", default="auto"
        Whether the channel weights :math:`v_c` are learned; "auto" does so unless the loss is
        "logistic".
    divergence : bool, default=True
        False takes the plain soft-DTW value, which can be negative; only for the logistic loss.
    margin : float, default=1.0
        Distance up to which negative pairs are pushed apart, in units of the mean distance.
    negative_weight : float, default=1.0
        Weight :math:`\mu` of the negative pairs in the contrastive loss.
    contrastive_weight : float, default=1.0
        Weight :math:`\lambda` of the contrastive loss in the combined one.
    preprocessor : array-like of shape (n, n_channels, n_times) or list, default=None
        Panel that pairs given as integers, shape (n_pairs, 2), point into.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class; "balanced" is inversely proportional to its frequency.
    learning_rate : float, default=0.05
        Of the Adam optimizer.
    weight_decay : float, default=0.0
        Ridge penalty on the change of the learned numbers (of logarithms, where they are positive)
        since the start, as the optimizer applies it.
    batch_size : int, default=256
        Pairs in a step; all of them where nothing of the distance is learned.
    max_iter : int, default=100
        Epochs.
    tol : float, default=1e-4
        A fall of the watched loss by less than ``tol * max(1, loss)`` is none.
    n_iter_no_change : int, default=10
        Epochs without a fall after which training stops.
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
        Weight :math:`v_c` of each channel; 1 where they are not learned.
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
        "preprocessor": ["array-like", None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        gamma=1.0,
        band=None,
        loss="logistic",
        *,
        learn_gamma=False,
        learn_channels="auto",
        divergence=True,
        margin=1.0,
        negative_weight=1.0,
        contrastive_weight=1.0,
        preprocessor=None,
        class_weight=None,
        learning_rate=0.05,
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
        self.learn_gamma = learn_gamma
        self.learn_channels = learn_channels
        self.divergence = divergence
        self.margin = margin
        self.negative_weight = negative_weight
        self.contrastive_weight = contrastive_weight
        self.preprocessor = preprocessor
        self.class_weight = class_weight
        self.learning_rate = learning_rate
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

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    @keeps_old_fit
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
        self._check_losses()
        y = validate_data(self, y=y, reset=False)
        pairs = read_pairs(self, X, reset=True, preprocessor=self.preprocessor)
        check_consistent_length(pairs, y)
        same, weights = self._check_labels(y, sample_weight, pairs)
        shuffle_seed, split_seed = draw_seeds(self.random_state, 2)
        train, held_out = self._hold_out(same, np.flatnonzero(weights), groups, split_seed)
        self.device_ = str(resolve_device(self.device))
        self._share = float(np.average(same[train], weights=weights[train]))
        self._soft_targets = soft_targets(same[train], weights[train])
        self._remember_network(pairs.series, len(train), shuffle_seed)
        self.net_ = self._build_net()
        data, held_out = self._start(pairs, same, weights, train, held_out)
        self._start_curves(resume=False)
        progress = Progress(self.tol, self.n_iter_no_change)
        self._train(data, held_out, X=X, y=y, progress=progress)
        self._fit_line(self._distances(data), data)
        return self

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
        pairs = Pairs(pairs.series.astype(self._dtype, copy=False), pairs.lengths, pairs.ids)
        nothing = np.zeros(len(pairs))
        return self._distances(PairDataset(pairs, nothing, nothing, self.device_)).cpu().numpy()

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

    def _learns(self) -> tuple[bool, bool]:
        """Return whether gamma and whether channel weights are learned."""
        auto = self.learn_channels == "auto"
        return self.learn_gamma, self.loss != "logistic" if auto else bool(self.learn_channels)

    def _check_losses(self) -> None:
        name = type(self).__name__
        if self.loss == "contrastive" and not any(self._learns()):
            raise ValueError(
                f"{name}: loss='contrastive' acts on the distance alone, and nothing of it is "
                "learned; set learn_channels=True or learn_gamma=True."
            )
        if self.loss != "logistic" and not self.divergence:
            raise ValueError(
                f"{name}: loss={self.loss!r} needs divergence=True: the plain soft-DTW value can "
                "be negative and has no margin."
            )

    def _check_labels(self, y, sample_weight, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return 0/1 labels and the weights of the pairs; remember the classes."""
        name = type(self).__name__
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"{kind}. {name}: a pair is either the same or different."
            )
        classes, same = np.unique(y, return_inverse=True)
        weights = check_sample_weight(
            sample_weight, pairs.ids, dtype=np.float64, ensure_non_negative=True
        )
        present = np.unique(same[weights > 0])
        if len(present) < 2:
            raise ValueError(
                f"{name} needs pairs of 2 classes, same and different; the data contains only one "
                f"class: {classes[present[0]].tolist()!r}."
            )
        self.classes_ = classes
        return same, weights * class_weights_of_rows(self.class_weight, classes, same)

    def _hold_out(self, same, kept, groups, seed) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on and those to hold out."""
        if not self.early_stopping:
            return kept, kept[:0]
        if groups is None:
            train, held_out = held_out_split(
                len(kept), self.validation_fraction, seed, y=same[kept]
            )
            return kept[train], kept[held_out]
        groups = np.asarray(groups)
        if groups.shape != (len(same), 2):
            raise ValueError(
                f"{type(self).__name__}: groups must have shape ({len(same)}, 2), the two groups "
                f"of each pair; got {groups.shape}."
            )
        names, codes = np.unique(groups[kept], return_inverse=True)
        # Of m groups in all, pairs within a share f of them are a share f squared of all pairs.
        n_held_out = math.ceil(math.sqrt(self.validation_fraction) * len(names))
        chosen = np.random.RandomState(seed).permutation(len(names))[:n_held_out]
        inside = np.isin(codes.reshape(-1, 2), chosen).sum(axis=1)
        train, held_out = kept[inside == 0], kept[inside == 2]
        if len(np.unique(same[train])) < 2 or len(held_out) == 0:
            raise ValueError(
                f"{type(self).__name__}: early_stopping=True leaves {len(train)} training and "
                f"{len(held_out)} held-out pairs when {n_held_out} of {len(names)} groups are held "
                "out, and training needs both classes. Give more pairs, another "
                "validation_fraction or early_stopping=False."
            )
        return train, held_out

    def _remember_network(self, series: np.ndarray, n_train: int, seed: int) -> None:
        """Keep what the network is built from, so that a saved estimator can build it anew."""
        learn_gamma, learn_channels = self._learns()
        self._seed, self._dtype = seed, series.dtype.name
        # Known distances cost nothing: one step takes all of them and has no noise.
        is_known = not (learn_gamma or learn_channels)
        self._batch_size = n_train if is_known else self.batch_size
        self._network_options = {
            "n_channels": series.shape[1],
            "gamma": self.gamma,
            "band": self.band,
            "divergence": self.divergence,
            "learn_gamma": learn_gamma,
            "learn_channels": learn_channels,
            "detach": self.loss == "contrastive",
        }

    def _build_net(self) -> NeuralNet:
        network = PairNetwork(**self._network_options)
        factor = {"logistic": 0.0, "contrastive": 1.0}.get(self.loss, self.contrastive_weight)
        loss = PairLoss(factor, self._share, self.margin, self.negative_weight, self._soft_targets)
        device = torch.device(self.device_)
        return make_net(
            network.to(device=device, dtype=getattr(torch, self._dtype)),
            WeightedLoss(loss),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self._batch_size,
            seed=self._seed,
            device=device,
        )

    def _start(self, pairs: Pairs, same, weights, train, held_out):
        """Set the start from the training pairs; return training and held-out data."""
        network = self.net_.module_
        total = pairs.lengths[pairs.ids].sum(axis=1)
        network.total_length.fill_(float(np.average(total[train], weights=weights[train])))
        everything = PairDataset(pairs, same, weights, self.device_)
        distance = self._distances(everything)
        known = None if any(self._learns()) else distance
        data = everything.part(train, known)
        self._fit_line(distance[train], data)
        mean = torch.sum(data.weights * distance[train]) / data.weights.sum()
        network.mean_distance.fill_(mean if mean > 0 else 1.0)
        return data, everything.part(held_out, known) if len(held_out) else None

    def _fit_line(self, distance: Tensor, data: PairDataset) -> None:
        """Put w and the threshold where they are best for these distances."""
        columns = (distance, data.same, data.weights)
        self.net_.module_.set_line(*fit_line(*(column.cpu().numpy() for column in columns)))

    def _distances(self, data: PairDataset) -> Tensor:
        if data.distance is not None:
            return data.distance
        rows = torch.arange(len(data), device=data.ids.device).split(PAIRS_AT_ONCE)
        with torch.no_grad():
            return torch.cat([self.net_.module_.distance(**data.pair(part)) for part in rows])
