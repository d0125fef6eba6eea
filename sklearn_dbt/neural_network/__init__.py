"""Networks as estimators; what joins the engine's controllers to skorch lives here, not in `nn`."""

from sklearn_dbt.neural_network._display import DropoutSpectrumDisplay, TrustRegionDisplay
from sklearn_dbt.neural_network._rate_control import RateControl
from sklearn_dbt.neural_network._templates import transform_template
from sklearn_dbt.neural_network._trust_region_dropout import (
    TrustRegionDropoutClassifier,
    TrustRegionDropoutRegressor,
)

__all__ = [
    "DropoutSpectrumDisplay",
    "RateControl",
    "TrustRegionDisplay",
    "TrustRegionDropoutClassifier",
    "TrustRegionDropoutRegressor",
    "transform_template",
]
