"""Let links work in the repository as well as on the built pages, and names in docstrings find what they mean."""

from __future__ import annotations

import ast
import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

__all__ = ('setup',)

#: Files outside ``docs/`` that pages link to, and the page that shows each.
_PAGES = {
    'benchmarks/README.md': 'benchmarks.md',
    'benchmarks/distances.md': 'benchmark_distances.md',
    'README.md': 'index.md',
}

#: Packages whose documentation is elsewhere; what cannot be linked to there is no mistake.
_ELSEWHERE = frozenset(
    (
        'abc',
        'aiida',
        'ase',
        'chgnet',
        'click',
        'collections',
        'concurrent',
        'datetime',
        'docutils',
        'enum',
        'logging',
        'matgl',
        'matplotlib',
        'np',
        'npt',
        'numpy',
        'orm',
        'pathlib',
        'plumpy',
        'pymatgen',
        'requests',
        'rich',
        'scipy',
        'torch',
        'types',
        'typing',
    )
)


def link_to_pages(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001 the event gives it
    """Turn links to files of the repository into links to the pages that show them.

    :param app: the build.
    :param docname: name of the page.
    :param source: its text, changed in place.
    """
    up = '../' * docname.count('/')
    for file, page in _PAGES.items():
        source[0] = source[0].replace(f'](../{up}{file}', f']({up}{page}')


def name_in_full(app: Sphinx, doctree: nodes.document) -> None:  # noqa: ARG001 the event gives it
    """Give each name in a type the path from which its module imports it, so that equal names are told apart.

    :param app: the build.
    :param doctree: a page that has been read.
    """
    from sphinx.addnodes import pending_xref

    for node in doctree.findall(pending_xref):
        if node.get('refdomain') == 'py' and node.get('py:module'):
            target = node.get('reftarget', '')
            node['reftarget'] = _imports(node['py:module']).get(target, target)


@functools.cache
def _imports(module: str) -> dict[str, str]:
    """Return the names that a module of the package imports from others of it, and where each comes from.

    :param module: its path.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return {}
    statements = ast.walk(ast.parse(Path(spec.origin).read_text(encoding='utf-8')))
    return {
        alias.asname or alias.name: f'{statement.module}.{alias.name}'
        for statement in statements
        if isinstance(statement, ast.ImportFrom) and (statement.module or '').startswith('aiida_alphacrystal')
        for alias in statement.names
    }


def find_by_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.Node | None:
    """Resolve a name that a docstring or a type does not give in full, where only one thing has it.

    :param app: the build.
    :param env: its environment.
    :param node: the reference.
    :param contnode: what is shown.
    """
    if node.get('refdomain') != 'py':
        return None
    target = str(node.get('reftarget', ''))
    if not target or target.split('.', maxsplit=1)[0] in _ELSEWHERE:
        return contnode
    objects: dict[str, Any] = env.domains['py'].objects
    name = target.rsplit('.', maxsplit=1)[-1]
    found = {path for path, entry in objects.items() if path.rsplit('.', maxsplit=1)[-1] == name and not entry.aliased}
    if len(found) > 1:
        found = {path for path in found if path.startswith(target.removesuffix(name))}
    if len(found) == 1:
        path = found.pop()
        entry = objects[path]
        from sphinx.util.nodes import make_refnode

        return make_refnode(app.builder, node['refdoc'], entry.docname, entry.node_id, contnode, path)
    return contnode if name == target else None  # a bare name that only a library has, which a type checker has seen


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build.

    :param app: the build.
    """
    app.connect('source-read', link_to_pages)
    app.connect('doctree-read', name_in_full)
    app.connect('missing-reference', find_by_name, priority=900)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
