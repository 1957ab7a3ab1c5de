"""Known crystals out of a group of structures, as the training commands take them."""

from __future__ import annotations

import dataclasses

from aiida import orm

from aiida_alphacrystal.engine.composition import DEFAULT_MAX_ATOMS
from aiida_alphacrystal.engine.dataset_building.crystals import UnusableError, finite_number, primitive_crystal
from aiida_alphacrystal.engine.datasets import Crystal
from aiida_alphacrystal.engine.errors import AlphaCrystalError
from aiida_alphacrystal.engine.features import supported_elements
from aiida_alphacrystal.engine.progress import report

__all__ = ('GroupCrystals', 'GroupError', 'crystals_from_group')


class GroupError(AlphaCrystalError):
    """A group does not exist or holds no crystal that can be used."""


@dataclasses.dataclass(frozen=True)
class GroupCrystals:
    """The crystals of a group.

    :param crystals: one for each structure that can be used, in the order of the UUIDs.
    :param skipped: UUID of every other node and why it was left out, in the same order.
    """

    crystals: tuple[Crystal, ...]
    skipped: tuple[tuple[str, str], ...]


def crystals_from_group(label: str, max_atoms: int = DEFAULT_MAX_ATOMS) -> GroupCrystals:
    """Return the structures of a group as crystals in standard primitive cells.

    The result depends on the content of the group only, not on the order in which it was filled. Energies are taken
    from the extras or attributes ``formation_energy_per_atom`` and ``e_above_hull`` (eV/atom) where a node has them.

    :param label: label of the group.
    :param max_atoms: leave out structures with more atoms in the primitive cell.
    :raises GroupError: if there is no such group, it is empty, or none of its nodes can be used.
    """
    group = _load_group(label)
    query = orm.QueryBuilder().append(orm.Group, filters={'id': group.pk}, tag='group')
    query.append(orm.Node, with_group='group', tag='node').order_by({'node': {'uuid': 'asc'}})
    total = query.count()
    if not total:
        raise GroupError(f'The group {label!r} is empty: add structures with `verdi group add-nodes`.')
    crystals: list[Crystal] = []
    skipped: list[tuple[str, str]] = []
    for done, (node,) in enumerate(query.iterall(), start=1):
        try:
            crystals.append(_to_crystal(node, max_atoms))
        except UnusableError as reason:
            skipped.append((node.uuid, str(reason)))
        report('group', done, total)
    if not crystals:
        raise GroupError(
            f'None of the {total} nodes of the group {label!r} can be used (the first one, {skipped[0][0]}: '
            f'{skipped[0][1]}): add structures that can.'
        )
    return GroupCrystals(tuple(crystals), tuple(skipped))


def _load_group(label: str) -> orm.Group:
    """Return the one group with a label.

    :raises GroupError: if there is none or there are several, of different types.
    """
    groups = orm.QueryBuilder().append(orm.Group, filters={'label': label}).all(flat=True)
    if not groups:
        raise GroupError(f'There is no group {label!r} in this profile: `verdi group list -a` lists all groups.')
    if len(groups) > 1:
        kinds = ', '.join(sorted(group.type_string for group in groups))
        raise GroupError(
            f'{len(groups)} groups are called {label!r} ({kinds}): give one another label with `verdi group relabel`.'
        )
    group: orm.Group = groups[0]
    return group


def _to_crystal(node: orm.Node, max_atoms: int) -> Crystal:
    """Return the crystal that a node holds.

    :raises UnusableError: if it holds none, or one that cannot be learnt from.
    """
    if not isinstance(node, orm.StructureData):
        raise UnusableError(f'no structure ({type(node).__name__})')
    if reason := _why_not(node):
        raise UnusableError(reason)
    energies = (_energy(node, key) for key in ('formation_energy_per_atom', 'e_above_hull'))
    crystal = primitive_crystal(node.get_pymatgen_structure(), node.uuid, *energies)
    if crystal.natoms > max_atoms:
        raise UnusableError(f'more than {max_atoms} atoms in the primitive cell')
    return crystal


def _why_not(node: orm.StructureData) -> str | None:
    """Return why a structure is no ordered crystal of known elements, or None."""
    if not all(node.pbc):
        return 'not periodic in all three directions'
    if node.is_alloy:
        return 'several elements share a site'
    if node.has_vacancies:
        return 'a site is only partly occupied'
    unknown = sorted(node.get_symbols_set() - supported_elements())
    if unknown:
        return f'the element {unknown[0]} is not known'
    return None if node.sites else 'no atoms'


def _energy(node: orm.StructureData, key: str) -> float | None:
    """Return an energy that someone has put on a node, eV/atom, or None."""
    return finite_number(node.base.extras.get(key, node.base.attributes.get(key, None)))
