"""See that a family of aiida-pseudo has what a calculation needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiida import orm

from aiida_alphacrystal.refiners.errors import FunctionalError, PseudopotentialError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiida_pseudo.data.pseudo import PseudoPotentialData

__all__ = ('check_family', 'check_functional', 'functional_of')

#: A UPF file of version 2 names its functional in an attribute of the header, one of version 1 on a line of its own.
_FUNCTIONAL = (
    re.compile(r'\bfunctional\s*=\s*["\']\s*([^"\']+?)\s*["\']', re.IGNORECASE),
    re.compile(r'^\s*(.+?)\s+Exchange-Correlation functional\s*$', re.IGNORECASE | re.MULTILINE),
)

#: Names of the functionals that have several, by the first four words (exchange and correlation, local and gradient).
_NAMES = {
    'PBE': 'PBE',
    'SLA PW PBX PBC': 'PBE',
    'SLA PW PBE PBE': 'PBE',
    'PBESOL': 'PBEsol',
    'SLA PW PSX PSC': 'PBEsol',
    'LDA': 'LDA',
    'PZ': 'LDA',
    'SLA PZ NOGX NOGC': 'LDA',
}


def check_family(label: str, elements: frozenset[str], needs_cutoffs: bool) -> dict[str, PseudoPotentialData]:
    """Return the pseudopotential of every element.

    :param label: label of the family.
    :param elements: symbols.
    :param needs_cutoffs: whether the family has to recommend cutoffs.
    :raises PseudopotentialError: if there is no such family, or it lacks an element or cutoffs.
    """
    from aiida_pseudo.groups.family import PseudoPotentialFamily
    from aiida_pseudo.groups.mixins import RecommendedCutoffMixin

    families = orm.QueryBuilder().append(PseudoPotentialFamily, filters={'label': label}).all(flat=True)
    if not families:
        raise PseudopotentialError(
            f'There is no family of pseudopotentials {label!r}: install one with `aiida-pseudo install`, or name '
            'another one with the override `pseudo_family`.'
        )
    family = families[0]
    missing = sorted(elements - set(family.elements))
    if missing:
        raise PseudopotentialError(
            f'The family {label!r} has no pseudopotential of {", ".join(missing)}: name one that has with the '
            'override `pseudo_family`.'
        )
    if needs_cutoffs:
        _check_cutoffs(family if isinstance(family, RecommendedCutoffMixin) else None, label, elements)
    return {element: family.get_pseudo(element) for element in sorted(elements)}


def _check_cutoffs(family: orm.Group | None, label: str, elements: frozenset[str]) -> None:
    """See that a family recommends cutoffs.

    :raises PseudopotentialError: if it does not.
    """
    try:
        if family is None:
            raise ValueError('it is of a kind that has none')
        family.get_recommended_cutoffs(elements=tuple(sorted(elements)))  # type: ignore[attr-defined]
    except (KeyError, ValueError) as error:
        raise PseudopotentialError(
            f'The family {label!r} recommends no cutoffs: set them with `aiida-pseudo family cutoffs set`, or give '
            'ecutwfc and ecutrho in the override `pw.parameters.SYSTEM`.'
        ) from error


def check_functional(pseudos: Mapping[str, PseudoPotentialData]) -> None:
    """See that all pseudopotentials were made for one functional, as far as their files say.

    :param pseudos: what they are for, and the pseudopotentials.
    :raises FunctionalError: if two differ.
    """
    stated = {name: functional_of(pseudo.get_content()) for name, pseudo in pseudos.items()}
    known = {name: functional for name, functional in stated.items() if functional is not None}
    if len(set(known.values())) > 1:
        listed = ', '.join(f'{name}: {functional}' for name, functional in known.items())
        raise FunctionalError(
            f'The pseudopotentials were made for different functionals ({listed}): name a family made for one with '
            'the override `pseudo_family`.'
        )


def functional_of(content: str | bytes) -> str | None:
    """Return the density functional that a UPF file was made for, None where it does not say.

    :param content: the file.
    """
    text = content.decode(errors='replace') if isinstance(content, bytes) else content
    found = next((match for pattern in _FUNCTIONAL if (match := pattern.search(text))), None)
    if found is None:
        return None
    words = re.split(r'[\s+-]+', found.group(1).upper())
    short = ' '.join(words[:4])
    return _NAMES.get(short, short)
