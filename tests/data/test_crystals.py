"""Tests of the crystals that a group of structures holds."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm
from aiida.orm.nodes.data.structure import Kind, Site
from pymatgen.core import Lattice, Structure

from aiida_alphacrystal.data.crystals import GroupError, crystals_from_group
from aiida_alphacrystal.engine.progress import reporting

ROCK_SALT = Structure.from_spacegroup(225, Lattice.cubic(5.64), ['Na', 'Cl'], [[0] * 3, [0.5] * 3])


@pytest.fixture
def make_group(aiida_profile):
    """Return a function that puts nodes into a group, which is gone after the test."""
    groups = []

    def make(*nodes, label='known', cls=orm.Group):
        group = cls(label=label).store()
        groups.append(group)
        group.add_nodes([node.store() for node in nodes])
        return group

    yield make
    for group in groups:
        orm.Group.collection.delete(group.pk)


def node_of(structure=ROCK_SALT, **extras):
    node = orm.StructureData(pymatgen=structure)
    node.base.extras.set_many(extras)
    return node


def cubic(*kinds, a=4.0, pbc=(True, True, True), positions=((0, 0, 0), (2, 2, 2))):
    """Return a cubic crystal whose sites are the corner and the centre of the cell."""
    node = orm.StructureData(cell=np.eye(3) * a, pbc=pbc)
    for kind, position in zip(kinds, positions, strict=True):
        if kind.name not in node.get_kind_names():
            node.append_kind(kind)
        node.append_site(Site(kind_name=kind.name, position=position))
    return node


def kind(symbols, weights=None, name=None):
    return Kind(symbols=symbols, weights=weights, name=name)


def test_standard_primitive_cell(make_group):
    node = node_of(ROCK_SALT.make_supercell([2, 1, 1], in_place=False))
    make_group(node)
    found = crystals_from_group('known')
    assert found.skipped == ()
    (crystal,) = found.crystals
    assert crystal.material_id == node.uuid
    assert crystal.species == ('Na', 'Cl')
    assert crystal.spacegroup == 225
    assert crystal.volume == pytest.approx(5.64**3 / 4)
    assert np.linalg.norm(crystal.lattice, axis=1) == pytest.approx([5.64 / 2**0.5] * 3)
    assert crystal.frac_coords[1] - crystal.frac_coords[0] == pytest.approx([0.5] * 3)
    assert crystal.formation_energy_per_atom is None
    assert crystal.e_above_hull is None


def test_symmetry_within_the_tolerance_becomes_exact(make_group):
    shaken = ROCK_SALT.copy()
    shaken.translate_sites([0], [0.02, 0, 0], frac_coords=False)
    make_group(node_of(shaken))
    (crystal,) = crystals_from_group('known').crystals
    assert (crystal.spacegroup, crystal.natoms) == (225, 2)


def test_kinds_of_one_element_are_one_element(make_group):
    make_group(cubic(kind('Fe', name='Fe1'), kind('Fe', name='Fe2'), a=2.87, positions=((0, 0, 0), (1.435,) * 3)))
    (crystal,) = crystals_from_group('known').crystals
    assert (crystal.species, crystal.spacegroup) == (('Fe',), 229)


def test_energies_from_extras_and_attributes(make_group):
    relaxed = node_of()
    relaxed.base.attributes.set('e_above_hull', 0.25)
    nodes = [node_of(e_above_hull=0.01, formation_energy_per_atom=-2), relaxed, node_of(e_above_hull='unknown')]
    make_group(*nodes)
    crystals = {crystal.material_id: crystal for crystal in crystals_from_group('known').crystals}
    energies = [(crystals[node.uuid].e_above_hull, crystals[node.uuid].formation_energy_per_atom) for node in nodes]
    assert energies == [(0.01, -2.0), (0.25, None), (None, None)]


@pytest.mark.parametrize(
    ('node', 'reason'),
    [
        (lambda: cubic(kind(['Cu', 'Au'], [0.5, 0.5]), kind('Au')), 'several elements share a site'),
        (lambda: cubic(kind('Cu', [0.9]), kind('Au')), 'a site is only partly occupied'),
        (lambda: cubic(kind('Na'), kind('Cl'), pbc=(True, True, False)), 'not periodic in all three directions'),
        (lambda: cubic(kind('Po'), kind('O')), 'the element Po is not known'),
        (lambda: cubic(kind('X'), kind('O')), 'the element X is not known'),
        (lambda: cubic(kind('Na'), kind('Cl'), positions=((0, 0, 0), (0.1, 0, 0))), 'atoms closer than 0.5 angstrom'),
        (
            lambda: cubic(kind('Na'), kind('Na', name='Na2'), positions=((0, 0, 0), (0.01, 0, 0))),
            'no symmetry can be found, as where atoms overlap',
        ),
        (lambda: orm.Int(1), 'no structure (Int)'),
    ],
)
def test_skipped(make_group, node, reason):
    good, bad = node_of(), node()
    make_group(good, bad)
    found = crystals_from_group('known')
    assert [crystal.material_id for crystal in found.crystals] == [good.uuid]
    assert found.skipped == ((bad.uuid, reason),)


def test_largest_cell(make_group):
    low = Structure(
        Lattice.from_parameters(4, 5, 6, 80, 85, 95), ['Na', 'Na', 'Cl'], [[0, 0, 0], [0.4, 0.3, 0.5], [0.1, 0.6, 0.8]]
    )
    node = node_of(low)
    small = node_of(ROCK_SALT)
    make_group(node, small)
    assert crystals_from_group('known', max_atoms=3).skipped == ()
    assert crystals_from_group('known', max_atoms=2).skipped == (
        (node.uuid, 'more than 2 atoms in the primitive cell'),
    )


def test_order_follows_from_the_content(make_group):
    nodes = [node_of() for _ in range(5)]
    make_group(*nodes)
    make_group(*reversed(nodes), label='reversed')
    order = [crystal.material_id for crystal in crystals_from_group('known').crystals]
    assert order == sorted(node.uuid for node in nodes)
    assert order == [crystal.material_id for crystal in crystals_from_group('reversed').crystals]


def test_other_groups_are_left_alone(make_group):
    node = node_of()
    make_group(node_of(), label='other')
    make_group(node)
    assert [crystal.material_id for crystal in crystals_from_group('known').crystals] == [node.uuid]


def test_progress_is_reported(make_group):
    make_group(node_of(), orm.Int(1), node_of())
    reports = []
    with reporting(lambda *report: reports.append(report)):
        crystals_from_group('known')
    assert reports == [('group', 1, 3), ('group', 2, 3), ('group', 3, 3)]


def test_no_such_group(make_group):
    make_group(node_of())
    with pytest.raises(GroupError, match=r"There is no group 'Known' in this profile: `verdi group list -a` lists"):
        crystals_from_group('Known')


def test_empty_group(make_group):
    make_group()
    with pytest.raises(GroupError, match="The group 'known' is empty"):
        crystals_from_group('known')


def test_nothing_usable(make_group):
    number = orm.Int(1)
    make_group(number)
    with pytest.raises(GroupError, match=f"None of the 1 nodes of the group 'known' .*{number.uuid}: no structure"):
        crystals_from_group('known')


def test_two_groups_of_one_label(make_group):
    make_group(node_of())
    make_group(node_of(), cls=orm.ImportGroup)
    with pytest.raises(GroupError, match=r"2 groups are called 'known' \(core, core.import\)"):
        crystals_from_group('known')
