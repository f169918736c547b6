"""Sphinx's settings for the site; ``python -m docs.site`` builds it."""

import swarmgrid
from docs.site.inventories import projects

project = "swarmgrid"
copyright = "the authors of swarmgrid"  # noqa: A001
version = release = swarmgrid.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "docs.site.names",
]
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
intersphinx_mapping = {
    name: (project["url"], f"inventories/{name}.inv") for name, project in projects().items()
}
linkcheck_anchors = True
linkcheck_timeout = 20
exclude_patterns = ["inventories"]

html_theme = "furo"
html_title = f"swarmgrid {version}"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "native"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
