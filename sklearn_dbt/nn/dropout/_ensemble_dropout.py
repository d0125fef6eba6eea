"""An ensemble of dropout decisions: the mean of several policies, of one transform or of many."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._ensemble_rates import EnsembleRates
from ._mask_layer import MaskLayer
from ._transform_dropout import TransformDropout

__all__ = ["EnsembleDropout"]


class EnsembleDropout(EnsembleRates, MaskLayer):
    r"""Dropout at the mean of several layers' rates, in the basis of the first of them.

    .. math:: p_k = \sum_{i=1}^{M} a_i \, p_k^{(T_i)}, \qquad a_i \ge 0, \quad \sum_i a_i = 1

    Each member has a transform :math:`T_i`, a policy, parameters and statistics of its own; only
    its rates are used. Where two transforms have the same number of coefficients at the same
    frequencies (or without any), :math:`k` is the same index in both; else a member's rates are
    interpolated over frequency. The weights :math:`a` are fixed, or learnt as the softmax of
    :math:`M` more parameters, which a controller moves like the others. A controller of
    `sklearn_dbt.nn.trust_region` takes the ensemble as one layer.

    Parameters
    ----------
    members : sequence of TransformDropout
        At least 1, all for the same `n_features`.
    weights : sequence of float, default=None
        :math:`a_i > 0`; they are divided by their sum. None is the same for all.
    learn_weights : bool, default=False
        Whether :math:`a` is part of the parameters. Each weight must then be at least
        :math:`e^{-8}` of their sum: their logarithms stay within ±8.
    mapping : {"linear", "nearest"}, default="linear"
        How rates are carried over between frequencies; beyond the last, they are the last's.
    mask_sharing : {"none", "octave"}, default="none"
        Which coefficients of the first member's basis are kept or dropped together; see
        `TransformDropout`. What members share does not matter.
    seed : int, torch.Generator or None, default=None
        Seed of the ensemble's own generator; see `TransformDropout`.

    Attributes
    ----------
    members : ModuleList
        The members.
    omega : Tensor of shape (n_parameters,)
        The members' parameters in turn and, if they are learnt, the logarithms of the weights.
    weights : Tensor of shape (n_members,)
        :math:`a` in force.
    rates : Tensor of shape (n_coefficients,)
        The rates in force, of a sample with the population's energies.

    Notes
    -----
    A coefficient that any member locks is never dropped. Masks are drawn, and repeated under
    activation checkpointing, as in `TransformDropout`.

    Examples
    --------
    >>> from sklearn_dbt.nn.dropout import EnsembleDropout, TransformDropout
    >>> members = [TransformDropout(8, b, "uniform", p=p) for b, p in (("dct", 0.2), ("pca", 0.4))]
    >>> EnsembleDropout(members).rates.round(decimals=4)
    tensor([0.3000, 0.3000, 0.3000, 0.3000, 0.3000, 0.3000, 0.3000, 0.3000])
    """

    def __init__(
        self,
        members: Sequence[TransformDropout],
        *,
        weights: Sequence[float] | None = None,
        learn_weights: bool = False,
        mapping: str = "linear",
        mask_sharing: str = "none",
        seed: int | torch.Generator | None = None,
    ) -> None:
        super().__init__(members, weights=weights, learn_weights=learn_weights, mapping=mapping)
        self._start_masks(mask_sharing, seed)

    def refresh_layout(self) -> None:
        """Bring up to date what follows from the members' layouts.

        These are the members' own (see `TransformDropout.refresh_layout`), how rates are carried
        over from one to another, and shared masks. Call it after a `GraphFourier.set_graph` of any
        member.

        Raises
        ------
        ValueError
            If a lock has no coefficient in the new layout; nothing is changed then.
        """
        super().refresh_layout()
        self._share_masks()

    def _hard_rates(self, x: Tensor) -> Tensor:
        with torch.no_grad():  # a basis may have parameters, which are not to move rates
            return self._snapped(self._smooth(self.omega, x))

    def _relaxed_rates(self, omega: Tensor, c: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002
        return self._smooth(omega, x)
