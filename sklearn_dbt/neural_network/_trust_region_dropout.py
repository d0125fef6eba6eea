"""Regressor and classifier whose dropout rates are moved in a basis, under a trust region."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor, nn

from sklearn_dbt._compat import StrOptions
from sklearn_dbt._training import class_weights_of_rows
from sklearn_dbt.neural_network._base import BaseTrustRegionDropout
from sklearn_dbt.neural_network._parameters import ATTRIBUTES, PARAMETERS


class TrustRegionDropoutRegressor(RegressorMixin, BaseTrustRegionDropout):
    __doc__ = f"""Neural network regression with dropout in a basis under a trust region.

    Each channel of a recording is moved into a basis, coefficient :math:`k` is dropped at a rate

    .. math:: p_k = p_{{min}} + (p_{{max}} - p_{{min}}) \\,
              \\sigma\\Bigl(\\sum_j w_j \\phi_j(k) + \\gamma\\Bigr)

    that its energy and place decide, and a trust region on the training objective moves
    :math:`w` and :math:`\\gamma` during training: no step may change the rates by more than the
    radius, and a step that does not keep what its model promised is taken back. Channels and
    targets are standardised inside; the loss is the mean squared error. Prediction drops nothing.
    {PARAMETERS}
    Attributes
    ----------{ATTRIBUTES}
    See Also
    --------
    TrustRegionDropoutClassifier : The same for classes.
    sklearn_dbt.nn.TransformDropout : The layer, for any torch code.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A
       Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
    .. [2] A. R. Conn, N. I. M. Gould and P. L. Toint, "Trust-Region Methods", SIAM, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import TrustRegionDropoutRegressor
    >>> rng = np.random.default_rng(0)
    >>> frequency = rng.uniform(0.05, 0.2, size=200)
    >>> X = np.sin(2 * np.pi * frequency[:, None] * np.arange(32))
    >>> X = X + 0.1 * rng.normal(size=X.shape)
    >>> model = TrustRegionDropoutRegressor(random_state=0).fit(X[:150], frequency[:150])
    >>> bool(model.score(X[150:], frequency[150:]) > 0.8)
    True
    >>> history = model.trust_region_history_
    >>> bool(np.all(history["step_norm"] <= history["radius"]))
    True
    """

    _y_options = {"multi_output": True, "y_numeric": True}
    _loss = staticmethod(nn.functional.mse_loss)
    _likelihood = "gaussian"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch on these recordings, from where the estimator stands.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times)
            Recordings.
        y : array-like of shape (n,) or (n, n_outputs)
            Targets. Those of the first call fix how targets are scaled.
        sample_weight : array-like of shape (n,), default=None
            Weight of each recording.

        Returns
        -------
        self : estimator
        """
        self._validate_params()
        return self._fit_one_epoch(X, y, sample_weight, resume=hasattr(self, "net_"))

    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times)
            Recordings.

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs)
            In the precision of the network.
        """
        outputs = self._outputs(X)
        outputs = outputs * self._target_scale + self._target_mean
        return outputs[:, 0] if self._target_is_1d else outputs

    @property
    def _n_outputs(self) -> int:
        return len(self._target_mean)

    def _encode_target(self, y: np.ndarray, resume: bool, classes=None) -> np.ndarray:  # noqa: ARG002
        columns = y.reshape(len(y), -1)
        if resume and columns.shape[1] != self._n_outputs:
            raise ValueError(
                f"{type(self).__name__}: y has {columns.shape[1]} outputs, but {self._n_outputs} "
                "were seen in the fit that this one continues."
            )
        self._target_is_1d = y.ndim == 1
        return columns

    def _scale_target(self, y: np.ndarray, weights: np.ndarray) -> None:
        dtype = self._moments[0].dtype
        mean = np.average(y, axis=0, weights=weights)
        scale = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
        scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
        self._target_mean, self._target_scale = mean.astype(dtype), scale.astype(dtype)

    def _network_target(self, y: np.ndarray, dtype: np.dtype) -> Tensor:
        return torch.from_numpy(((y - self._target_mean) / self._target_scale).astype(dtype))


class TrustRegionDropoutClassifier(ClassifierMixin, BaseTrustRegionDropout):
    __doc__ = f"""Neural network classification with dropout in a basis under a trust region.

    Each channel of a recording is moved into a basis, coefficient :math:`k` is dropped at a rate

    .. math:: p_k = p_{{min}} + (p_{{max}} - p_{{min}}) \\,
              \\sigma\\Bigl(\\sum_j w_j \\phi_j(k) + \\gamma\\Bigr)

    that its energy and place decide, and a trust region on the training objective moves
    :math:`w` and :math:`\\gamma` during training: no step may change the rates by more than the
    radius, and a step that does not keep what its model promised is taken back. Channels are
    standardised inside; the loss is the cross-entropy. Prediction drops nothing.
    {PARAMETERS}    class_weight : dict, "balanced" or None, default=None
        Weight of each class; "balanced" is inversely proportional to its frequency.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.{ATTRIBUTES}
    See Also
    --------
    TrustRegionDropoutRegressor : The same for numbers.
    sklearn_dbt.nn.TransformDropout : The layer, for any torch code.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A
       Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
    .. [2] A. R. Conn, N. I. M. Gould and P. L. Toint, "Trust-Region Methods", SIAM, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import TrustRegionDropoutClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 2
    >>> tone = np.sin(2 * np.pi * (0.05 + 0.1 * y)[:, None] * np.arange(64))
    >>> X = tone + rng.normal(size=(120, 64))
    >>> model = TrustRegionDropoutClassifier(random_state=0).fit(X[:80], y[:80])
    >>> bool(model.score(X[80:], y[80:]) > 0.9)
    True
    >>> model.drop_rates_.shape
    (33,)
    """

    _parameter_constraints: dict = {
        **BaseTrustRegionDropout._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _loss = staticmethod(nn.functional.cross_entropy)
    _likelihood = "given"

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
        class_weight=None,
    ):
        super().__init__(
            basis,
            basis_options=basis_options,
            policy=policy,
            mask_sharing=mask_sharing,
            controller=controller,
            objective=objective,
            controller_options=controller_options,
            dropout_rate=dropout_rate,
            dropout_on=dropout_on,
            backbone=backbone,
            hidden_layer_sizes=hidden_layer_sizes,
            kernel_size=kernel_size,
            activation=activation,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_iter=max_iter,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            update_every=update_every,
            warm_up=warm_up,
            locks=locks,
            sampling_rate=sampling_rate,
            random_state=random_state,
            device=device,
            warm_start=warm_start,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch on these recordings, from where the estimator stands.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times)
            Recordings.
        y : array-like of shape (n,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever occur; needed in the first call.
        sample_weight : array-like of shape (n,), default=None
            Weight of each recording.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the first call has no `classes`, or `y` holds others.
        """
        self._validate_params()
        resume = hasattr(self, "net_")
        if classes is None and not resume:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            classes = np.unique(classes)
            if resume and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes={classes} differ from those of the first call, {self.classes_}."
                )
        return self._fit_one_epoch(X, y, sample_weight, resume=resume, classes=classes)

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times)
            Recordings.

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the precision of the network; columns as in ``classes_``.
        """
        logits = self._outputs(X)
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Most probable class.

        Parameters
        ----------
        X : array-like of shape (n, n_channels, n_times) or (n, n_times)
            Recordings.

        Returns
        -------
        ndarray of shape (n,)
            Class labels.
        """
        codes = self._outputs(X).argmax(axis=1)
        return self.classes_[codes]

    @property
    def _n_outputs(self) -> int:
        return len(self.classes_)

    def _encode_target(self, y: np.ndarray, resume: bool, classes=None) -> np.ndarray:
        check_classification_targets(y)
        if not resume:
            self.classes_ = np.unique(y) if classes is None else classes
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"{type(self).__name__}: y holds labels {unknown.tolist()} that are not among the "
                f"classes {self.classes_.tolist()}."
            )
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes in y; the data contains only one "
                f"class: {self.classes_.tolist()[0]!r}."
            )
        return np.searchsorted(self.classes_, y)

    def _class_weights(self, y: np.ndarray) -> np.ndarray:
        return class_weights_of_rows(self.class_weight, self.classes_, y)

    def _scale_target(self, y: np.ndarray, weights: np.ndarray) -> None:
        pass

    def _network_target(self, y: np.ndarray, dtype: np.dtype) -> Tensor:  # noqa: ARG002
        return torch.from_numpy(y)
