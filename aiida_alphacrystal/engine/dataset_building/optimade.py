"""Read crystals from an OPTIMADE provider.

C. W. Andersen et al., Sci. Data 8, 217, 2021, https://doi.org/10.1038/s41597-021-00974-z. The interface is the one of
version 1 of the specification.
"""

# The client of the package optimade (1.5.0) is not used: it asks a server that answers 429 again without end, asks none
# that answers 503 again, and has one text for every error, so that a page could neither be waited for nor go on from.

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from aiida_alphacrystal.engine.dataset_building.crystals import UnusableError, finite_number, primitive_crystal
from aiida_alphacrystal.engine.dataset_building.sources import Cursor, Entry, Fetched
from aiida_alphacrystal.engine.dataset_building.web import BACK_OFF, get_json, patient_session
from aiida_alphacrystal.engine.datasets import Crystal, DatasetError

if TYPE_CHECKING:
    import requests
    from pymatgen.core import Structure

__all__ = ('OptimadeSource', 'read_structure')

_FIELDS = (
    'lattice_vectors',
    'cartesian_site_positions',
    'species_at_sites',
    'species',
    'dimension_types',
    'structure_features',
)


@dataclasses.dataclass(frozen=True)
class OptimadeSource:
    """Structures of an OPTIMADE provider.

    :param url: base URL of the provider.
    :param query: an OPTIMADE filter, such as ``elements HAS ALL "Na","Cl"``; empty for all structures.
    :param energy_field: field of the provider that holds formation energies, eV/atom.
    :param hull_field: field of the provider that holds energies above the hull, eV/atom.
    :param page_limit: structures on one page.
    :param back_off: first pause before a server that is busy is asked again, s.
    :raises DatasetError: if the URL is none of the web.
    """

    url: str
    query: str = ''
    energy_field: str | None = None
    hull_field: str | None = None
    page_limit: int = 100
    back_off: float = BACK_OFF

    def __post_init__(self) -> None:
        """Check the address."""
        parts = urlsplit(self.url)
        if parts.scheme not in {'http', 'https'} or not parts.hostname:
            raise DatasetError(
                f'{self.url!r} is no base URL of an OPTIMADE provider: give one such as https://example.org/optimade.'
            )

    def describe(self) -> dict[str, Any]:
        """Return what decides about the crystals, as plain values."""
        names = ('url', 'query', 'energy_field', 'hull_field')
        return {'kind': 'optimade', **{name: getattr(self, name) for name in names}}

    def pages(self, after: Cursor | None) -> Iterator[Fetched]:
        """Yield the structures page by page.

        :param after: address of the page to go on from; None for the first one.
        :raises UnreachableError: if the provider does not answer, or not now.
        :raises DatasetError: if it refuses the query, or its answer is not one of OPTIMADE.
        """
        with patient_session(self.back_off) as session:
            facts = {} if after is not None else self._facts(session)
            address: str | None = None if after is None else str(after)
            while True:
                parameters = self._parameters() if address is None else None
                asked = address or f'{self._base}/structures'
                answer = get_json(session, asked, parameters)
                entries = tuple(self._entries(answer, asked))
                address = self._next(answer, asked) if entries else None
                yield Fetched(entries, address, _total(answer), facts)
                if address is None:
                    return
                facts = {}

    @property
    def _base(self) -> str:
        """The base URL with the version of the interface."""
        url = self.url.rstrip('/')
        return url if re.search(r'/v\d+(\.\d+)*$', url) else f'{url}/v1'

    def _parameters(self) -> dict[str, Any]:
        fields = [*_FIELDS, *(name for name in (self.energy_field, self.hull_field) if name)]
        query = {'filter': self.query} if self.query else {}
        return {**query, 'response_fields': ','.join(fields), 'page_limit': self.page_limit}

    def _facts(self, session: requests.Session) -> dict[str, Any]:
        """Return what the provider says about itself."""
        answer = get_json(session, f'{self._base}/info')
        data, meta = answer.get('data'), answer.get('meta')
        attributes = data.get('attributes') if isinstance(data, Mapping) else None
        if not isinstance(attributes, Mapping) or 'api_version' not in attributes:
            raise DatasetError(f'{self._base}/info is not an answer of OPTIMADE: give the base URL of a provider.')
        provider = meta.get('provider') if isinstance(meta, Mapping) else None
        facts = {
            'provider': provider.get('name') if isinstance(provider, Mapping) else None,
            'api_version': attributes['api_version'],
            'licence': _licence(attributes),
        }
        return {name: value for name, value in facts.items() if value}

    def _entries(self, answer: Mapping[str, Any], asked: str) -> Iterator[Entry]:
        data = answer.get('data')
        if not isinstance(data, list) or not all(isinstance(one, Mapping) for one in data):
            raise DatasetError(f'{asked} is not an answer of OPTIMADE: give the base URL of a provider.')
        for structure in data:
            name = str(structure.get('id'))
            attributes = structure.get('attributes')
            known = attributes if isinstance(attributes, Mapping) else {}
            yield Entry(name, functools.partial(self._read, name, known))

    def _read(self, name: str, attributes: Mapping[str, Any]) -> Crystal:
        energies = (
            finite_number(attributes.get(field)) if field else None for field in (self.energy_field, self.hull_field)
        )
        return read_structure(name, attributes, *energies)

    def _next(self, answer: Mapping[str, Any], asked: str) -> str | None:
        """Return the address of the next page, None after the last one.

        :raises DatasetError: if it is at another host, which nobody has asked for, or the page itself.
        """
        links = answer.get('links')
        link = links.get('next') if isinstance(links, Mapping) else None
        link = link.get('href') if isinstance(link, Mapping) else link
        if not link:
            return None
        address = urljoin(asked, str(link))
        if address == asked or urlsplit(address).hostname != urlsplit(self.url).hostname:
            raise DatasetError(
                f'The next page of {asked} would be {address}, which is the same one or at another host: use a limit '
                'to take what comes before it, or ask the provider.'
            )
        return address


