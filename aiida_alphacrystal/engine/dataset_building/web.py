"""Ask servers for JSON, with patience and with words for what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from aiida_alphacrystal.engine.datasets import DatasetError
from aiida_alphacrystal.engine.errors import one_sentence

__all__ = ('BACK_OFF', 'UnreachableError', 'get_json', 'patient_session', 'refused', 'unreachable')

#: First pause between two attempts, s; each one after it is twice as long.
BACK_OFF = 1.0

#: Seconds to wait for a connection and for an answer.
_TIMEOUT = (10.0, 120.0)

_LONGEST_PAUSE = 60.0
_ATTEMPTS = 5
_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
_KEPT = 'run the same command again later, what has been read is kept'


class UnreachableError(DatasetError):
    """A server does not answer, or not now."""


class _Patience(Retry):
    """Retries that wait as long as the server asks for, within reason."""

    def get_retry_after(self, response: Any) -> float | None:
        """Return how long the server asks to wait, s.

        :param response: its answer.
        """
        wait = super().get_retry_after(response)
        return None if wait is None else min(wait, _LONGEST_PAUSE)


def patient_session(back_off: float = BACK_OFF) -> requests.Session:
    """Return a session that asks a few times where a server is busy or fails for a moment.

    :param back_off: first pause between two attempts, s.
    """
    patience = _Patience(
        total=_ATTEMPTS - 1,
        connect=2,
        backoff_factor=back_off / 2,
        backoff_max=_LONGEST_PAUSE,
        status_forcelist=_TRY_AGAIN,
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ('http://', 'https://'):
        session.mount(scheme, HTTPAdapter(max_retries=patience))
    return session


def get_json(session: requests.Session, url: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON object that a server answers with.

    :param session: asks for it.
    :param url: the address.
    :param parameters: of the query.
    :raises UnreachableError: if there is no answer, or the server is busy or fails.
    :raises DatasetError: if the server refuses, or its answer is no JSON object.
    """
    try:
        response = session.get(url, params=parameters, timeout=_TIMEOUT)
    except requests.exceptions.InvalidURL as error:
        raise DatasetError(f'{url} is no address of a server: give one that begins with https://.') from error
    except requests.RequestException as error:
        raise unreachable(url, error) from error
    if response.status_code != requests.codes.ok:
        raise refused(url, response.status_code, _detail(response))
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise DatasetError(f'{url} answers with something that is no JSON object: see whether the address is right.')
    return answer


def unreachable(url: str, error: Exception) -> UnreachableError:
    """Return the error that says that a server does not answer.

    :param url: where it should be.
    :param error: what happened.
    """
    kind = 'takes too long to answer' if isinstance(error, requests.Timeout) else 'cannot be reached'
    return UnreachableError(f'{_host(url)} {kind}: see whether this machine has a network, and {_KEPT}.')


def refused(url: str, status: int, detail: str = '') -> DatasetError:
    """Return the error that says why a server does not give what it was asked for.

    :param url: what it was asked for.
    :param status: of HTTP.
    :param detail: what the server says itself.
    """
    said = f'HTTP {status}{", " + detail if detail else ""}'
    if status == requests.codes.too_many_requests:
        return UnreachableError(f'{_host(url)} asks for fewer requests ({said}): {_KEPT}.')
    if status in _TRY_AGAIN:
        return UnreachableError(f'{_host(url)} fails ({said}), also when asked several times: {_KEPT}.')
    if status in {requests.codes.unauthorized, requests.codes.forbidden}:
        return DatasetError(f'{_host(url)} refuses access ({said}): see whether the key is right and still valid.')
    return DatasetError(f'{_host(url)} does not accept the query ({said}): see whether address and filter are right.')


def _host(url: str) -> str:
    return urlsplit(url).netloc or url


def _detail(response: requests.Response) -> str:
    """Return what a server says about an error, on one line, as far as it says it in JSON."""
    try:
        answer = response.json()
        errors = answer.get('errors') or [{'detail': answer.get('detail')}]
        detail = errors[0].get('detail') or errors[0].get('title')
    except (ValueError, AttributeError, LookupError, TypeError):
        return ''
    return one_sentence(ValueError(detail))[:200] if isinstance(detail, str) else ''
