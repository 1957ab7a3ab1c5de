"""Tables of the reference that are made from the code: settings, protocols and exit codes.

Each directive writes a Markdown table and lets MyST parse it, so that what is shown cannot differ from what is run.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ('exit_code_rows', 'protocol_rows', 'setting_rows', 'setup')

#: Exit codes below this are those of AiiDA.
_OWN = 200

#: What an exit code means where no error of the engine says it well.
_MEANINGS = {
    303: 'Files that a job should have left are missing or damaged.',
    310: 'A stage failed in a way that was not foreseen; the message says which stage.',
    430: 'Every DFT calculation failed; the ranking says why for each.',
    440: 'No formula of a screening has a structure; or a job used up its time and goes on from its checkpoints.',
    441: 'The memory of a job did not suffice.',
    442: 'A GPU was asked for and there is none.',
    443: 'A job ended for a reason that is not known.',
    450: 'The job that reconstructs and relaxes failed.',
    410: 'No candidate could be built, or no formula of a job has a prediction.',
    420: 'Every relaxation failed.',
}


def setting_rows() -> list[list[str]]:
    """Return path, default, range and meaning of every setting."""
    from aiida_alphacrystal.engine import settings

    ranges = {path: f'{low:,} to {high:,}' for path, low, high in settings._RANGES}
    choices = {
        'search.method': settings._SEARCH_METHODS,
        'rank.method': settings._RANK_METHODS,
        'cells.crystal_system': tuple(settings.CRYSTAL_SYSTEMS),
    }
    ranges |= {path: ', '.join(values) for path, values in choices.items()}
    return [
        [f'`{path}`', f'`{default!r}`', ranges.get(path, ''), meaning]
        for path, default, meaning in _settings(settings.PredictionSettings)
    ]


def protocol_rows() -> tuple[list[str], list[list[str]]]:
    """Return the names of the protocols, and each setting with its value in every one of them."""
    from aiida_alphacrystal.workchains import PredictWorkChain

    protocols = list(PredictWorkChain.get_available_protocols())
    values = {name: dict(_flat(PredictWorkChain.get_protocol_parameters(name))) for name in protocols}
    rows = []
    for path in values[protocols[0]]:
        cells = [f'`{values[name][path]!r}`' for name in protocols]
        rows.append([f'`{path}`', *(cells if len(set(cells)) > 1 else ['', cells[0], *[''] * (len(cells) - 2)])])
    return protocols, rows


def exit_code_rows() -> list[list[str]]:
    """Return status, label, processes and meaning of every exit code of the plugin.

    :raises KeyError: if nobody says what an exit code means.
    """
    from aiida_alphacrystal.calcfunctions.exit_codes import EXIT_CODES

    meanings = {status: _first_sentence(error.__doc__) for error, status, _ in EXIT_CODES} | _MEANINGS
    users: dict[tuple[int, str], list[str]] = {}
    for name, process in _processes():
        for label, code in process.exit_codes.items():
            if code.status >= _OWN:
                users.setdefault((code.status, label), []).append(name)
                if '{' not in code.message:
                    meanings.setdefault(code.status, code.message)
    everyone = len(list(_processes()))
    return [
        [str(status), f'`{label}`', 'every process' if len(names) == everyone else ', '.join(names), meanings[status]]
        for (status, label), names in sorted(users.items())
    ]


def _processes() -> Iterator[tuple[str, Any]]:
    """Yield the work chains and calculation jobs of the plugin with their entry points."""
    from aiida.plugins import CalculationFactory, WorkflowFactory

    for name in ('predict', 'predict.base', 'screen', 'refine'):
        yield f'`{name}`', WorkflowFactory(f'alphacrystal.{name}')
    yield 'the job `predict`', CalculationFactory('alphacrystal.predict')


def _settings(cls: type, prefix: str = '') -> Iterator[tuple[str, Any, str]]:
    """Yield path, default and meaning of every setting of a dataclass and of those inside it."""
    hints = typing.get_type_hints(cls)
    meanings = _parameters(cls)
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _settings(hints[field.name], f'{prefix}{field.name}.')
        else:
            yield f'{prefix}{field.name}', field.default, meanings[field.name]


def _parameters(cls: type) -> dict[str, str]:
    """Return what the docstring of a class says of each parameter."""
    parts = re.split(r'^:param (\w+):', inspect.getdoc(cls) or '', flags=re.MULTILINE)[1:]
    texts = (' '.join(text.split()) for text in parts[1::2])
    return {name: _capitalised(text.replace('``', '`')) for name, text in zip(parts[::2], texts, strict=True)}


def _with_range(meaning: str, values: str) -> str:
    return f'{meaning} *{values}*' if values else meaning


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _first_sentence(text: str | None) -> str:
    return ' '.join((text or '').split('\n\n', maxsplit=1)[0].split())


def _flat(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    escaped = ([cell.replace('|', '\\|') for cell in row] for row in rows)
    lines = [header, ['---'] * len(header), *escaped]
    return [f'| {" | ".join(line)} |' for line in lines]


class _Table(SphinxDirective):
    """A table in Markdown."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        container = nodes.container()
        self.state.nested_parse(StringList(self.lines(), source=self.get_source_info()[0]), 0, container)
        return container.children

    def lines(self) -> list[str]:
        """Return the lines of the table."""
        raise NotImplementedError


class _Settings(_Table):
    """Every setting of a prediction."""

    def lines(self) -> list[str]:
        """Return the lines of the table."""
        rows = [[path, default, _with_range(meaning, values)] for path, default, values, meaning in setting_rows()]
        return _table(['setting', 'default', 'what it is'], rows)


class _Protocols(_Table):
    """What the protocols set."""

    def lines(self) -> list[str]:
        """Return the lines of the table."""
        protocols, rows = protocol_rows()
        return _table(['setting', *(f'`{name}`' for name in protocols)], rows)


class _ExitCodes(_Table):
    """Every exit code of the plugin."""

    def lines(self) -> list[str]:
        """Return the lines of the table."""
        return _table(['status', 'label', 'of', 'what it means'], exit_code_rows())


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directives known to Sphinx.

    :param app: the build.
    """
    app.add_directive('alphacrystal-settings', _Settings)
    app.add_directive('alphacrystal-protocols', _Protocols)
    app.add_directive('alphacrystal-exit-codes', _ExitCodes)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
