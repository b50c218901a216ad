"""What a metric is: its name, type, unit, labels with the values they may take. The list is `common.contract`.

In: declarations. Out: answers whether a label's value is one of its set. Must not: count or show anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_FILLED = 40  # series that are shown as 0 before anything happened: a dashboard needs no "or 0"


class Kind(StrEnum):
    """Types of the Prometheus exposition."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


class Origin(StrEnum):
    """Whose number it is."""

    NODE = "node"  # a server's, from its last snapshot; the first label is `node`
    SIDECAR = "sidecar"  # of the process that is scraped


class Stability(StrEnum):
    """What may change without a new major version of the contract."""

    STABLE = "stable"  # nothing
    EXPERIMENTAL = "experimental"  # everything


@dataclass(frozen=True, slots=True)
class Label:
    """A label: a closed list of values, or a form and how many there are at most."""

    name: str
    text: str
    values: tuple[str, ...] = ()
    form: str = ""  # regular expression of every value where the list is not closed here
    limit: int = 0  # values that may occur beside each other where the list is not closed here

    @property
    def bound(self) -> int:
        """How many values there can be."""
        return len(self.values) or self.limit

    def allows(self, value: str) -> bool:
        """Whether the label may have this value."""
        if self.values:
            return value in self.values
        return re.fullmatch(self.form, value) is not None


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of series."""

    name: str  # as queries write it: a counter's ends in `_total`, an info's in `_info`
    kind: Kind
    text: str
    labels: tuple[Label, ...] = ()
    origin: Origin = Origin.NODE
    buckets: tuple[float, ...] = ()  # upper bounds of a histogram, in its unit; +Inf follows
    sparse: bool = False  # absent while there is nothing to tell, where 0 would be a lie
    since: str = "1.0"
    stability: Stability = Stability.STABLE

    @property
    def unit(self) -> str:
        """The base unit that the name ends in, empty for plain counts."""
        stem = self.name.removesuffix("_total")
        found = (unit for unit in UNITS if stem.endswith(f"_{unit}"))
        return next(found, "")

    @property
    def series(self) -> int:
        """Series of one node (or of the sidecar) at most, buckets and sum included."""
        count = 1
        for label in self.labels:
            count *= label.bound
        return count * (len(self.buckets) + 3 if self.kind is Kind.HISTOGRAM else 1)

    @property
    def filled(self) -> bool:
        """Whether every combination of its labels is shown, be it 0."""
        closed = all(label.values for label in self.labels if label.name != "lane")
        count = 1
        for label in self.labels:
            count *= len(label.values) or 1
        return closed and not self.sparse and self.kind is not Kind.INFO and count <= MAX_FILLED

    def allows(self, values: tuple[str, ...]) -> bool:
        """Whether these are values of its labels, in order."""
        return len(values) == len(self.labels) and all(
            label.allows(value) for label, value in zip(self.labels, values, strict=True)
        )


# Longest first: a name that ends in a rate's unit ends in that of its numerator as well.
UNITS = ("bytes_per_second", "packets_per_second", "seconds", "bytes", "ratio")
