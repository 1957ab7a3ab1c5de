"""Read crystals from the Materials Project through its own client.

A. Jain et al., APL Materials 1, 011002, 2013, https://doi.org/10.1063/1.4812323.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiida_alphacrystal.engine.dataset_building.crystals import UnusableError, finite_number, primitive_crystal
from aiida_alphacrystal.engine.dataset_building.filters import Filters
from aiida_alphacrystal.engine.dataset_building.sources import Cursor, Entry, Fetched
from aiida_alphacrystal.engine.dataset_building.web import (
    BACK_OFF,
    UnreachableError,
    patient_session,
    refused,
    unreachable,
)
from aiida_alphacrystal.engine.datasets import Crystal, DatasetError
from aiida_alphacrystal.engine.errors import one_sentence

__all__ = ('MaterialsProjectSource',)

_HOST = 'https://api.materialsproject.org'
_FIELDS = ['material_id', 'structure', 'formation_energy_per_atom', 'energy_above_hull']
_KEY_LENGTH = 32
_STATUS = re.compile(r'status code (\d{3})(?:.*?with message:(.*))?', re.DOTALL)
_MEND_KEY = 'take the one that https://next-gen.materialsproject.org/api shows after logging in'


@dataclasses.dataclass(frozen=True)
class MaterialsProjectSource:
    """Materials of the Materials Project that are not deprecated, without those of GNoME, whose licence is another one.

    :param key: of its interface.
    :param filters: asked for where the server can, so that less is downloaded.
    :param elements: symbols of elements that a material must all hold.
    :param chemsys: elements of which a material consists, such as ``Li-Fe-O``; all where it is None.
    :param page_size: materials on one page.
    :param back_off: first pause before a server that is busy is asked again, s.
    :raises DatasetError: if the key is none.
    """

    key: str = dataclasses.field(repr=False)
    filters: Filters
    elements: tuple[str, ...] = ()
    chemsys: str | None = None
    page_size: int = 500
    back_off: float = BACK_OFF

    def __post_init__(self) -> None:
        """Check the key."""
        if len(self.key) != _KEY_LENGTH:
            raise DatasetError(
                f'The key of the Materials Project has {len(self.key)} characters in place of {_KEY_LENGTH}: '
                f'{_MEND_KEY}.'
            )

    def describe(self) -> dict[str, Any]:
        """Return what decides about the crystals, as plain values, without the key."""
        return {
            'kind': 'materials-project',
            'query': self._criteria(),
            'licence': 'CC BY 4.0',
            'citation': 'A. Jain et al., APL Materials 1, 011002 (2013), https://doi.org/10.1063/1.4812323',
        }

    def pages(self, after: Cursor | None) -> Iterator[Fetched]:
        """Yield the materials page by page, in the order of their names.

        :param after: how many pages to leave out at the beginning; None for none.
        :raises UnreachableError: if the server does not answer, or not now.
        :raises DatasetError: if it refuses the key or the query, its answer is a foreign one, or the client is missing.
        """
        client = _import_client()
        page = int(after or 0)
        with patient_session(self.back_off) as session, _in_words():
            session.headers['x-api-key'] = self.key
            with client.MPRester(
                self.key, session=session, use_document_model=False, mute_progress_bars=True
            ) as rester:
                summary = rester.materials.summary
                total = summary.count(self._criteria())
                facts = {'database_version': rester.db_version, 'matching': total}
                while page * self.page_size < total:
                    page += 1
                    found = summary.search(
                        **self._search(),
                        fields=_FIELDS,
                        chunk_size=self.page_size,
                        num_chunks=1,
                        _page=page,
                        _sort_fields='material_id',
                    )
                    self._check_page(page, len(found), total)
                    last = page * self.page_size >= total
                    yield Fetched(tuple(map(_entry, found)), None if last else page, total, facts)

    def _check_page(self, page: int, found: int, total: int) -> None:
        """See that a page is full, or nobody would notice what is missing.

        :raises UnreachableError: if it is not.
        """
        expected = min(self.page_size, total - (page - 1) * self.page_size)
        if found != expected:
            raise UnreachableError(
                f'The Materials Project has sent {found} materials in place of {expected} on page {page}, as while it '
                'is being updated: give another directory and run the command again.'
            )

    def _search(self) -> dict[str, Any]:
        """Return the query in the words of the client."""
        query: dict[str, Any] = {'deprecated': False, 'include_gnome': False, 'num_sites': (1, self.filters.max_atoms)}
        if self.filters.elements:
            query['num_elements'] = (min(self.filters.elements), max(self.filters.elements))
        if self.filters.cubic:
            query['crystal_system'] = 'Cubic'
        if self.filters.max_above_hull is not None:
            query['energy_above_hull'] = (0, self.filters.max_above_hull)
        if self.elements:
            query['elements'] = list(self.elements)
        return query | ({'chemsys': self.chemsys} if self.chemsys else {})

    def _criteria(self) -> dict[str, Any]:
        """Return the query in the words of the server, as the client counts with them."""
        words = {'num_sites': 'nsites', 'num_elements': 'nelements', 'energy_above_hull': 'energy_above_hull'}
        criteria: dict[str, Any] = {'batch_id_not_eq': 'gnome_r2scan_statics'}
        for name, value in self._search().items():
            if isinstance(value, tuple):
                criteria |= {f'{words[name]}_min': value[0], f'{words[name]}_max': value[1]}
            elif name != 'include_gnome':
                criteria[name] = ','.join(value) if isinstance(value, list) else value
        return criteria


def _import_client() -> Any:
    """Return the module of the client.

    :raises DatasetError: if it is not installed.
    """
    try:
        from mp_api import client
    except ImportError as error:
        raise DatasetError(
            "The client of the Materials Project is not installed: pip install 'aiida-alphacrystal[datasets]' does it."
        ) from error
    return client


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Say in one sentence what goes wrong between the client and the server."""
    import requests
    from mp_api.client.core import MPRestError

    host = os.environ.get('MP_API_ENDPOINT') or _HOST  # as the client does
    try:
        yield
    except MPRestError as error:
        if isinstance(error.__context__, requests.RequestException):
            raise unreachable(host, error.__context__) from error
        if found := _STATUS.search(str(error)):
            detail = ' '.join((found[2] or '').split()).rstrip('.')
            raise refused(host, int(found[1]), detail[:200]) from error
        raise DatasetError(f'The client of the Materials Project gives up ({one_sentence(error)[:300]}).') from error
    except requests.exceptions.JSONDecodeError as error:
        raise _foreign(host) from error
    except requests.RequestException as error:
        raise unreachable(host, error) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, DatasetError):
            raise
        raise _foreign(host) from error


def _foreign(host: str) -> DatasetError:
    return DatasetError(
        f'{host} answers with something that is not of the Materials Project: see whether a proxy stands between, and '
        'whether MP_API_ENDPOINT is set.'
    )


def _entry(document: Mapping[str, Any]) -> Entry:
    return Entry(str(document['material_id']), functools.partial(_read, document))


def _read(document: Mapping[str, Any]) -> Crystal:
    from pymatgen.core import Structure

    try:
        structure = Structure.from_dict(dict(document['structure']))
    except Exception as error:  # whatever the server sends in place of a structure
        raise UnusableError('no structure') from error
    energies = (finite_number(document.get(key)) for key in ('formation_energy_per_atom', 'energy_above_hull'))
    return primitive_crystal(structure, str(document['material_id']), *energies)
