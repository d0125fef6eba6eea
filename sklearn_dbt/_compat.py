"""The only door to scikit-learn's private tools and to what differs between its versions.

Every private name the library needs is imported here, and nowhere else, so that a change upstream
is mended in one place. ``tests/test_architecture.py`` holds the rest of the package to it.
"""

from __future__ import annotations

import functools

from sklearn.base import TransformerMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.model_selection._split import GroupsConsumerMixin
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_params,
)
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    _num_samples,
    check_is_fitted,
    validate_data,
)

__all__ = [
    "CallbackSupportMixin",
    "GroupsConsumerMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "TableOutputMixin",
    "check_feature_names_in",
    "check_is_fitted",
    "check_sample_weight",
    "fit_context",
    "num_samples",
    "validate_data",
    "validate_params",
    "with_callbacks",
]

fit_context = _fit_context
check_feature_names_in = _check_feature_names_in
check_sample_weight = _check_sample_weight
num_samples = _num_samples


# mypy takes untyped scikit-learn's classes for `object`, whose subclasses have no keywords.
class TableOutputMixin(TransformerMixin, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """A transformer whose 2D output obeys ``set_output`` and whose panels pass untouched.

    scikit-learn wraps every output into the configured container and fails on three axes. Here
    only tables are wrapped, so ``Pipeline.set_output(transform="pandas")`` works on a chain that
    carries panels between its steps.
    """

    # The inherited one is wrapped already, which is what panels must not be; `transform` is ours.
    fit_transform = TransformerMixin.fit_transform.__wrapped__

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)
        cls._sklearn_auto_wrap_output_keys = {"transform"}
        if "transform" in cls.__dict__:
            cls.transform = _wrap_tables(cls.__dict__["transform"])


def _wrap_tables(method):
    @functools.wraps(method)
    def wrapped(self, X, *args, **kwargs):
        output = method(self, X, *args, **kwargs)
        if getattr(output, "ndim", None) != 2:
            return output
        return _wrap_data_with_container("transform", output, X, self)

    return wrapped
