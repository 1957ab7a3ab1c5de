"""Any calculator of ASE as a potential; it takes the crystals of a batch one after another."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_alphacrystal.engine.errors import PotentialError, one_sentence
from aiida_alphacrystal.engine.features import supported_elements
from aiida_alphacrystal.engine.relax.ase_calculators import UNKNOWN, make_calculator, read_record
from aiida_alphacrystal.engine.relax.base import AtomArrays, Evaluation, Potential, PotentialFiles
from aiida_alphacrystal.engine.relax.matgl_backend import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ('AsePotential',)

#: Shortest distance in A between the atoms of the crystals that show which elements a calculator knows.
_SHORTEST = 2.2


class AsePotential(Potential):
    """A calculator of ASE.

    Where the record says nothing of the elements, the calculator is given a crystal of every element that the
    package knows; those that it cannot evaluate are unknown to it.

    :param files: the record of the calculator.
    :param device: of torch, for a calculator that asks for one.
    :raises PotentialError: if the calculator is not here, is another one than that recorded, or cannot be made.
    """

    def __init__(self, files: PotentialFiles, device: str = 'cpu') -> None:
        from ase.calculators.calculator import FileIOCalculator
        from ase.calculators.genericfileio import GenericFileIOCalculator

        record = read_record(files)
        self._calculator = make_calculator(record, device)
        if isinstance(self._calculator, FileIOCalculator | GenericFileIOCalculator):
            self._directory = tempfile.TemporaryDirectory(prefix='alphacrystal-')
            self._calculator.directory = self._directory.name
        known = record.distribution != UNKNOWN
        super().__init__(
            files,
            elements=supported_elements() if record.elements is None else frozenset(record.elements),
            convention='none',
            version=f'{record.distribution} {record.version}' if known else UNKNOWN,
            device=device,
        )
        if record.elements is None:
            self.elements = self._try_elements()

    def _evaluate(self, crystals: Sequence[AtomArrays]) -> Evaluation:
        """Return energies, forces and stresses."""
        with quiet():
            answers = [self._answer(crystal) for crystal in crystals]
        energies, forces, stresses = zip(*answers, strict=True)
        return Evaluation(np.array(energies), forces, np.stack(stresses))

    def _answer(self, crystal: AtomArrays) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Evaluate one crystal; nothing of the one before it is kept, so that the order does not matter."""
        from ase import Atoms

        if hasattr(self._calculator, 'reset'):
            self._calculator.reset()
        atoms: Any = Atoms(crystal.numbers, crystal.positions, cell=crystal.lattice, pbc=True)
        atoms.calc = self._calculator
        energy = float(atoms.get_potential_energy())
        forces = np.array(atoms.get_forces(), dtype=np.float64)
        stress = np.array(atoms.get_stress(voigt=False), dtype=np.float64)  # ASE has the signs and units that we have
        return energy, forces, stress

    def _try_elements(self) -> frozenset[str]:
        """Return the elements of which a crystal can be evaluated."""
        known, reason = set(), ''
        for symbol in sorted(self.elements):
            try:
                energy = self.evaluate_crystals([_close_packed(symbol)]).energies[0]
            except MemoryError:
                raise
            except Exception as error:  # calculators raise many types for an element that they do not know
                reason = reason or f'{symbol}: {one_sentence(error)}'
                continue
            if np.isfinite(energy):
                known.add(symbol)
        if not known:
            raise PotentialError(
                f'The potential {self.name} can evaluate a crystal of no element ({reason or "its energies are nan"}): '
                'give the arguments that it needs, or declare its elements.'
            )
        return frozenset(known)


def _close_packed(symbol: str) -> AtomArrays:
    """Return one atom in a face-centred cell."""
    from ase.data import atomic_numbers, covalent_radii

    number = atomic_numbers[symbol]
    distance = max(2 * float(covalent_radii[number]), _SHORTEST)
    return AtomArrays(np.array([number]), distance / 2**0.5 * (1 - np.eye(3)), np.zeros((1, 3)))
