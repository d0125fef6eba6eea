"""What the faces share in words; that words and signature agree is in test_docstrings.py."""

from sklearn_dbt.neural_network import TrustRegionDropoutClassifier, TrustRegionDropoutRegressor
from sklearn_dbt.neural_network._parameters import ATTRIBUTES, NETWORK_PARAMETERS, PARAMETERS


def test_what_a_net_is_built_from_are_parameters():
    for face in (TrustRegionDropoutClassifier, TrustRegionDropoutRegressor):
        assert set(NETWORK_PARAMETERS) < set(face().get_params())
        assert PARAMETERS in face.__doc__
        assert ATTRIBUTES in face.__doc__
    for name in NETWORK_PARAMETERS:
        assert f"\n    {name} : " in PARAMETERS
