"""The Fourier transform of signals on the nodes of a graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ._base import Basis, Layout, check_n_features
from ._principal_components import eigenbasis, principal_components

__all__ = ["GraphFourier"]

_LAPLACIANS = ("combinatorial", "normalized")


class GraphFourier(Basis):
    r"""Eigenvectors of a graph's Laplacian: the slow patterns on the graph first.

    For a graph with symmetric edge weights :math:`A \ge 0` and degrees :math:`d_i = \sum_j A_{ij}`,

    .. math::

        c = U x, \qquad L = U^\top \operatorname{diag}(\lambda) \, U, \quad
        0 = \lambda_1 \le \dots \le \lambda_n, \qquad
        L = D - A \;\text{ or }\; D^{-1/2} (D - A) D^{-1/2} .

    Parameters
    ----------
    n_features : int
        Number of nodes :math:`n`, at least 1.
    adjacency : array-like or Tensor of shape (n_features, n_features), default=None
        Edge weights: finite, symmetric, not negative, zero on the diagonal. A graph need not be
        connected. None takes the path 1 - 2 - ... - n, whose transform is the `DCT` up to signs.
    laplacian : {"combinatorial", "normalized"}, default="combinatorial"
        :math:`D - A`, or the symmetrically normalised one; a node without edges has the
        eigenvalue 0 in both.
    learnable : bool, default=False
        Whether the weights of the edges that there are can be learnt, as
        :math:`A_{ij} \exp \tfrac12 (\phi_{ij} + \phi_{ji})`. The eigenvectors are then computed
        at each call, with the gradient of `principal_components`.

    Attributes
    ----------
    adjacency : Tensor of shape (n_features, n_features)
        The edge weights given, float64 unless the module is converted.
    weights : Tensor of shape (n_features, n_features)
        The edge weights in force: those given, or what has been learnt.
    eigenvalues : Tensor of shape (n_features,)
        Eigenvalues :math:`\lambda` of the Laplacian, in increasing order.
    components : Tensor of shape (n_features, n_features)
        Rows are the eigenvectors :math:`U`; the largest entry of each, in absolute value, is
        positive.
    log_gain : torch.nn.Parameter of shape (n_features, n_features)
        The logarithms :math:`\phi` of what edge weights are multiplied by, zero to start with;
        None unless `learnable`.

    See Also
    --------
    principal_components : Eigenvectors with a stable gradient.

    Notes
    -----
    The layout's frequency is :math:`\arcsin(\sqrt{\lambda / \Lambda}) / \pi` with the largest
    eigenvalue that such a Laplacian can have, :math:`\Lambda = 2 \max_i d_i`, or 2 where it is
    normalised: from 0 to 0.5 cycles from node to node. On a path (combinatorial, three nodes or
    more) these are the frequencies of `DCT`, on a ring those of `Fourier`. They follow the graph;
    what has read the layout before does not: a dropout layer has `refresh_layout` for that, a basis
    made of bases keeps the layout it was made with. A graph that is learnt would move its
    frequencies with each step of an optimizer: where `learnable`, the layout has none, and what
    needs them raises.

    Inside an eigenspace of more than one dimension the eigenvectors are orthonormal but
    arbitrary. The eigenvalue 0 has one dimension for each connected component.

    References
    ----------
    .. [1] D. I. Shuman, S. K. Narang, P. Frossard, A. Ortega and P. Vandergheynst, "The emerging
       field of signal processing on graphs", IEEE Signal Processing Magazine 30(3), 83-98, 2013.
    .. [2] F. R. K. Chung, "Spectral Graph Theory", American Mathematical Society, 1997.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import GraphFourier
    >>> star = torch.zeros(4, 4)
    >>> star[0, 1:] = star[1:, 0] = 1.0
    >>> basis = GraphFourier(4, star)
    >>> basis.eigenvalues.round().abs().tolist()
    [0.0, 1.0, 1.0, 4.0]
    >>> basis.analysis(torch.ones(4)).round().abs().tolist()
    [2.0, 0.0, 0.0, 0.0]
    >>> basis.set_graph(torch.zeros(4, 4)).analysis(torch.tensor([3.0, 0.0, 0.0, 0.0])).tolist()
    [3.0, 0.0, 0.0, 0.0]
    """

    adjacency: Tensor
    log_gain: nn.Parameter | None
    _eigenvalues: Tensor
    _components: Tensor

    def __init__(
        self,
        n_features: int,
        adjacency: Tensor | np.ndarray | None = None,
        laplacian: str = "combinatorial",
        *,
        learnable: bool = False,
    ) -> None:
        n = check_n_features(n_features)
        if laplacian not in _LAPLACIANS:
            raise ValueError(f"laplacian must be one of {_LAPLACIANS}, got {laplacian!r}.")
        graph = _path(n) if adjacency is None else _check_adjacency(adjacency, n)
        super().__init__(n, Layout.make(n), is_orthogonal=True)
        self.laplacian = laplacian
        # float64 whatever the signals are: an eigenbasis rounded to float32 is not orthogonal.
        self.register_buffer("adjacency", torch.zeros(n, n, dtype=torch.float64))
        self.register_buffer("_eigenvalues", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("_components", torch.zeros(n, n, dtype=torch.float64))
        phi = nn.Parameter(torch.zeros(n, n, dtype=torch.float64)) if learnable else None
        self.register_parameter("log_gain", phi)
        self.set_graph(graph)

    @torch.no_grad()
    def set_graph(self, adjacency: Tensor | np.ndarray) -> GraphFourier:
        """Change the graph, in place.

        A dropout layer that has this basis is to be told, by its `refresh_layout`: its locks,
        descriptors of places and shared masks are otherwise those of the old graph.

        Parameters
        ----------
        adjacency : array-like or Tensor of shape (n_features, n_features)
            Edge weights: finite, symmetric, not negative, zero on the diagonal. What had been
            learnt about the old ones is forgotten.

        Returns
        -------
        GraphFourier
            This basis.

        Raises
        ------
        ValueError
            If the shape or a value is wrong; the basis is unchanged then.
        """
        graph = _check_adjacency(adjacency, self.n_features)
        eigenvalues, components = eigenbasis(-_laplacian(graph, self.laplacian))
        self.adjacency.copy_(graph)
        self._eigenvalues.copy_((-eigenvalues).clamp_min(0))
        self._components.copy_(components)
        if self.log_gain is not None:
            self.log_gain.zero_()
        return self

    @property
    def weights(self) -> Tensor:
        """The edge weights in force."""
        if self.log_gain is None:
            return self.adjacency
        phi = self.log_gain.double()
        return self.adjacency.double() * torch.exp((phi + phi.T) / 2)

    @property
    def eigenvalues(self) -> Tensor:
        """Eigenvalues of the Laplacian."""
        return self._spectrum()[0]

    @property
    def components(self) -> Tensor:
        """Eigenvectors of the Laplacian as rows."""
        return self._spectrum()[1]

    @property
    def layout(self) -> Layout:
        """What each coefficient is, for the graph in force; without frequencies if it is learnt."""
        layout = super().layout
        if self.log_gain is not None:
            return layout
        largest = 2 * self.weights.sum(1).max() if self.laplacian == "combinatorial" else 2
        share = self.eigenvalues / largest
        # No edge at all: 0/0.
        share = torch.where(share.isfinite(), share, 0.0).clamp(0, 1)
        frequency = torch.asin(share.sqrt()) / torch.pi
        return replace(layout, frequency=frequency.detach().to(layout.weight.dtype))

    def _spectrum(self) -> tuple[Tensor, Tensor]:
        if self.log_gain is None:
            return self._eigenvalues, self._components
        minus, components = principal_components(-_laplacian(self.weights, self.laplacian))
        return (-minus).clamp_min(0), components

    def _analysis(self, x: Tensor) -> Tensor:
        return x @ self.components.to(x.dtype).T

    def _synthesis(self, c: Tensor) -> Tensor:
        return c @ self.components.to(c.dtype)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        learnable = ", learnable=True" if self.log_gain is not None else ""
        return f"{self.n_features}, laplacian={self.laplacian!r}{learnable}"


def _laplacian(weights: Tensor, kind: str) -> Tensor:
    degree = weights.sum(1)
    laplacian = torch.diag(degree) - weights
    if kind == "combinatorial":
        return laplacian
    # A node without edges has a row of zeros, whatever it is multiplied by.
    root = torch.where(degree > 0, degree, 1.0).rsqrt()
    return root[:, None] * laplacian * root


def _path(n: int) -> Tensor:
    steps = torch.ones(n - 1, dtype=torch.float64)
    return torch.diag(steps, 1) + torch.diag(steps, -1)


def _check_adjacency(adjacency: Tensor | np.ndarray, n: int) -> Tensor:
    graph = torch.as_tensor(adjacency).detach().double()
    if tuple(graph.shape) != (n, n):
        raise ValueError(f"adjacency must have shape {(n, n)}, got {tuple(graph.shape)}.")
    if not torch.isfinite(graph).all():
        raise ValueError("adjacency has values that are not finite.")
    if (graph < 0).any():
        raise ValueError(f"adjacency must not be negative, got {graph.min().item():g}.")
    if graph.diagonal().any():
        raise ValueError("adjacency must be zero on the diagonal: no node has an edge to itself.")
    if not torch.allclose(graph, graph.T, rtol=1e-5, atol=0):
        worst = (graph - graph.T).abs().max().item()
        raise ValueError(f"adjacency must be symmetric, got entries that differ by {worst:g}.")
    return (graph + graph.T) / 2
