"""Stage 4: turn predicted distances, cell hypotheses and known prototypes into candidate structures."""

from aiida_alphacrystal.engine.reconstruct.candidates import Candidate
from aiida_alphacrystal.engine.reconstruct.library import PrototypeLibrary, load_library
from aiida_alphacrystal.engine.reconstruct.pool import Reconstruction, reconstruct

__all__ = ('Candidate', 'PrototypeLibrary', 'Reconstruction', 'load_library', 'reconstruct')
