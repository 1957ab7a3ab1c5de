"""Make the report page from what was read of a prediction or a screening."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Environment
    from markupsafe import Markup

    from aiida_alphacrystal.report.page.collect import PredictionPage, ScreeningPage

__all__ = ('MAX_BYTES', 'MAX_ROWS', 'render_page')

#: A page is smaller than this.
MAX_BYTES = 3_000_000

#: What is embedded of structures, patterns and distances, and of the rows of a screening, takes at most so many bytes.
_DRAWN_BYTES = 1_100_000
_ROW_BYTES = 1_000_000

#: Structures of a refinement that can be downloaded.
_REFINED = 20

#: Formulas of a screening that a page lists at most.
MAX_ROWS = 5_000

#: Characters of the reason of a failure that are shown.
_REASON = 200

#: Scripts in the order in which the page needs them.
_SCRIPTS = ('dom', 'viewer', 'heatmap', 'plot', 'pattern', 'energies', 'rows', 'prediction', 'screening', 'main')
_LIBRARY = ('vendor', '3Dmol-min.js')


def render_page(page: PredictionPage | ScreeningPage) -> str:
    """Return the page as HTML; the same content gives the same text.

    :param page: what was read.
    """
    from aiida_alphacrystal import __version__
    from aiida_alphacrystal.report.page.collect import MAX_CRYSTALS

    data, left_out = _fitted(page)
    library, program = _script(*_LIBRARY), _program()
    return (
        _environment()
        .get_template(f'{page.kind}.html')
        .render(
            data=data,
            left_out=left_out,
            total=len(getattr(page, 'rows', ())),
            max_crystals=MAX_CRYSTALS,
            settings=json.dumps(data['facts']['parameters'], indent=2),
            version=__version__,
            style=_style(),
            scripts=(library, program),
            hashes=tuple(_hash(script) for script in (library, program)),
        )
    )


def _fitted(page: PredictionPage | ScreeningPage) -> tuple[dict[str, Any], dict[str, int]]:
    """Return what is embedded, and how much of what had to be left out so that the page stays small."""
    data = {field.name: getattr(page, field.name) for field in dataclasses.fields(page)}
    if page.kind == 'prediction':
        rows = list(_drawn_candidates(data['candidates']))
        without = sum(row['crystal'] is None for row in rows)
        refinements = [_fitting_refinement(refinement) for refinement in data['refinements']]
        return {**data, 'candidates': rows, 'refinements': refinements}, {'crystals': without}
    rows = list(_fitting_rows(data['rows']))
    shown = {place: crystal for place, crystal in _fitting_crystals(data['crystals']) if place < len(rows)}
    structures = sum(row['spacegroup'] is not None for row in rows)
    left_out = {'rows': len(data['rows']) - len(rows), 'crystals': structures - len(shown)}
    return {**data, **_columns(rows), 'crystals': shown}, left_out


def _drawn_candidates(candidates: tuple[dict[str, Any], ...]) -> Iterator[dict[str, Any]]:
    """Return candidates without what is drawn of them once that takes too many bytes."""
    total = 0
    empty = {'crystal': None, 'pattern': None, 'distances': None}
    for row in candidates:
        total += _size({key: row[key] for key in empty})
        yield row if total <= _DRAWN_BYTES else {**row, **empty}


def _fitting_refinement(refinement: dict[str, Any]) -> dict[str, Any]:
    """Return a refinement in which only the first structures have their CIF."""
    rows = [{**row, 'cif': row['cif'] if place < _REFINED else None} for place, row in enumerate(refinement['refined'])]
    return {**refinement, 'refined': rows}


def _fitting_rows(rows: tuple[dict[str, Any], ...]) -> Iterator[dict[str, Any]]:
    """Return the first rows of a screening, as many as fit."""
    total = 0
    for row in rows[:MAX_ROWS]:
        reason = row['reason']
        short = reason if reason is None or len(reason) <= _REASON else f'{reason[:_REASON]} ...'
        shown = {**row, 'reason': short}
        total += _size(list(shown.values()))
        if total > _ROW_BYTES:
            return
        yield shown


def _fitting_crystals(crystals: dict[int, dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return the first structures of a screening, as many as fit."""
    total = 0
    for place, crystal in crystals.items():
        total += _size(crystal)
        if total > _DRAWN_BYTES:
            return
        yield place, crystal


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return rows as one list of names and one of values for each row, which is shorter."""
    names = list(rows[0]) if rows else []
    return {'columns': names, 'rows': [[row[name] for name in names] for row in rows]}


def _size(values: Any) -> int:
    return len(json.dumps(values, separators=(',', ':')))


@cache
def _environment() -> Environment:
    """Return the templates; whatever they insert is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader('aiida_alphacrystal.report.page', 'assets'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies['json.dumps_kwargs'] = {'allow_nan': False, 'separators': (',', ':')}
    environment.filters |= {'formula': _formula, 'number': _number, 'percent': _percent, 'spacegroup': _spacegroup}
    return environment


def _formula(text: str) -> Markup:
    """Return a formula with its numbers as subscripts."""
    from markupsafe import Markup

    lowered = Markup('<sub>{}</sub>')
    return Markup('').join(lowered.format(part) if part.isdecimal() else part for part in re.split(r'(\d+)', text))


def _spacegroup(text: str) -> Markup:
    """Return a Hermann-Mauguin symbol with its bars and screw axes."""
    from markupsafe import Markup

    marks = {'-': Markup('<span class="bar">{}</span>'), '_': Markup('<sub>{}</sub>')}
    parts = re.split(r'([-_]\d)', text)
    return Markup('').join(marks[part[0]].format(part[1:]) if place % 2 else part for place, part in enumerate(parts))


def _number(value: float | None, digits: int) -> str:
    """Return a number as text, a dash where there is none."""
    return '\N{EN DASH}' if value is None else f'{value:.{digits}f}'.replace('-', '\N{MINUS SIGN}')


def _percent(value: float | None) -> str:
    return '\N{EN DASH}' if value is None else f'{100 * value:.1f} %'


def _asset(*path: str) -> str:
    return resources.files('aiida_alphacrystal.report.page').joinpath(*path).read_text(encoding='utf-8')


@cache
def _style() -> Markup:
    from markupsafe import Markup

    return Markup(_asset('assets', 'style.css'))  # noqa: S704, it is ours


@cache
def _program() -> Markup:
    """Return our scripts as one, hidden from the rest of the page."""
    from markupsafe import Markup

    parts = [_asset('assets', f'{name}.js') for name in _SCRIPTS]
    return Markup(_checked("(() => {\n'use strict';\n" + '\n'.join(parts) + '\n})();'))  # noqa: S704, it is ours


@cache
def _script(*path: str) -> Markup:
    from markupsafe import Markup

    return Markup(_checked(_asset(*path)))  # noqa: S704, it is in the package


def _checked(script: str) -> str:
    """Return a script that can stand inside a page.

    :raises ValueError: if a browser would see its end too early, or other text than its hash is of.
    """
    if re.search(r'</script|<!--|\r|\0', script, re.IGNORECASE):
        raise ValueError('A script of the report page cannot be embedded: it ends itself or opens a comment.')
    return script


def _hash(script: str) -> str:
    """Return the hash by which a content security policy knows a script."""
    return 'sha256-' + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
