"""Share crystals among training, validation and test so that no formula is in two of them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from aiida_alphacrystal.engine.errors import SettingsError

__all__ = ('PARTS', 'Split')

#: The parts of a data set.
PARTS = ('train', 'val', 'test')


@dataclasses.dataclass(frozen=True)
class Split:
    """How formulas are shared.

    The part of a formula depends on nothing but the formula, the shares and the seed: crystals that are added later
    never move another one. The shares are those of formulas, and hold the better the more there are.

    :param val: share of formulas for validation.
    :param test: share of formulas for the test.
    :param seed: another one shares them otherwise.
    :raises SettingsError: if a share is negative, or nothing is left to train on.
    """

    val: float = 0.05
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the shares."""
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise SettingsError(
                f'The shares {self.val:g} for validation and {self.test:g} for the test leave nothing to train on: '
                'give shares from 0 to 1 whose sum is below 1.'
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the parts that there are, those without a share left out."""
        return ('train', *(name for name in PARTS[1:] if getattr(self, name)))

    def describe(self) -> dict[str, Any]:
        """Return the split as plain values."""
        return dataclasses.asdict(self)

    def part_of(self, formula: str) -> str:
        """Return the part to which a formula belongs.

        :param formula: the reduced formula, always written in the same way.
        """
        digest = hashlib.sha256(f'{self.seed} {formula}'.encode()).digest()
        place = int.from_bytes(digest[:8]) / 2**64
        if place < self.test:
            return 'test'
        return 'val' if place < self.test + self.val else 'train'
