"""What mkdocs is given beside docs/: pages of the repository's root, and the reference made from the code."""

import re
import sys
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]

_ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


def on_files(files, config):
    """Add the pages that are not files of docs/."""
    if (here := str(Path(__file__).parent)) not in sys.path:
        sys.path.insert(0, here)
    import reference

    pages = {page: (ROOT / file).read_text(encoding="utf-8") for file, page in _ROOT_PAGES.items()}
    pages = {page: _seen_from_docs(text) for page, text in pages.items()} | reference.pages()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Show what lies outside docs/, such as a stored result, as its path: the site holds no copy of it."""

    def link(found):
        text, target, anchor = found.groups()
        if not target.startswith("../"):
            return found[0]
        place = target.removeprefix("../")
        if place in _ROOT_PAGES:
            return f"[{text}]({_ROOT_PAGES[place]}{anchor or ''})"
        return f"`{place}`" if text.strip("`") == place else f"{text} (`{place}`)"

    return _LINK.sub(link, markdown)


def _seen_from_docs(text):
    """Return a page of the repository's root as it reads in docs/."""

    def link(found):
        label, target, anchor = found.groups()
        target = target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"
        return f"[{label}]({target}{anchor or ''})"

    text = re.sub(r'((?:src|srcset)=")docs/', r"\1", text)
    return _LINK.sub(link, text)
