"""Stage 5: potentials, batched relaxation of cells and positions, formation energies."""

from __future__ import annotations

from aiida_alphacrystal.engine.relax.batch import relax_structures
from aiida_alphacrystal.engine.relax.corrections import energy_correction
from aiida_alphacrystal.engine.relax.potentials import (
    Evaluation,
    Potential,
    PotentialFiles,
    ResolvedPotential,
    load_potential,
    resolve_potential,
)
from aiida_alphacrystal.engine.relax.references import elemental_references, formation_energy, relaxed_formation_energy
from aiida_alphacrystal.engine.relax.state import Relaxation, RelaxationState

__all__ = (
    'Evaluation',
    'Potential',
    'PotentialFiles',
    'Relaxation',
    'RelaxationState',
    'ResolvedPotential',
    'elemental_references',
    'energy_correction',
    'formation_energy',
    'load_potential',
    'relax_structures',
    'relaxed_formation_energy',
    'resolve_potential',
)
