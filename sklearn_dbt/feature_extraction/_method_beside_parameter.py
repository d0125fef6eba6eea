"""A method and a parameter of one name."""

from __future__ import annotations

from collections.abc import Callable


class MethodBesideParameter:
    """A method that shares its name with a parameter of the constructor.

    What is assigned is kept among the instance's variables, where `get_params` reads it; what is
    looked up is the method.

    Parameters
    ----------
    method : callable
        The method.
    """

    def __init__(self, method: Callable) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance, owner=None):
        return self.method if instance is None else self.method.__get__(instance, owner)

    def __set__(self, instance, value) -> None:
        vars(instance)[self.method.__name__] = value
