"""Where candidates come from, by the names that a user gives."""

from __future__ import annotations

from aiida_alphacrystal.engine.errors import SettingsError

__all__ = ('CONTROLS', 'DEFAULT_SOURCES', 'NEAREST', 'RANDOM', 'SOURCES', 'read_sources')

#: The sources of a prediction, which may be combined.
DEFAULT_SOURCES = ('templates', 'reconstruct')

#: The two controls: known crystals of the same stoichiometry as they are, and random symmetric crystals.
NEAREST, RANDOM = CONTROLS = ('nearest-template', 'random')

#: Everything that can be evaluated.
SOURCES = DEFAULT_SOURCES + CONTROLS


def read_sources(text: str) -> tuple[str, ...]:
    """Return the sources that a user names.

    :param text: names from ``SOURCES`` with commas between them.
    :raises SettingsError: if one is unknown, or a control is named beside another source.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(',') if name.strip()))
    unknown = [name for name in names if name not in SOURCES]
    if unknown or not names:
        raise SettingsError(
            f'{unknown[0] if unknown else text!r} is no source of candidates: give one of {", ".join(SOURCES)}, or the '
            'first two with a comma between them.'
        )
    if len(names) > 1 and set(CONTROLS) & set(names):
        raise SettingsError(f'{NEAREST} and {RANDOM} are controls: give each of them alone.')
    return names
