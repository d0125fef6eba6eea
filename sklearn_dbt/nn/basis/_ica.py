"""Independent components of signals, by symmetric FastICA."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features
from ._principal_components import eigenbasis

__all__ = ["ICA"]

# Directions with less than this share of the largest variance carry no signal to unmix.
_NO_VARIANCE = 1e-12


class ICA(Basis):
    r"""Independent components: an unmixing that makes coefficients as non-Gaussian as can be.

    .. math:: c = W (x - \mu), \qquad x = A c + \mu, \qquad A = W^{-1} .

    `fit` whitens the signals and rotates them by the fixed-point iteration

    .. math::

        R \leftarrow (M M^\top)^{-1/2} M, \qquad
        M_k = \mathrm E[z \, g(r_k^\top z)] - \mathrm E[g'(r_k^\top z)] \, r_k,
        \qquad g = \tanh,

    for all components at once. Coefficients of the signals it was fitted to are uncorrelated and
    have variance 1. They are ordered by decreasing negentropy, as approximated by
    :math:`(\mathrm E[\log \cosh c_k] - \mathrm E[\log \cosh \nu])^2` with a standard normal
    :math:`\nu`, and the largest entry of each column of the mixing matrix :math:`A`, in absolute
    value, is positive. Before `fit` it is the identity.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals, at least 1.
    max_iter : int, default=200
        Largest number of iterations.
    tol : float, default=1e-6
        The iteration ends when no component turns by an angle whose cosine differs from 1 by
        more than this.
    seed : int, default=0
        Seed of the rotation it starts with.

    Attributes
    ----------
    mean : Tensor of shape (n_features,)
        Mean :math:`\mu`, float64 unless the module is converted.
    unmixing : Tensor of shape (n_features, n_features)
        The matrix :math:`W`.
    mixing : Tensor of shape (n_features, n_features)
        Its inverse :math:`A`.
    negentropy : Tensor of shape (n_features,)
        Approximate negentropy of each component, up to a factor.
    n_iter : int
        Number of iterations of the last `fit`.

    Notes
    -----
    The transform inverts but is not orthogonal. Directions without variance cannot be unmixed:
    they come last, as principal directions of unit length, so that the transform inverts still.
    At most one independent component may be Gaussian; others are found up to a rotation, in which
    the iteration may not converge.

    References
    ----------
    .. [1] A. Hyvärinen, "Fast and robust fixed-point algorithms for independent component
       analysis", IEEE Transactions on Neural Networks 10(3), 626-634, 1999.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import ICA
    >>> generator = torch.Generator().manual_seed(0)
    >>> sources = torch.rand(500, 2, generator=generator)
    >>> basis = ICA(2).fit(sources @ torch.tensor([[1.0, 0.5], [0.3, 1.0]]))
    >>> c = basis.analysis(sources @ torch.tensor([[1.0, 0.5], [0.3, 1.0]]))
    >>> torch.corrcoef(torch.cat([c, sources], 1).T)[:2, 2:].abs().round(decimals=1).sum(0)
    tensor([1., 1.])
    """

    mean: Tensor
    unmixing: Tensor
    mixing: Tensor
    negentropy: Tensor

    def __init__(
        self, n_features: int, *, max_iter: int = 200, tol: float = 1e-6, seed: int = 0
    ) -> None:
        n = check_n_features(n_features)
        max_iter = check_n_features(max_iter, "max_iter")
        if not tol > 0:
            raise ValueError(f"tol must be positive, got {tol}.")
        super().__init__(n, Layout.make(n))
        self.max_iter, self.tol, self.seed, self.n_iter = max_iter, tol, seed, 0
        self.register_buffer("mean", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("unmixing", torch.eye(n, dtype=torch.float64))
        self.register_buffer("mixing", torch.eye(n, dtype=torch.float64))
        self.register_buffer("negentropy", torch.zeros(n, dtype=torch.float64))

    @torch.no_grad()
    def fit(self, x: Tensor) -> ICA:
        """Set the basis from signals.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Signals; all leading axes count as samples, at least 2.

        Returns
        -------
        ICA
            This basis.

        Raises
        ------
        ValueError
            If `x` has fewer than 2 samples, the wrong length, or values that are not finite; the
            basis is unchanged then.

        Warns
        -----
        RuntimeWarning
            If the iteration has not converged.
        """
        self._check(x, "fit", "x", self.n_features, takes_complex=False)
        samples = x.reshape(-1, self.n_features).double()
        if len(samples) < 2:
            raise ValueError(f"ICA.fit: x must hold at least 2 samples, got {tuple(x.shape)}.")
        if not torch.isfinite(samples).all():
            raise ValueError("ICA.fit: x has values that are not finite.")
        mean = samples.mean(0)
        centred = samples - mean
        variances, directions = eigenbasis(centred.T @ centred / len(samples))
        rank = int((variances > _NO_VARIANCE * variances[0].clamp_min(0)).sum())
        scale = torch.ones_like(variances)
        scale[:rank] = variances[:rank].sqrt()
        whitening, colouring = directions / scale[:, None], directions.T * scale
        white = centred @ whitening[:rank].T
        rotation, negentropy = self._rotation(white)
        unmixing, mixing = whitening.clone(), colouring.clone()
        unmixing[:rank] = rotation @ whitening[:rank]
        mixing[:, :rank] = colouring[:, :rank] @ rotation.T
        signs = _signs(mixing)
        self.mean.copy_(mean)
        self.unmixing.copy_(unmixing * signs[:, None])
        self.mixing.copy_(mixing * signs)
        self.negentropy.zero_()
        self.negentropy[:rank] = negentropy.to(self.negentropy)
        return self

    def _rotation(self, white: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation of white signals to independent ones, and these components' negentropies."""
        rank = white.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        start = torch.randn(rank, rank, generator=generator, dtype=torch.float64)
        rotation = _decorrelated(start.to(white.device))
        change, self.n_iter = math.inf if rank else 0.0, 0
        while change > self.tol and self.n_iter < self.max_iter:
            tanh = torch.tanh(white @ rotation.T)
            slope = (1 - tanh.square()).mean(0)
            turned = _decorrelated(tanh.T @ white / len(white) - slope[:, None] * rotation)
            change = float(((turned * rotation).sum(1).abs() - 1).abs().max())
            rotation, self.n_iter = turned, self.n_iter + 1
        if change > self.tol:
            warnings.warn(
                f"ICA.fit did not converge in max_iter={self.max_iter} iterations (last change "
                f"{change:.2g}, tol={self.tol}); raise max_iter or tol, or give more samples.",
                RuntimeWarning,
                stacklevel=4,
            )
        negentropy = _negentropy(white @ rotation.T)
        order = torch.argsort(negentropy, descending=True, stable=True)
        return rotation[order], negentropy[order]

    def _analysis(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.dtype)) @ self.unmixing.to(x.dtype).T

    def _synthesis(self, c: Tensor) -> Tensor:
        return c @ self.mixing.to(c.dtype).T + self.mean.to(c.dtype)


def _decorrelated(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix, (M Mᵀ)^(-1/2) M."""
    u, _, v = torch.linalg.svd(matrix)
    return u @ v


def _log_cosh(x: Tensor) -> Tensor:
    return x.abs() + torch.log1p(torch.exp(-2 * x.abs())) - math.log(2)


def _negentropy(c: Tensor) -> Tensor:
    # The Gaussian's mean of log cosh, by a quadrature exact to double precision.
    t = torch.linspace(-12, 12, 2001, dtype=torch.float64, device=c.device)
    normal = torch.exp(-t.square() / 2)
    return (_log_cosh(c).mean(0) - (normal * _log_cosh(t)).sum() / normal.sum()).square()


def _signs(mixing: Tensor) -> Tensor:
    largest = mixing.gather(0, mixing.abs().argmax(0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(mixing.dtype)
