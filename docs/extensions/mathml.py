"""Formulas as MathML, which browsers draw themselves: no script, no fonts, nothing to fetch."""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def mathml(tex, **how):
    # docutils knows sized delimiters by the side that they are on.
    tex = re.sub(r"\\big([(\[])", r"\\bigl\1", tex)
    return tex2mathml(re.sub(r"\\big([)\]])", r"\\bigr\1", tex), **how)


def visit_inline(translator, node):
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def visit_block(translator, node):
    # A formula wider than a narrow screen scrolls, also from the keyboard.
    made = mathml(node.astext(), as_block=True)
    translator.body.append(f'<div class="math" tabindex="0">{made}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True}
