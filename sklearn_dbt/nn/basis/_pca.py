"""Principal components (Karhunen-Loève transform) of the signals seen so far."""

from __future__ import annotations

import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features
from ._principal_components import eigenbasis

__all__ = ["PCA"]


class PCA(Basis):
    r"""Principal components of the signals, ordered by decreasing variance.

    .. math:: c = V (x - \mu), \qquad x = V^\top c + \mu,
              \qquad \Sigma = V^\top \operatorname{diag}(\lambda) \, V .

    The map is affine: Parseval's identity holds for :math:`x - \mu`. Before any data it is the
    identity (:math:`V = I`, :math:`\mu = 0`, :math:`\lambda = 1`). The signs are fixed as in
    scikit-learn: the largest entry of each component, in absolute value, is positive. Inside an
    eigenspace of more than one dimension the components are orthonormal but arbitrary.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals, at least 1.

    Attributes
    ----------
    mean : Tensor of shape (n_features,)
        Mean :math:`\mu`, float64 unless the module is converted.
    components : Tensor of shape (n_features, n_features)
        Rows are the components :math:`V`.
    eigenvalues : Tensor of shape (n_features,)
        Variances :math:`\lambda_1 \ge \dots \ge \lambda_n \ge 0`.

    See Also
    --------
    principal_components : The same decomposition as a function that can be differentiated.

    References
    ----------
    .. [1] I. T. Jolliffe, "Principal Component Analysis", 2nd edition, Springer, 2002.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import PCA
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    >>> basis = PCA(2).fit(x)
    >>> basis.eigenvalues.round(decimals=6).tolist()
    [5.0, 0.0]
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-6)
    True
    """

    needs_covariance = True
    mean: Tensor
    components: Tensor
    eigenvalues: Tensor

    def __init__(self, n_features: int) -> None:
        n = check_n_features(n_features)
        super().__init__(n, Layout.make(n), is_orthogonal=True)
        # float64 whatever the signals are: an eigenbasis rounded to float32 is not orthogonal.
        self.register_buffer("mean", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("components", torch.eye(n, dtype=torch.float64))
        self.register_buffer("eigenvalues", torch.ones(n, dtype=torch.float64))

    @torch.no_grad()
    def fit(self, x: Tensor) -> PCA:
        """Set the basis from signals.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Signals; all leading axes count as samples. The covariance is unbiased; one sample
            alone gives variance zero.

        Returns
        -------
        PCA
            This basis.

        Raises
        ------
        ValueError
            If `x` has no sample, the wrong length, or values that are not finite.
        """
        self._check(x, "fit", "x", self.n_features, takes_complex=False)
        samples = x.reshape(-1, self.n_features).double()
        if len(samples) == 0:
            raise ValueError(f"PCA.fit: x must hold at least 1 sample, got {tuple(x.shape)}.")
        mean = samples.mean(0)
        centred = samples - mean
        self.update_from_moments(mean, centred.T @ centred / max(len(samples) - 1, 1))
        return self

    @torch.no_grad()
    def update_from_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Set the basis from the moments of the signals.

        Parameters
        ----------
        mean : Tensor of shape (n_features,)
            Mean of the signals.
        covariance : Tensor of shape (n_features, n_features)
            Their covariance; its symmetric part is used.

        Raises
        ------
        ValueError
            If a shape is wrong or a value is not finite; the basis is unchanged then.
        """
        n = self.n_features
        for name, value, shape in (("mean", mean, (n,)), ("covariance", covariance, (n, n))):
            if tuple(value.shape) != shape:
                raise ValueError(
                    f"PCA.update_from_moments: {name} must have shape {shape}, "
                    f"got {tuple(value.shape)}."
                )
            if not torch.isfinite(value).all():
                raise ValueError(f"PCA.update_from_moments: {name} has values that are not finite.")
        covariance = covariance.double()
        eigenvalues, components = eigenbasis((covariance + covariance.T) / 2)
        self.mean.copy_(mean)
        self.components.copy_(components)
        self.eigenvalues.copy_(eigenvalues.clamp_min(0))

    def _analysis(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.dtype)) @ self.components.to(x.dtype).T

    def _synthesis(self, c: Tensor) -> Tensor:
        return c @ self.components.to(c.dtype) + self.mean.to(c.dtype)
