"""Shape of the packed features: what the transform graph emits and the network reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.contract import Contract, Features

IDS = "ids"
"""Name of the packed categorical features: int64 [batch, len(categorical)]."""

NUMS = "nums"
"""Name of the packed numeric features: float32 [batch, numeric_width]."""


@dataclass(frozen=True)
class FeatureLayout:
    """Columns of `ids` and `nums`, in order.

    Two embeddings, 4 and 2 wide, and a number with its flag:

    >>> layout = FeatureLayout(("user", "city"), rows=(99, 9), widths=(4, 2), numeric=("age",))
    >>> layout.numeric_width, layout.input_width
    (2, 8)

    Attributes:
      categorical: feature names; column i of `ids` holds local ids in [0, rows[i]).
      rows: rows of each feature's embedding table.
      widths: embedding width of each feature.
      numeric: feature names; `nums` holds their values, then their missing flags (0 or 1).
      advertiser: which of the categorical features the contract's advertiser is; none where it is
        no feature.
    """

    categorical: tuple[str, ...]
    rows: tuple[int, ...]
    widths: tuple[int, ...]
    numeric: tuple[str, ...]
    advertiser: int | None = None

    @classmethod
    def from_contract(cls, contract: Contract) -> FeatureLayout:
        layout = cls.from_features(contract.features)
        name = contract.roles.advertiser
        known = name is not None and name in layout.categorical
        return replace(layout, advertiser=layout.categorical.index(name) if known else None)

    @classmethod
    def from_features(cls, features: Features) -> FeatureLayout:
        categorical, numeric = features.categorical, features.numeric
        return cls(
            categorical=tuple(f.name for f in categorical),
            rows=tuple(f.rows for f in categorical),
            widths=tuple(f.width for f in categorical),
            numeric=tuple(f.name for f in numeric),
        )

    @property
    def numeric_width(self) -> int:
        """Width of `nums`."""
        return 2 * len(self.numeric)

    @property
    def input_width(self) -> int:
        """Width of the network's input: all embeddings side by side, then `nums`."""
        return sum(self.widths) + self.numeric_width
