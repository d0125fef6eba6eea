"""What every basis answers: analysis, synthesis, and what each coefficient is."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

__all__ = ["Basis", "Layout"]


@dataclass(frozen=True)
class Layout:
    r"""What each coefficient of a basis is.

    Five tensors of length `n_coefficients`. For an orthogonal basis the weights make Parseval's
    identity hold,

    .. math:: \sum_k w_k |c_k|^2 = \|x\|^2 .

    Parameters
    ----------
    index : Tensor of int64
        Position of the coefficient along the last axis, 0 to `n_coefficients` - 1.
    frequency : Tensor
        Frequency, or centre of the frequency band, in cycles per sample; nan where there is none.
    scale : Tensor of int64
        Wavelet scale in PyWavelets' numbering: 1 is the finest detail, the number of levels is
        the coarsest detail and the approximation. 0 where there is no scale.
    position : Tensor
        Time in samples around which the coefficient is localised; nan where there is none.
    weight : Tensor
        Multiplicity :math:`w_k` of the coefficient: 2 for a complex coefficient that also stands
        for its conjugate, else 1.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import Fourier
    >>> layout = Fourier(8).layout
    >>> layout.frequency.tolist()
    [0.0, 0.125, 0.25, 0.375, 0.5]
    >>> layout.weight.tolist()
    [1.0, 2.0, 2.0, 2.0, 1.0]
    """

    index: Tensor
    frequency: Tensor
    scale: Tensor
    position: Tensor
    weight: Tensor

    @classmethod
    def make(
        cls,
        n_coefficients: int,
        *,
        frequency: Tensor | None = None,
        scale: Tensor | None = None,
        position: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Layout:
        """Fill what is not given: no frequency, scale 0, no position, weight 1.

        Parameters
        ----------
        n_coefficients : int
            Length of the five tensors.
        frequency, scale, position, weight : Tensor of shape (n_coefficients,), default=None
            The tensors that are known.

        Returns
        -------
        Layout
            Floating point tensors have torch's default dtype.

        Examples
        --------
        >>> import torch
        >>> from sklearn_dbt.nn.basis import Layout
        >>> Layout.make(3, frequency=torch.tensor([0.0, 0.25, 0.5])).scale.tolist()
        [0, 0, 0]
        """
        dtype = torch.get_default_dtype()
        nothing = torch.full((n_coefficients,), torch.nan)
        return cls(
            index=torch.arange(n_coefficients),
            frequency=(nothing if frequency is None else frequency).to(dtype),
            scale=torch.zeros(n_coefficients).long() if scale is None else scale.long(),
            position=(nothing if position is None else position).to(dtype),
            weight=(torch.ones(n_coefficients) if weight is None else weight).to(dtype),
        )


class Basis(nn.Module, ABC):
    """A change of coordinates along the last axis of a tensor: linear, or affine.

    A subclass implements `_analysis` and `_synthesis` and hands its `Layout` to this constructor.
    The public methods check the length and the dtype, and compute at least in float32: inputs in
    half precision give float32 or complex64 coefficients, autocasting or not. Fixed numbers are
    buffers, what is learnt by gradients are parameters; the layout is not part of the
    `state_dict`, since the constructor determines it. An analysis may also be nonlinear, as a
    sparse code is, if synthesis is linear: then the subclass says `is_linear = False`.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the last axis of the signals, at least 1.
    layout : Layout
        What each coefficient is; its length is the number of coefficients.
    is_complex : bool, default=False
        Whether coefficients are complex.
    is_orthogonal : bool, default=False
        Whether this is an orthogonal change of coordinates: as many of them as samples, counted
        with the layout's multiplicities, and the same energy.
    is_invertible : bool, default=True
        Whether synthesis inverts analysis to rounding.
    takes_complex : bool, default=False
        Whether signals may be complex. Synthesis then gives complex signals, also from the
        coefficients of real ones; such a basis has complex coefficients.

    Attributes
    ----------
    n_features : int
        Length of the signals.
    n_coefficients : int
        Number of coefficients.
    is_complex, is_orthogonal, is_invertible, takes_complex : bool
        As given.
    needs_covariance : bool
        Whether `update_from_moments` changes the basis.
    is_linear : bool
        Whether analysis is linear or affine; synthesis is so in any case.

    Examples
    --------
    A basis of one's own takes two methods:

    >>> import torch
    >>> from sklearn_dbt.nn.basis import Basis, Layout
    >>> class Reversal(Basis):
    ...     def __init__(self, n_features):
    ...         super().__init__(n_features, Layout.make(n_features), is_orthogonal=True)
    ...     def _analysis(self, x):
    ...         return x.flip(-1)
    ...     def _synthesis(self, c):
    ...         return c.flip(-1)
    >>> Reversal(3).analysis(torch.tensor([1.0, 2.0, 3.0]))
    tensor([3., 2., 1.])
    """

    needs_covariance: bool = False
    is_linear: bool = True

    def __init__(
        self,
        n_features: int,
        layout: Layout,
        *,
        is_complex: bool = False,
        is_orthogonal: bool = False,
        is_invertible: bool = True,
        takes_complex: bool = False,
    ) -> None:
        super().__init__()
        if takes_complex and not is_complex:
            raise ValueError("A basis with takes_complex=True must have is_complex=True.")
        self.n_features = check_n_features(n_features)
        self.n_coefficients = layout.index.numel()
        self.is_complex = is_complex
        self.is_orthogonal = is_orthogonal
        self.is_invertible = is_invertible
        self.takes_complex = takes_complex
        for field in fields(Layout):
            value = getattr(layout, field.name)
            self.register_buffer(f"_layout_{field.name}", value, persistent=False)

    @property
    def layout(self) -> Layout:
        """What each coefficient is, on the device of the module."""
        return Layout(**{f.name: getattr(self, f"_layout_{f.name}") for f in fields(Layout)})

    def analysis(self, x: Tensor) -> Tensor:
        """Coefficients of signals.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Signals: real, or complex where the basis takes complex ones.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Coefficients, in the precision of `x` (float32 at least).

        Raises
        ------
        ValueError
            If the last axis of `x` does not have length `n_features`.
        TypeError
            If `x` is not a floating point tensor, or complex where the basis takes real signals.
        """
        self._check(x, "analysis", "x", self.n_features, takes_complex=self.takes_complex)
        x = _at_least_float32(x)
        if x.numel() == 0:
            dtype = x.dtype.to_complex() if self.is_complex else x.dtype
            return x.new_zeros(*x.shape[:-1], self.n_coefficients, dtype=dtype)
        with _without_autocast(x):
            return self._analysis(x)

    def synthesis(self, c: Tensor) -> Tensor:
        """Signals from coefficients.

        Parameters
        ----------
        c : Tensor of shape (..., n_coefficients)
            Coefficients.

        Returns
        -------
        Tensor of shape (..., n_features)
            Signals, in the precision of `c` (float32 at least): real, or complex where the
            basis takes complex ones.

        Raises
        ------
        ValueError
            If the last axis of `c` does not have length `n_coefficients`.
        TypeError
            If `c` is not a floating point tensor, or complex where the basis is real.
        """
        self._check(c, "synthesis", "c", self.n_coefficients, takes_complex=self.is_complex)
        c = _at_least_float32(c)
        if c.numel() == 0:
            dtype = c.dtype.to_complex() if self.takes_complex else c.dtype.to_real()
            return c.new_zeros(*c.shape[:-1], self.n_features, dtype=dtype)
        with _without_autocast(c):
            return self._synthesis(c)

    def forward(self, x: Tensor) -> Tensor:
        """Coefficients of signals: the same as `analysis`.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Signals.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Coefficients.
        """
        return self.analysis(x)

    def update_from_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Adapt the basis to the moments of the signals; does nothing for a fixed basis.

        Moments are gathered by the caller, outside `forward`, so that the basis stands still
        between two updates. Bases that adapt have `needs_covariance` set.

        Parameters
        ----------
        mean : Tensor of shape (n_features,)
            Mean of the signals.
        covariance : Tensor of shape (n_features, n_features)
            Their covariance.
        """

    @abstractmethod
    def _analysis(self, x: Tensor) -> Tensor:
        """Coefficients of checked signals."""

    @abstractmethod
    def _synthesis(self, c: Tensor) -> Tensor:
        """Signals from checked coefficients."""

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"{self.n_features}"

    def __repr__(self) -> str:
        # A basis is one thing: which modules it keeps its filters in is not shown.
        return f"{type(self).__name__}({self.extra_repr()})"

    def _check(
        self, tensor: Tensor, method: str, name: str, length: int, *, takes_complex: bool
    ) -> None:
        where = f"{type(self).__name__}.{method}"
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{where}: {name} must be a torch.Tensor, got {type(tensor).__name__}.")
        if not (tensor.is_floating_point() or (takes_complex and tensor.is_complex())):
            kind = "real or complex" if takes_complex else "real"
            raise TypeError(
                f"{where}: {name} must be a {kind} floating point tensor, got {tensor.dtype}."
            )
        if tensor.ndim == 0 or tensor.shape[-1] != length:
            raise ValueError(
                f"{where}: the last axis of {name} must have length {length} "
                f"(n_features={self.n_features}), got shape {tuple(tensor.shape)}."
            )


def check_n_features(n_features: int, name: str = "n_features") -> int:
    """Return `n_features` as an int of at least 1, or say what is wrong with it."""
    if isinstance(n_features, bool):
        raise TypeError(f"{name} must be an integer of at least 1, got a bool.")
    try:
        value = operator.index(n_features)
    except TypeError:
        kind = type(n_features).__name__
        raise TypeError(f"{name} must be an integer of at least 1, got a {kind}.") from None
    if value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value}.")
    return value


def _at_least_float32(tensor: Tensor) -> Tensor:
    # torch.fft has no half precision on the CPU, and rates of 1e-3 need more than bfloat16.
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _without_autocast(tensor: Tensor) -> AbstractContextManager:
    device = tensor.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()
