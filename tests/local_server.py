"""A server on this machine that answers as the databases of the world do, from small recorded responses."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

RECORDED = Path(__file__).parent / 'recorded'


@dataclasses.dataclass(frozen=True)
class Request:
    """What a client has asked for."""

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the server says; a text is sent as it is, anything else as JSON."""

    content: object
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class LocalServer:
    """A running server.

    :param base: its address.
    :param requests: everything that has been asked for, in order.
    :param answer: says what is answered; may be replaced while the server runs.
    """

    base: str
    answer: Callable[[Request], Answer]
    requests: list[Request] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def serving(answer: Callable[[Request], Answer]) -> Iterator[LocalServer]:
    """Serve on a free port of this machine inside the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            request = Request(parts.path, dict(parse_qsl(parts.query)), {k.lower(): v for k, v in self.headers.items()})
            server.requests.append(request)
            given = server.answer(request)
            text = given.content if isinstance(given.content, str) else json.dumps(given.content)
            body = text.replace('{base}', server.base).encode()
            self.send_response(given.status)
            for name, value in {'Content-Length': str(len(body)), **given.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as listening:
        server = LocalServer(f'http://127.0.0.1:{listening.server_port}', answer)
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield server
        listening.shutdown()
        thread.join()


def recorded(name: str) -> Answer:
    """Return a recorded response."""
    return Answer((RECORDED / name).read_text(encoding='utf-8'))


def optimade(request: Request) -> Answer:
    """Answer as a provider of OPTIMADE."""
    if request.path == '/v1/info':
        return recorded('optimade/info.json')
    if request.path != '/v1/structures':
        return Answer({'errors': [{'title': 'Not Found', 'detail': 'There is nothing here.'}]}, 404)
    return recorded(f'optimade/page_{request.parameters.get("page_number", "1")}.json')


def materials_project(request: Request) -> Answer:
    """Answer as the Materials Project, which holds five materials and heeds no filter."""
    if request.path == '/heartbeat':
        return recorded('materials_project/heartbeat.json')
    if request.headers.get('x-api-key') != 'k' * 32:
        return Answer({'detail': 'Invalid authentication credentials'}, 401)
    if request.path != '/materials/summary/':
        return Answer({'detail': 'Not Found'}, 404)
    summary = json.loads((RECORDED / 'materials_project' / 'summary.json').read_text(encoding='utf-8'))
    size = int(request.parameters.get('_per_page', '1'))
    begin = size * (int(request.parameters.get('_page', '1')) - 1)
    return Answer({**summary, 'data': summary['data'][begin : begin + size]})