def read_structure(
    name: str,
    attributes: Mapping[str, Any],
    formation_energy_per_atom: float | None = None,
    e_above_hull: float | None = None,
) -> Crystal:
    """Return a structure of OPTIMADE as a crystal in its standard primitive cell.

    :param name: of the entry.
    :param attributes: of the entry, as the specification defines them.
    :param formation_energy_per_atom: eV/atom, or None where it is not known.
    :param e_above_hull: energy above the convex hull, eV/atom, or None where it is not known.
    :raises UnusableError: if it is no ordered crystal of known elements.
    """
    try:
        structure = _structure(attributes)
    except UnusableError:
        raise
    except Exception as error:  # whatever a provider sends in place of numbers and names
        raise UnusableError('no lattice, positions and species as OPTIMADE defines them') from error
    return primitive_crystal(structure, name, formation_energy_per_atom, e_above_hull)


def _structure(attributes: Mapping[str, Any]) -> Structure:
    """Return the structure that attributes describe; any exception says that they describe none."""
    from pymatgen.core import Structure

    if (attributes.get('dimension_types') or [1, 1, 1]) != [1, 1, 1]:
        raise UnusableError('not periodic in all three directions')
    if {*(attributes.get('structure_features') or ())} & {'assemblies', 'site_attachments'}:
        raise UnusableError('sites that depend on each other, or atoms without positions')
    species = _species(attributes)
    symbols = [species[site] for site in attributes['species_at_sites']]
    lattice, positions = (attributes[name] for name in ('lattice_vectors', 'cartesian_site_positions'))
    return Structure(lattice, symbols, positions, coords_are_cartesian=True)


def _species(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the element of each species.

    :raises UnusableError: if one of them is a mixture, a vacancy or no element.
    """
    symbols = {}
    for species in attributes['species']:
        found = species['chemical_symbols']
        if 'vacancy' in found or any(share < 1 - 1e-3 for share in species['concentration'] if len(found) == 1):
            raise UnusableError('a site is only partly occupied')
        if len(found) > 1:
            raise UnusableError('several elements share a site')
        if found[0] == 'X':
            raise UnusableError('the element X is not known')
        symbols[species['name']] = found[0]
    return symbols


def _total(answer: Mapping[str, Any]) -> int | None:
    meta = answer.get('meta')
    total = meta.get('data_returned') if isinstance(meta, Mapping) else None
    return total if isinstance(total, int) else None


def _licence(attributes: Mapping[str, Any]) -> str | None:
    """Return the licence of the data, as a provider states it from version 1.2 of the specification."""
    if names := attributes.get('available_licenses_for_entries') or attributes.get('available_licenses'):
        return ', '.join(map(str, names))
    link = attributes.get('license')
    link = link.get('href') if isinstance(link, Mapping) else link
    return str(link) if link else None
