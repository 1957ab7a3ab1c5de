"""Node that holds the predicted distances of one cell."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from aiida import orm
from aiida.common.exceptions import StoringNotAllowed

from aiida_alphacrystal.engine.distances import DistancePrediction

__all__ = ('DistancesData',)


class DistancesData(orm.ArrayData):
    """Distances between the atoms of a cell, as expected values and as probabilities over bins.

    Make one with :meth:`from_prediction`; its attributes say which compound and cell it is of.
    """

    @classmethod
    def from_prediction(cls, prediction: DistancePrediction) -> Self:
        """Return a new, unstored node.

        :param prediction: what the network says.
        """
        node = cls(
            {
                'distances': np.asarray(prediction.expectation),
                'probabilities': np.asarray(prediction.probabilities),
                'bin_edges': np.asarray(prediction.bin_edges),
            }
        )
        node.base.attributes.set_many(
            {
                'species': list(prediction.species),
                'number_of_atoms': len(prediction.species),
                'number_of_bins': len(prediction.bin_edges) - 1,
            }
        )
        return node

    def to_prediction(self) -> DistancePrediction:
        """Return the prediction for the engine to work on."""
        return DistancePrediction(
            species=self.species, bin_edges=self.get_array('bin_edges'), probabilities=self.get_array('probabilities')
        )

    @property
    def species(self) -> tuple[str, ...]:
        """Return the element of every atom."""
        return tuple(self.base.attributes.get('species'))

    @property
    def distances(self) -> Any:
        """Return the expected distances, (atoms, atoms), in A."""
        return self.get_array('distances')

    def get_description(self) -> str:
        """Return one line for listings."""
        return f'distances in {self.base.attributes.get("formula", "".join(self.species))}, {len(self.species)} atoms'

    def _validate(self) -> bool:
        super()._validate()
        number, bins = len(self.species), len(self.get_array('bin_edges')) - 1
        if self.get_shape('distances') != (number, number):
            raise StoringNotAllowed(f'The distances of {number} atoms are no matrix of {number} x {number}.')
        if self.get_shape('probabilities') != (number, number, bins):
            raise StoringNotAllowed(f'The probabilities of {number} atoms do not have {bins} bins for each pair.')
        return True
