"""Transform templates: basis, policy, rate and controller that go together for a kind of data."""

from __future__ import annotations

from typing import Any

from sklearn_dbt.nn.dropout import (
    InverseEigenvalue,
    MaskingThreshold,
    Policy,
    PopulationEnergy,
    ScaleEnergy,
    SquaredIndex,
)

# A window of speech is as long as a vowel stands still.
WINDOW_SECONDS = 0.025

TEMPLATES: dict[str, dict[str, Any]] = {
    "audio": {"basis": "stft", "policy": Policy([PopulationEnergy(), MaskingThreshold()])},
    "spectrum": {"basis": "dct", "policy": Policy([PopulationEnergy(), SquaredIndex()])},
    "image_rows": {
        "basis": "dwt",
        "basis_options": {"wavelet": "bior4.4", "mode": "symmetric"},
        "policy": Policy([PopulationEnergy(), ScaleEnergy()]),
    },
    # Ten columns hold less that can be spared than a thousand samples.
    "table": {"basis": "pca", "policy": Policy([InverseEigenvalue()]), "dropout_rate": 0.3},
}


def transform_template(kind: str, *, sampling_rate: float | None = None) -> dict[str, Any]:
    """Parameters of the dropout faces for a kind of data: basis, policy and controller.

    ``"audio"``
        Short-time Fourier transform in windows of 25 ms; what is weak, or masked by stronger
        neighbours in the ear's bands, is dropped more.
    ``"spectrum"``
        Rows of a spectrometer: cosine transform; fast wiggles and what is weak are dropped more.
    ``"image_rows"``
        Rows of (medical) images as channels: the wavelet of JPEG 2000, mirrored at the edges; weak
        coefficients and weak scales are dropped more.
    ``"table"``
        Columns without an order: principal components; those of small variance are dropped more,
        at a mean rate of 0.3.

    In each the rates are moved by the trust region on the training loss.

    Parameters
    ----------
    kind : {"audio", "spectrum", "image_rows", "table"}
        What the data are.
    sampling_rate : float, default=None
        Samples per second, in Hz; needed by ``"audio"``. None elsewhere leaves the faces' default,
        with which frequencies are in cycles per sample.

    Returns
    -------
    dict
        Keyword arguments; change what you like before use.

    Raises
    ------
    ValueError
        For an unknown kind, or audio without a positive `sampling_rate`.

    References
    ----------
    .. [1] J. D. Johnston, "Transform coding of audio signals using perceptual noise criteria", IEEE
       Journal on Selected Areas in Communications 6(2), 314-323, 1988.
    .. [2] D. S. Taubman and M. W. Marcellin, "JPEG2000: Image Compression Fundamentals, Standards
       and Practice", Springer, 2002.

    Examples
    --------
    >>> from sklearn_dbt import TrustRegionDropoutRegressor
    >>> from sklearn_dbt.neural_network import transform_template
    >>> transform_template("audio", sampling_rate=8000)["basis_options"]
    {'window_length': 200}
    >>> TrustRegionDropoutRegressor(**transform_template("table"), max_iter=200).basis
    'pca'
    """
    if kind not in TEMPLATES:
        names = ", ".join(repr(name) for name in TEMPLATES)
        raise ValueError(f"kind must be one of {names}, got {kind!r}.")
    if sampling_rate is not None and not 0 < sampling_rate < float("inf"):
        raise ValueError(f"sampling_rate must be positive and finite (Hz), got {sampling_rate}.")
    template = {**TEMPLATES[kind], "controller": "trust_region", "objective": "train"}
    if kind == "audio":
        if sampling_rate is None:
            raise ValueError("kind='audio' needs sampling_rate in Hz, got None.")
        template["basis_options"] = {"window_length": max(2, round(WINDOW_SECONDS * sampling_rate))}
    if sampling_rate is not None:
        template["sampling_rate"] = float(sampling_rate)
    return template
