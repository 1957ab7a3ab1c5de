"""What is known of one compound in a job, as far as the stages have come, and how that is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from aiida_alphacrystal.engine.cells.hypotheses import CellHypothesis
from aiida_alphacrystal.engine.composition import Formula
from aiida_alphacrystal.engine.distances import DistancePrediction
from aiida_alphacrystal.engine.rank import RankedCandidate
from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
from aiida_alphacrystal.engine.relax.state import FinishedRun, RelaxationState, RunState

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.relax.state import Relaxation

__all__ = ('Failure', 'Result', 'pack_state', 'unpack_state')

Arrays = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why there is no ranking.

    :param kind: class of the error.
    :param stage: where it happened.
    :param reason: one sentence.
    """

    kind: str
    stage: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Result:
    """What is known of one compound; what a stage has not given yet is None.

    :param formula: the compound, None where it could not be read.
    :param cells: stage 3, None where it had been done before the job.
    :param distances: stage 2 by formula units, None where it had been done before the job.
    :param candidates: stage 4.
    :param reasons: why hypotheses gave no candidate.
    :param relaxations: stage 5.
    :param references: energy of each element, eV/atom.
    :param potential: name, kind, sha256, convention and version of what gave the energies.
    :param ranking: stage 6, None where it is done after the job.
    :param failure: why the compound went no further.
    """

    formula: Formula | None = None
    cells: tuple[CellHypothesis, ...] | None = None
    distances: Mapping[int, DistancePrediction] | None = None
    candidates: tuple[Candidate, ...] | None = None
    reasons: tuple[str, ...] = ()
    relaxations: tuple[Relaxation, ...] | None = None
    references: Mapping[str, float] | None = None
    potential: Mapping[str, str] | None = None
    ranking: tuple[RankedCandidate, ...] | None = None
    failure: Failure | None = None

    def pack(self) -> tuple[dict[str, Any], Arrays]:
        """Return a document and arrays that hold the result to the last bit."""
        document: dict[str, Any] = {
            'formula': None if self.formula is None else dataclasses.asdict(self.formula),
            'cells': None if self.cells is None else [dataclasses.asdict(cell) for cell in self.cells],
            'reasons': list(self.reasons),
            'references': None if self.references is None else dict(self.references),
            'potential': None if self.potential is None else dict(self.potential),
            'ranking': None if self.ranking is None else [dataclasses.asdict(place) for place in self.ranking],
            'failure': None if self.failure is None else dataclasses.asdict(self.failure),
            'distances': None,
            'candidates': None,
            'relaxations': None,
        }
        arrays: Arrays = {}
        if self.distances is not None:
            document['distances'] = {str(units): list(one.species) for units, one in self.distances.items()}
            for units, prediction in self.distances.items():
                arrays[f'edges_{units}'] = prediction.bin_edges
                arrays[f'probabilities_{units}'] = prediction.probabilities
        if self.candidates is not None:
            document['candidates'] = [_pack_candidate(one) for one in self.candidates]
            for index, candidate in enumerate(self.candidates):
                arrays[f'candidate_{index}_lattice'] = np.asarray(candidate.structure.lattice.matrix)
                arrays[f'candidate_{index}_coordinates'] = np.asarray(candidate.structure.frac_coords)
        if self.relaxations is not None:
            finished = {index: FinishedRun.of(one) for index, one in enumerate(self.relaxations)}
            document['relaxations'], more = pack_state(RelaxationState(finished, {}))
            arrays |= more
        return document, arrays

    @classmethod
    def unpack(cls, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Result:
        """Return what a document and arrays hold.

        :param document: as :meth:`pack` makes it.
        :param arrays: as :meth:`pack` makes them.
        """
        candidates = _unpack_candidates(document['candidates'], arrays)
        relaxations = None
        if document['relaxations'] is not None and candidates is not None:
            state = unpack_state(document['relaxations'], arrays)
            relaxations = tuple(
                state.finished[index].to_relaxation(one.structure) for index, one in enumerate(candidates)
            )
        distances = None
        if document['distances'] is not None:
            distances = {
                int(units): DistancePrediction(
                    tuple(species), arrays[f'edges_{units}'], arrays[f'probabilities_{units}']
                )
                for units, species in document['distances'].items()
            }
        return cls(
            formula=_with_tuples(Formula, document['formula']),
            cells=_all_with_tuples(CellHypothesis, document['cells']),
            distances=distances,
            candidates=candidates,
            reasons=tuple(document['reasons']),
            relaxations=relaxations,
            references=document['references'],
            potential=document['potential'],
            ranking=_all_with_tuples(RankedCandidate, document['ranking']),
            failure=None if document['failure'] is None else Failure(**document['failure']),
        )


def pack_state(state: RelaxationState) -> tuple[dict[str, Any], Arrays]:
    """Return a document and arrays that hold where a relaxation has come to.

    :param state: where it has come to.
    """
    arrays: Arrays = {}
    for index, finished in state.finished.items():
        arrays |= {f'finished_{index}_{name}': array for name, array in finished.arrays.items()}
    for index, running in state.running.items():
        arrays |= {f'running_{index}_{name}': array for name, array in running.arrays.items()}
    document = {
        'finished': {str(index): _facts(one) for index, one in state.finished.items()},
        'running': {str(index): _facts(one) for index, one in state.running.items()},
        'seconds': state.seconds,
    }
    return document, arrays


def unpack_state(document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> RelaxationState:
    """Return where a relaxation has come to.

    :param document: as :func:`pack_state` makes it.
    :param arrays: as :func:`pack_state` makes them.
    """

    def named(prefix: str) -> Arrays:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    return RelaxationState(
        {int(key): FinishedRun(named(f'finished_{key}_'), **facts) for key, facts in document['finished'].items()},
        {int(key): RunState(named(f'running_{key}_'), **facts) for key, facts in document['running'].items()},
        document.get('seconds', 0.0),  # results of earlier versions have none
    )


def _facts(run: FinishedRun | RunState) -> dict[str, Any]:
    return {field.name: getattr(run, field.name) for field in dataclasses.fields(run) if field.name != 'arrays'}


def _pack_candidate(candidate: Candidate) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(candidate) if field.name != 'structure']
    species = [site.specie.symbol for site in candidate.structure]
    return {**{name: getattr(candidate, name) for name in names}, 'species': species}


def _unpack_candidates(
    rows: Sequence[Mapping[str, Any]] | None, arrays: Mapping[str, NDArray[Any]]
) -> tuple[Candidate, ...] | None:
    if rows is None:
        return None
    candidates = []
    for index, row in enumerate(rows):
        lattice, coordinates = arrays[f'candidate_{index}_lattice'], arrays[f'candidate_{index}_coordinates']
        structure = Structure(lattice, row['species'], coordinates)
        facts = {name: value for name, value in row.items() if name != 'species'}
        candidates.append(Candidate(structure=structure, **facts))
    return tuple(candidates)


def _with_tuples(kind: type[Any], row: Mapping[str, Any] | None) -> Any:
    """Return a dataclass whose lists have become tuples again."""
    if row is None:
        return None
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})


def _all_with_tuples(kind: type[Any], rows: Sequence[Mapping[str, Any]] | None) -> Any:
    return None if rows is None else tuple(_with_tuples(kind, row) for row in rows)
