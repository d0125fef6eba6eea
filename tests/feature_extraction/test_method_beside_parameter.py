"""A method and a parameter that share their name."""

from sklearn_dbt.feature_extraction._method_beside_parameter import MethodBesideParameter


class Turner:
    def __init__(self, turn):
        self.turn = turn

    def turn(self, by):
        """Turn by so much, in the way chosen."""
        return vars(self)["turn"], by


Turner.turn = MethodBesideParameter(Turner.turn)


def test_what_is_assigned_and_what_is_called():
    turner = Turner("left")
    assert vars(turner) == {"turn": "left"}
    assert turner.turn(3) == ("left", 3)
    turner.turn = "right"
    assert turner.turn(by=1) == ("right", 1)
    assert Turner.turn(turner, 2) == ("right", 2)
    assert Turner.__dict__["turn"].__doc__ == "Turn by so much, in the way chosen."
