"""Sparse coefficients in a learnt dictionary, by an unrolled iteration."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ._base import Basis, Layout, check_n_features

__all__ = ["Dictionary"]

# Steps of the code between two steps of the dictionary, in `fit`.
_CODE_STEPS = 5


class Dictionary(Basis):
    r"""Sparse coding: signals as few atoms of an overcomplete dictionary that is learnt.

    The coefficients approximate

    .. math:: c(x) = \arg\min_c \; \tfrac12 \| x - D c \|^2 + \alpha \| c \|_1,
              \qquad \| d_k \| = 1,

    by a fixed number of iterations from :math:`c = 0`,

    .. math:: c \leftarrow S_{\theta_t} \bigl( c + \eta_t D^\top (x - D c) \bigr), \qquad
              S_\theta(v) = \operatorname{sign}(v) \max(|v| - \theta, 0) .

    They start as proximal gradient descent (ISTA), with :math:`\eta_t = 1 / \|D\|^2` and
    :math:`\theta_t = \alpha \eta_t`, whose limit is the minimiser. Atoms, steps and thresholds
    are parameters: trained for a task, or for the code itself, few iterations do (LISTA).

    Analysis is not linear, synthesis :math:`D c` is; it does not invert. A layer of dropout
    therefore passes on what the code leaves out of a signal.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals, at least 1.
    n_atoms : int, default=None
        Number of atoms; None takes ``2 * n_features``.
    alpha : float, default=0.1
        Weight :math:`\alpha > 0` of the absolute values, in units of the signals.
    n_iter : int, default=16
        Number of iterations.

    Attributes
    ----------
    weight : torch.nn.Parameter of shape (n_atoms, n_features)
        The atoms before they are scaled to length 1; float64 unless the module is converted. They
        start as an overcomplete cosine transform,
        :math:`\cos(\pi k (2 t + 1) / 2 n_\mathrm{atoms})`.
    log_steps : torch.nn.Parameter of shape (n_iter,)
        Logarithms of the steps :math:`\eta_t`.
    log_thresholds : torch.nn.Parameter of shape (n_iter, n_atoms)
        Logarithms of the thresholds :math:`\theta_t`, for each atom its own.
    atoms : Tensor of shape (n_atoms, n_features)
        The atoms :math:`d_k`, of length 1, as rows.
    loss_curve : list of float
        The objective, mean over samples, at the start of the last `fit` and after each of its
        iterations.

    References
    ----------
    .. [1] K. Gregor and Y. LeCun, "Learning fast approximations of sparse coding", International
       Conference on Machine Learning, 399-406, 2010.
    .. [2] J. Bolte, S. Sabach and M. Teboulle, "Proximal alternating linearized minimization for
       nonconvex and nonsmooth problems", Mathematical Programming 146, 459-494, 2014.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import Dictionary
    >>> basis = Dictionary(8, n_atoms=16, alpha=0.5)
    >>> x = 3 * basis.atoms[5].detach() - 4 * basis.atoms[12].detach()
    >>> c = basis.analysis(x)
    >>> int((c != 0).sum()), int(c.abs().argmax())
    (4, 12)
    >>> basis.is_linear, basis.is_invertible
    (False, False)
    """

    is_linear = False

    def __init__(
        self,
        n_features: int,
        n_atoms: int | None = None,
        *,
        alpha: float = 0.1,
        n_iter: int = 16,
    ) -> None:
        n = check_n_features(n_features)
        k = 2 * n if n_atoms is None else check_n_features(n_atoms, "n_atoms")
        n_iter = check_n_features(n_iter, "n_iter")
        if not (alpha > 0 and math.isfinite(alpha)):
            raise ValueError(f"alpha must be positive and finite, got {alpha}.")
        super().__init__(n, Layout.make(k), is_invertible=False)
        self.alpha, self.n_iter = float(alpha), n_iter
        self.loss_curve: list[float] = []
        self.weight = nn.Parameter(_unit_rows(_cosines(k, n)))
        self.log_steps = nn.Parameter(torch.zeros(n_iter, dtype=torch.float64))
        self.log_thresholds = nn.Parameter(torch.zeros(n_iter, k, dtype=torch.float64))
        self.reset_iteration()

    @property
    def atoms(self) -> Tensor:
        """The atoms, of length 1."""
        return _unit_rows(self.weight)

    @torch.no_grad()
    def reset_iteration(self) -> None:
        """Set steps and thresholds to those of proximal gradient descent for the atoms."""
        step = _largest_step(self.atoms.double())
        self.log_steps.copy_(step.log().expand_as(self.log_steps))
        self.log_thresholds.copy_((self.alpha * step).log().expand_as(self.log_thresholds))

    @torch.no_grad()
    def fit(self, x: Tensor, *, max_iter: int = 100, tol: float = 1e-5) -> Dictionary:
        r"""Learn the atoms from signals, starting with those that there are.

        Minimises the mean of :math:`\tfrac12 \| x - D c \|^2 + \alpha \| c \|_1` over atoms of
        length 1 and codes, by proximal gradient steps in turn, none of which can increase it.
        Steps and thresholds of the iteration are then set anew.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Signals; all leading axes count as samples.
        max_iter : int, default=100
            Largest number of iterations.
        tol : float, default=1e-5
            The iteration ends when the objective falls by less than this share of itself.

        Returns
        -------
        Dictionary
            This basis.

        Raises
        ------
        ValueError
            If `x` has no sample, the wrong length, or values that are not finite, or if
            `max_iter` or `tol` is out of range; the basis is unchanged then.
        """
        self._check(x, "fit", "x", self.n_features, takes_complex=False)
        samples = x.reshape(-1, self.n_features).double()
        if len(samples) == 0:
            raise ValueError(f"Dictionary.fit: x must hold at least 1 sample, got {x.shape}.")
        if not torch.isfinite(samples).all():
            raise ValueError("Dictionary.fit: x has values that are not finite.")
        max_iter = check_n_features(max_iter, "max_iter")
        if not tol >= 0:
            raise ValueError(f"tol must be at least 0, got {tol}.")
        atoms = self.atoms.double()
        code = samples.new_zeros(len(samples), self.n_coefficients)
        code = _descend(samples, atoms, code, self.alpha, 10 * _CODE_STEPS)
        losses = [_objective(samples, atoms, code, self.alpha)]
        for _ in range(max_iter):
            atoms = _atom_step(samples, atoms, code)
            code = _descend(samples, atoms, code, self.alpha, _CODE_STEPS)
            losses.append(_objective(samples, atoms, code, self.alpha))
            if losses[-2] - losses[-1] <= tol * losses[-2]:
                break
        self.weight.copy_(atoms)
        self.reset_iteration()
        self.loss_curve = losses
        return self

    def _analysis(self, x: Tensor) -> Tensor:
        atoms = self.atoms.to(x.dtype)
        steps, thresholds = (
            log.double().exp().to(x.dtype) for log in (self.log_steps, self.log_thresholds)
        )
        c = _shrink(steps[0] * (x @ atoms.T), thresholds[0])
        for step, threshold in zip(steps[1:], thresholds[1:], strict=True):
            c = _shrink(c + step * ((x - c @ atoms) @ atoms.T), threshold)
        return c

    def _synthesis(self, c: Tensor) -> Tensor:
        return c @ self.atoms.to(c.dtype)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return (
            f"{self.n_features}, n_atoms={self.n_coefficients}, alpha={self.alpha}, "
            f"n_iter={self.n_iter}"
        )


def _cosines(k: int, n: int) -> Tensor:
    frequency = torch.arange(k, dtype=torch.float64)[:, None] / (2 * k)
    return torch.cos(math.pi * frequency * (2 * torch.arange(n, dtype=torch.float64) + 1))


def _unit_rows(matrix: Tensor) -> Tensor:
    return nn.functional.normalize(matrix, dim=-1)


def _shrink(c: Tensor, threshold: Tensor | float) -> Tensor:
    return c.sign() * (c.abs() - threshold).clamp_min(0)


def _largest_step(matrix: Tensor) -> Tensor:
    """Step up to which gradient descent on a quadratic with this matrix cannot go up."""
    largest = torch.linalg.matrix_norm(matrix, 2).square()
    return 1 / torch.where(largest > 0, largest, 1.0)


def _descend(x: Tensor, atoms: Tensor, code: Tensor, alpha: float, n_steps: int) -> Tensor:
    step = _largest_step(atoms)
    for _ in range(n_steps):
        code = _shrink(code + step * ((x - code @ atoms) @ atoms.T), alpha * step)
    return code


def _atom_step(x: Tensor, atoms: Tensor, code: Tensor) -> Tensor:
    # Onto the spheres: the nearest atoms of length 1, which minimise the same quadratic bound.
    return _unit_rows(atoms + _largest_step(code) * (code.T @ (x - code @ atoms)))


def _objective(x: Tensor, atoms: Tensor, code: Tensor, alpha: float) -> float:
    residual = (x - code @ atoms).square().sum(-1) / 2
    return float((residual + alpha * code.abs().sum(-1)).mean())
