"""Latent sources of recordings."""

from sklearn_dbt.decomposition._nonlinear_ica import NonlinearICAEncoder

__all__ = ["NonlinearICAEncoder"]
