"""How the documentation is built: ``make docs``. Nothing is fetched from the network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent / "benchmarks")]

import bayescale  # noqa: E402

project = "bayescale"
author = "The bayescale authors"
copyright = "the bayescale authors"
version = release = bayescale.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "mathml",
    "mermaid",
    "pages",
    "commands",
]

# --- pages in Markdown ----------------------------------------------------------------------------

myst_enable_extensions = ["deflist", "dollarmath"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3

# --- the reference, from docstrings ---------------------------------------------------------------

default_role = "literal"
autosummary_generate = False
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False
add_module_names = False
toc_object_entries_show_parents = "hide"

# --- looks ----------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"bayescale {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1f4e79",
        "color-brand-content": "#1f4e79",
        "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif",
    },
    "dark_css_variables": {"color-brand-primary": "#8fb8de", "color-brand-content": "#8fb8de"},
}
# Of the theme's own package: every token is seven to one against its ground.
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

# --- search ---------------------------------------------------------------------------------------

# What a page is looked for by: words of the index, which a search puts first.
search_words = {
    "install": ["install", "installation", "installing"],
    "command_line": ["command line", "commands", "options", "prompt", "shell"],
    "tutorial": ["tutorial", "decide", "budget", "report"],
    "your_table": ["table of runs", "csv", "columns", "units"],
    "which_law": ["which law", "laws"],
    "extrapolation": ["calibrated", "extrapolation", "coverage"],
    "mixtures": ["experts", "mixture of experts", "upcycling", "sparsity"],
    "checking": ["residuals", "checks"],
    "comparing": ["compare", "model comparison"],
    "posteriors": ["diagnostics", "divergences"],
    "plots": ["plots", "pictures", "figures"],
}
