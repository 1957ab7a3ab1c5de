"""Ways to write one crystal down differently."""

import numpy as np
import pytest
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation


@st.composite
def _descriptions(draw, structure):
    """Draw another description of a crystal: turned or mirrored, shifted, reordered, in a larger or skewed cell."""
    turn = Rotation.random(rng=np.random.default_rng(draw(st.integers(0, 10**6)))).as_matrix()
    order = draw(st.permutations(range(len(structure))))
    shift = np.array(draw(st.tuples(*[st.floats(-2, 2)] * 3)))
    scaling = draw(st.sampled_from([np.eye(3), np.diag([1, 1, 2]), np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])]))
    other = Structure(
        Lattice(draw(st.sampled_from([1, -1])) * structure.lattice.matrix @ turn.T),
        [structure[site].specie for site in order],
        structure.frac_coords[list(order)] + shift,
    )
    return other.make_supercell(scaling.astype(int), in_place=False)


@pytest.fixture(scope='session')
def descriptions():
    """Return the strategy."""
    return _descriptions


@pytest.fixture(scope='session')
def made():
    """Return crystals of our making, by what they are."""
    return {
        'rock salt': Structure.from_spacegroup(225, Lattice.cubic(5.64), ['Na', 'Cl'], [[0] * 3, [0.5] * 3]),
        'caesium chloride': Structure(Lattice.cubic(3.4), ['Na', 'Cl'], [[0] * 3, [0.5] * 3]),
        'rutile': Structure.from_spacegroup(
            136, Lattice.tetragonal(4.6, 2.96), ['Ti', 'O'], [[0] * 3, [0.305, 0.305, 0]]
        ),
        'wurtzite': Structure.from_spacegroup(
            186, Lattice.hexagonal(3.82, 6.26), ['Zn', 'S'], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]]
        ),
        'quartz': Structure.from_spacegroup(
            152, Lattice.hexagonal(4.91, 5.40), ['Si', 'O'], [[0.47, 0, 1 / 3], [0.413, 0.266, 0.453]]
        ),
        'triclinic': Structure(
            Lattice.from_parameters(4.1, 5.2, 6.3, 78, 84, 96),
            ['Sr', 'Sr', 'Ti', 'O', 'O'],
            [[0.02, 0.05, 0.01], [0.48, 0.55, 0.12], [0.21, 0.81, 0.52], [0.74, 0.33, 0.63], [0.65, 0.12, 0.91]],
        ),
    }
