"""Whom to follow where the paper's text and the publicly released runs differ, choice by choice."""

from dataclasses import asdict, dataclass, fields

__all__ = ["RELEASED", "TEXT", "Protocol"]


@dataclass(frozen=True)
class Protocol:
    """Whom to follow, "text" or "released", in each choice on which they differ.

    Raises ValueError for anything else.
    """

    draws: str = "released"  # which generators draw starts and sequences
    output_order: str = "released"  # text: C's entries descend; released: reversed index order
    rate: str = "released"  # what the adaptive rate averages (standalone SSMs)
    reading: str = "released"  # text: after all further iterations; released: 99 before
    stop: str = "released"  # stop loss in the second table's network: 0.01 or 0.05
    ends: str = "released"  # Figure 4; text: B = C = 1; released: reset to that after each step

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in ("text", "released"):
                raise ValueError(f"{field.name} = {value!r}; allowed: 'text' or 'released'")


RELEASED = Protocol()
TEXT = Protocol(**dict.fromkeys(asdict(RELEASED), "text"))
