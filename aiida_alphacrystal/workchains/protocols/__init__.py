"""Named sets of settings, so that a user chooses how thorough a work chain is with one word."""

from __future__ import annotations

import copy
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ('available_protocols', 'default_protocol', 'protocol_models', 'protocol_parameters')


def available_protocols(name: str) -> dict[str, str]:
    """Return the protocols of a work chain with a sentence about each.

    :param name: name of the protocol file, such as ``predict``.
    """
    return {key: value['description'] for key, value in _load(name)['protocols'].items()}


def default_protocol(name: str) -> str:
    """Return the protocol that is used where none is named.

    :param name: name of the protocol file, such as ``predict``.
    """
    return str(_load(name)['default_protocol'])


def protocol_models(name: str, protocol: str | None = None) -> dict[str, str]:
    """Return which weights of the package a protocol takes in place of the usual ones, by purpose.

    :param name: name of the protocol file, such as ``predict``.
    :param protocol: name of the protocol, the default one where it is None.
    :raises ValueError: if the protocol does not exist.
    """
    return dict(_choose(name, protocol).get('models', {}))


def protocol_parameters(
    name: str, defaults: Mapping[str, Any], protocol: str | None = None, overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the settings of a protocol, with single values replaced.

    :param name: name of the protocol file, such as ``predict``.
    :param defaults: every setting with its default, nested.
    :param protocol: name of the protocol, the default one where it is None.
    :param overrides: nested as the settings are; they win over the protocol.
    :raises ValueError: if the protocol does not exist or an override is not one of its settings.
    """
    parameters = _merge(defaults, _choose(name, protocol)['parameters'], '')
    return _merge(parameters, overrides or {}, '')


def _choose(name: str, protocol: str | None) -> dict[str, Any]:
    """Return what the file says of a protocol."""
    content = _load(name)
    chosen = protocol or content['default_protocol']
    if chosen not in content['protocols']:
        raise ValueError(f'Unknown protocol {chosen!r}: choose one of {", ".join(content["protocols"])}.')
    found: dict[str, Any] = content['protocols'][chosen]
    return found


def _load(name: str) -> dict[str, Any]:
    import yaml

    text = resources.files(__name__).joinpath(f'{name}.yaml').read_text(encoding='utf-8')
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def _merge(base: Mapping[str, Any], changes: Any, path: str) -> dict[str, Any]:
    """Return a copy of nested dictionaries in which the changes have replaced single values."""
    where = path.rstrip('.') or 'the settings'
    if not hasattr(changes, 'items'):
        raise ValueError(f'The override of {where} is {changes!r}: give a dictionary with keys from {_keys(base)}.')
    merged = copy.deepcopy(dict(base))
    for key, value in changes.items():
        if key not in base:
            raise ValueError(f'Unknown override {path}{key}: the keys of {where} are {_keys(base)}.')
        merged[key] = _merge(base[key], value, f'{path}{key}.') if isinstance(base[key], dict) else value
    return merged


def _keys(values: Mapping[str, Any]) -> str:
    return ', '.join(sorted(values))
