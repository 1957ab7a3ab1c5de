"""Show formulas as MathML, which browsers draw by themselves: a page loads nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils.utils.math.latex2mathml import tex2mathml

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

__all__ = ('setup',)


def show_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a sentence.

    :param translator: writes the page.
    :param node: the formula.
    """
    _write(translator, node, as_block=False)


def show_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own.

    :param translator: writes the page.
    :param node: the formula.
    """
    _write(translator, node, as_block=True)


def _write(translator: HTML5Translator, node: nodes.math | nodes.math_block, *, as_block: bool) -> None:
    from docutils.nodes import SkipNode

    mathml = tex2mathml(node.astext(), as_block=as_block)
    translator.body.append(f'<div class="math">{mathml}</div>\n' if as_block else mathml)
    raise SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the renderer.

    :param app: the build.
    """
    app.add_html_math_renderer('mathml', (show_inline, None), (show_block, None))
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
