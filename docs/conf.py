"""Sphinx configuration. Everything comes from the system's packages; nothing is fetched."""
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from public_headers import public_headers  # noqa: E402

MATHJAX = pathlib.Path("/usr/share/javascript/mathjax")  # Debian's libjs-mathjax, version 2
MATHJAX_PARTS = ("MathJax.js", "config/TeX-AMS_CHTML-full.js", "extensions", "jax/element", "jax/output/CommonHTML",
                 "fonts/HTML-CSS/TeX/woff")

project = "Wengert"
copyright = "the authors of Wengert"
release = re.search(r'WENGERT_VERSION_STRING "(.*)"', (ROOT / "autodiff/version.h").read_text()).group(1)
version = release

extensions = ["breathe", "myst_parser", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["README.md"]
myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False  # its settings are those of MathJax 3

breathe_projects = {"wengert": str(ROOT / "build/docs/xml")}
breathe_default_project = "wengert"
breathe_default_members = ("members",)
breathe_show_include = False

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

mathjax_path = "mathjax/MathJax.js?config=TeX-AMS_CHTML-full.js"
mathjax2_config = {
    "tex2jax": {"ignoreClass": "document", "processClass": "math"},
    "CommonHTML": {"linebreaks": {"automatic": False}},
    "showMathMenu": False,
    "messageStyle": "none",
}


FUNCTION = re.compile(r'''((?:^///.*\n)*)^struct \w+ \{
(?:.*;.*\n)*?.*\*name = "(\w+)",\s+\*latex = (?:"(.*?)"|R"\((.*?)\)");''', re.MULTILINE)


def elementwise_functions():
    """A table of the functions that autodiff/functions/functions.h defines for scalars and tensors alike."""
    rows = ["| function | value | |", "|---|---|---|"]
    for comment, name, plain, raw in FUNCTION.findall((ROOT / "autodiff/functions/functions.h").read_text()):
        formula = (plain or raw).replace("#1", "a").replace("#2", "b").replace("#", "x")
        comment = " ".join(line.removeprefix("///").strip() for line in comment.splitlines()).replace("|", "\\|")
        rows.append(f"| `{name}` | ${formula}$ | {comment} |")
    return "\n## Elementwise functions\n\nOf scalars and of tensors, element by element.\n\n" + "\n".join(rows) + "\n"


def write_api_pages(app):
    """One page a folder, one section a public header: the group that scripts/doxygen-filter made of it."""
    for folder in ("autodiff", "nn", "optim"):
        text = f"# {folder}\n" + (elementwise_functions() if folder == "autodiff" else "")
        for header in public_headers():
            if header.startswith(f"{folder}/") and header != f"{folder}/{folder}.h":
                group = re.sub("[/.]", "_", header)
                text += f"\n## {header}\n\n```{{doxygengroup}} {group}\n:content-only:\n:members:\n:undoc-members:\n```\n"
        page = pathlib.Path(app.srcdir) / "api" / f"{folder}.md"
        page.parent.mkdir(exist_ok=True)
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


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
    app.connect("builder-inited", write_api_pages)
    app.connect("build-finished", copy_mathjax)
