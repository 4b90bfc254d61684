"""Sphinx configuration. Everything comes from the system's packages; nothing is fetched."""
import pathlib
import re
import shutil
import sys

from sphinx.domains.cpp import CPPDomain
from sphinx.util import logging

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import reference  # noqa: E402

LOGGER = logging.getLogger(__name__)
NORMALIZE = pathlib.Path("/usr/share/javascript/normalize.css")  # Debian's node-normalize.css, on which furo depends
MATHJAX = pathlib.Path("/usr/share/javascript/mathjax")  # Debian's libjs-mathjax, version 2
MATHJAX_PARTS = ("MathJax.js", "config/TeX-AMS_CHTML-full.js", "extensions", "jax/element", "jax/output/CommonHTML",
                 "fonts/HTML-CSS/TeX/woff")

project = "Wengert"
copyright = "the authors of Wengert"
release = re.search(r'WENGERT_VERSION_STRING "(.*)"', (ROOT / "autodiff/version.h").read_text()).group(1)
version = release

extensions = ["myst_parser", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["README.md"]
myst_enable_extensions = ["amsmath", "attrs_image", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False  # its settings are those of MathJax 3

primary_domain = "cpp"
highlight_language = "cpp"
cpp_index_common_prefix = ["wengert::", "wengert::nn::", "wengert::optim::"]

html_theme = "furo"
html_title = f"Wengert {release}"
html_static_path = ["_static"]
html_css_files = ["wengert.css"]
html_js_files = ["theme.js"]
html_copy_source = False
html_show_sphinx = False
html_search_scorer = str(ROOT / "docs/_static/scorer.js")

mathjax_path = "mathjax/MathJax.js?config=TeX-AMS_CHTML-full.js"
mathjax2_config = {
    "tex2jax": {"ignoreClass": "document", "processClass": "math"},
    "CommonHTML": {"linebreaks": {"automatic": False}},
    "showMathMenu": False,
    "messageStyle": "none",
}


def write_reference(app):
    """The pages of the API reference; a public name without a comment is a warning."""
    for complaint in reference.write_pages(ROOT / "build/docs/xml", pathlib.Path(app.srcdir) / "reference"):
        LOGGER.warning(complaint)


def searchable(self):
    """The names that the search knows: those of functions and types, but not those of parameters."""
    for entry in all_objects(self):
        if entry[2] not in ("functionParam", "templateParam"):
            yield entry


all_objects = CPPDomain.get_objects
CPPDomain.get_objects = searchable


def complete_theme(app, exception):
    """Debian's furo leaves to a web server what it took out of the theme. These pages are also read as files: the style sheet must lie
    beside them, and browsers refuse modules."""
    if exception is not None or app.builder.name != "html":
        return
    scripts, styles = (pathlib.Path(app.outdir) / "_static" / name for name in ("scripts", "styles"))
    if (NORMALIZE / "normalize.css").is_file():
        shutil.copy(NORMALIZE / "normalize.css", styles)
        sheet = styles / "furo.css"
        sheet.write_text(sheet.read_text().replace("/javascript/normalize.css/normalize.css", "normalize.css"))
    script, imported = scripts / "furo.js", 'import Gumshoe from "./gumshoe-patched.js";'
    if imported in script.read_text():
        script.write_text((scripts / "gumshoe-patched.js").read_text() + script.read_text().replace(imported, ""))


def copy_mathjax(app, exception):
    """The parts of MathJax that TeX to HTML needs, so that the pages work without a network."""
    if exception is None and app.builder.name == "html":
        for part in MATHJAX_PARTS:
            target = pathlib.Path(app.outdir) / "_static/mathjax" / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if (MATHJAX / part).is_dir():
                shutil.copytree(MATHJAX / part, target, dirs_exist_ok=True)
            else:
                shutil.copy(MATHJAX / part, target)


def setup(app):
    app.connect("builder-inited", write_reference)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", complete_theme)
