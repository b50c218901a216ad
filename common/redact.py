"""Personal data and secrets, wrapped so that they show themselves only on purpose."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Redacted(Generic[T]):
    """Holds a value whose `str`, `repr` and format are a placeholder."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        """Wraps `value`."""
        self._value = value

    def reveal(self) -> T:
        """The value; call it only where it is used, never where it is shown."""
        return self._value

    def __repr__(self) -> str:
        """A placeholder."""
        return "<redacted>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """A placeholder, whatever the format."""
        return format("<redacted>", spec)

    def __eq__(self, other: object) -> bool:
        """Equal if the wrapped values are."""
        return isinstance(other, Redacted) and self._value == other._value

    def __hash__(self) -> int:
        """The hash of the wrapped value."""
        return hash(self._value)
