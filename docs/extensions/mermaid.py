"""Mermaid's flowcharts as pictures in the page: drawn when it is built, with nothing to fetch."""

from docutils import nodes
from merm import render_diagram
from sphinx.util.docutils import SphinxDirective


class Mermaid(SphinxDirective):
    """A fence of Mermaid, as code hosts draw it themselves."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        picture = render_diagram("\n".join(self.content))
        return [nodes.raw("", f'<div class="diagram">{picture}</div>', format="html")]


def setup(app):
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True}
