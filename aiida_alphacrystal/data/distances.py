"""Node that holds the predicted distances of a compound in cells of every size that was thought of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from aiida import orm
from aiida.common.exceptions import StoringNotAllowed

from aiida_alphacrystal.engine.distances import DistancePrediction

__all__ = ('DistancesData',)


class DistancesData(orm.ArrayData):
    """Distances between the atoms of a cell, as expected values and as probabilities over bins.

    Make one with :meth:`from_predictions`; its attributes say which compound and cells it is of. The cell is the most
    probable one where nothing else is said: its arrays are ``distances`` and ``probabilities``, that of a cell with
    two formula units ``probabilities_z2``, from which its distances follow, and all share ``bin_edges``. One node for
    all sizes spares a database a node and three links for each.
    """

    @classmethod
    def from_predictions(cls, predictions: Mapping[int, DistancePrediction], most_probable: int) -> Self:
        """Return a new, unstored node.

        :param predictions: what the network says, by the formula units in the cell.
        :param most_probable: the formula units of the cell that is thought of first.
        :raises ValueError: if there are none of that cell, or the bins differ from cell to cell.
        """
        if most_probable not in predictions:
            raise ValueError(f'There are no distances for {most_probable} formula units.')
        sizes = [most_probable, *sorted(set(predictions) - {most_probable})]
        edges = np.asarray(predictions[most_probable].bin_edges)
        arrays = {'bin_edges': edges, 'distances': np.asarray(predictions[most_probable].expectation)}
        for units in sizes:
            prediction = predictions[units]
            if not np.array_equal(prediction.bin_edges, edges):
                raise ValueError('The distances of one compound share their bins, and these do not.')
            end = '' if units == most_probable else f'_z{units}'
            arrays[f'probabilities{end}'] = np.asarray(prediction.probabilities)
        node = cls(arrays)
        species = [list(predictions[units].species) for units in sizes]
        node.base.attributes.set_many(
            {
                'species': species[0],
                'number_of_atoms': len(species[0]),
                'number_of_bins': len(edges) - 1,
                'formula_units': most_probable,
                'all_formula_units': sizes,
                'all_numbers_of_atoms': [len(symbols) for symbols in species],
                'all_species': species,
            }
        )
        return node

    def to_prediction(self, formula_units: int | None = None) -> DistancePrediction:
        """Return the prediction in one cell for the engine to work on.

        :param formula_units: in the cell; those of the most probable one where None is given.
        :raises KeyError: if no distances were predicted for such a cell.
        """
        return DistancePrediction(
            species=self.get_species(formula_units),
            bin_edges=self.get_array('bin_edges'),
            probabilities=self.get_array(f'probabilities{self._ending(formula_units)}'),
        )

    def to_predictions(self) -> dict[int, DistancePrediction]:
        """Return the predictions by the formula units in the cell, the fewest first."""
        return {units: self.to_prediction(units) for units in sorted(self.all_formula_units)}

    @property
    def all_formula_units(self) -> tuple[int, ...]:
        """Return the formula units in each cell, the most probable one first."""
        return tuple(self.base.attributes.get('all_formula_units'))

    @property
    def species(self) -> tuple[str, ...]:
        """Return the element of every atom of the most probable cell."""
        return self.get_species()

    def get_species(self, formula_units: int | None = None) -> tuple[str, ...]:
        """Return the element of every atom of a cell.

        :param formula_units: in the cell; those of the most probable one where None is given.
        :raises KeyError: if no distances were predicted for such a cell.
        """
        return tuple(self.base.attributes.get('all_species')[self._place(formula_units)])

    @property
    def distances(self) -> Any:
        """Return the expected distances in the most probable cell, (atoms, atoms), in A."""
        return self.get_distances()

    def get_distances(self, formula_units: int | None = None) -> Any:
        """Return the expected distances in a cell, (atoms, atoms), in A.

        :param formula_units: in the cell; those of the most probable one where None is given.
        :raises KeyError: if no distances were predicted for such a cell.
        """
        if self._place(formula_units) == 0:
            return self.get_array('distances')
        return self.to_prediction(formula_units).expectation

    def get_description(self, formula_units: int | None = None) -> str:
        """Return one line for listings.

        :param formula_units: in the cell; those of the most probable one where None is given.
        :raises KeyError: if no distances were predicted for such a cell.
        """
        return f'distances in {self.get_formula(formula_units)}, {len(self.get_species(formula_units))} atoms'

    def get_formula(self, formula_units: int | None = None) -> str:
        """Return the formula of a cell, such as ``Al4O6``.

        :param formula_units: in the cell; those of the most probable one where None is given.
        :raises KeyError: if no distances were predicted for such a cell.
        """
        species = self.get_species(formula_units)
        counts = {symbol: species.count(symbol) for symbol in species}
        return ''.join(f'{symbol}{count if count > 1 else ""}' for symbol, count in counts.items())

    def _place(self, formula_units: int | None) -> int:
        """Return the place of a cell among all; raise a KeyError where there is no such cell."""
        if formula_units is None:
            return 0
        if formula_units not in self.all_formula_units:
            raise KeyError(formula_units)
        return self.all_formula_units.index(formula_units)

    def _ending(self, formula_units: int | None) -> str:
        """Return what the names of the arrays of a cell end with."""
        return f'_z{formula_units}' if self._place(formula_units) else ''

    def _validate(self) -> bool:
        super()._validate()
        bins = len(self.get_array('bin_edges')) - 1
        number = len(self.species)
        if self.get_shape('distances') != (number, number):
            raise StoringNotAllowed(f'The distances of {number} atoms are no matrix of {number} x {number}.')
        for units in self.all_formula_units:
            number, end = len(self.get_species(units)), self._ending(units)
            if self.get_shape(f'probabilities{end}') != (number, number, bins):
                raise StoringNotAllowed(f'The probabilities of {number} atoms do not have {bins} bins for each pair.')
        return True
