"""Circular convolutions with many filters at once, and the inverse as a division of spectra."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["CircularFilters"]

# A frequency whose gain of energy is below this part of the greatest is not reconstructed.
_UNSEEN = 1e-6


class CircularFilters(nn.Module):
    """Filters given by their responses at the n // 2 + 1 non-negative frequencies of a signal.

    Real filters give real signals. Analytic ones respond to no negative frequency and give complex
    signals, each of which stands for its conjugate too. All share the one synthesis that is given
    by the `duals`, responses of the filters that bring the bands back; without them it is the
    canonical one, responses over the gain of energy, and what has no gain stays away.
    """

    _responses: Tensor
    _duals: Tensor

    def __init__(
        self,
        n: int,
        responses: np.ndarray,
        duals: np.ndarray | None = None,
        *,
        analytic: bool = False,
    ) -> None:
        super().__init__()
        self.length, self.analytic = n, analytic
        energy = (np.abs(responses) ** 2).sum(0)
        # An analytic band and its conjugate share the mean and the Nyquist frequency.
        k = np.arange(n // 2 + 1)
        gain = np.where((k == 0) | (2 * k == n), 2.0, 1.0) * energy if analytic else energy
        low, high = float(gain.min()), float(gain.max())
        is_tight = max(abs(low - 1), abs(high - 1)) < 1e-10
        self.frame_bounds = (1.0, 1.0) if is_tight else (low, high)
        self.sees_all = bool(low > _UNSEEN * high)
        if duals is None:
            seen = gain > _UNSEEN * high
            duals = np.where(seen, responses.conj() / np.where(seen, energy, 1.0), 0.0)
        self._register("_responses", responses)
        self._register("_duals", duals)

    def _register(self, name: str, value: np.ndarray) -> None:
        # Real and imaginary part in a real buffer: Module.to(dtype) would cut a complex one.
        pairs = torch.view_as_real(torch.from_numpy(value.astype(complex)))
        self.register_buffer(name, pairs, persistent=False)

    def analysis(self, x: Tensor) -> Tensor:
        """(..., n) -> (..., n_filters * n), band by band."""
        responses = torch.view_as_complex(self._responses.to(x.dtype))
        bands = torch.fft.rfft(x)[..., None, :] * responses
        if self.analytic:  # zeros at the negative frequencies
            return torch.fft.ifft(bands, n=self.length).flatten(-2)
        return torch.fft.irfft(bands, n=self.length).flatten(-2)

    def synthesis(self, c: Tensor) -> Tensor:
        """(..., n_filters * n) -> (..., n)."""
        bands = c.unflatten(-1, (-1, self.length))
        if self.analytic:
            spectra = torch.fft.fft(bands)[..., : self.length // 2 + 1]
        else:
            spectra = torch.fft.rfft(bands)
        duals = torch.view_as_complex(self._duals.to(spectra.real.dtype))
        return torch.fft.irfft((spectra * duals).sum(-2), n=self.length)
