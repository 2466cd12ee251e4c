# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The site's configuration for Sphinx. `build` beside it gathers the pages and runs it; `make docs` runs that."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

import yaml
from docutils import nodes
from sphinx.util import logging

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())

project = "uwsgi.consul"
author = galaxy["authors"][0]
version = release = galaxy["version"]
html_title = f"{project} {version}"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_enable_extensions = ["colon_fence"]
# Links to headings, as GitHub makes them.
myst_heading_anchors = 4
html_theme = "alabaster"
html_theme_options = {"description": "Consul and uWSGI by Ansible", "page_width": "1100px", "sidebar_width": "240px"}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_show_copyright = False
highlight_language = "text"

# What the reference links to on Ansible's own site, which a build does not ask.
ANSIBLE = "https://docs.ansible.com/ansible/latest"
_ELSEWHERE = {
    "common_return_values": f"{ANSIBLE}/reference_appendices/common_return_values.html",
    "ansible_configuration_settings": f"{ANSIBLE}/reference_appendices/config.html",
}
_PLUGIN_ELSEWHERE = re.compile(r"ansible_collections\.(ansible|community)\.(\w+)\.(\w+?)(__.*)?")
_FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)
_LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def _page(path: str) -> str | None:
    """The page of the site that a file of the repository is; None for one that is no page."""
    if path == "README.md":
        return path
    return path[len("docs/") :] if path.startswith("docs/") and path.endswith(".md") else None


def _linked(original: str, match: re.Match[str]) -> str:
    target = normpath(join(dirname(original), match[1]))
    if not (ROOT / target).exists():
        log.warning("%s links to %s, which does not exist", original, match[1])
        return match[0]
    page, here = _page(target), _page(original)
    if page is None or here is None:
        return f"]({galaxy['repository']}/tree/main/{target})"
    return f"]({relpath(page, dirname(here) or '.')}{match[2] or ''})"


def read_page(app: Any, docname: str, source: list[str]) -> None:
    """Makes a page of the site of a page of the repository, whose links lead to files as well as to pages."""
    if docname == "index":
        source[0] = _expanded(source[0], app.env.found_docs)
        return
    original = f"{docname}.md" if docname == "README" else f"docs/{docname}.md"
    if (ROOT / original).exists():
        parts = _FENCE.split(source[0])
        # Every second part is a block of code.
        parts[::2] = [_LINK.sub(lambda match: _linked(original, match), part) for part in parts[::2]]
        # GitHub draws these; here they are shown as they are written.
        source[0] = "".join(parts).replace("```mermaid", "```text")


def _expanded(text: str, pages: set[str]) -> str:
    """The index with each pattern as the pages that match it and were not named above."""
    left = set(pages) - {"index"}

    def expand(match: re.Match[str]) -> str:
        found = sorted(page for page in fnmatch.filter(left, match[0]) if page.count("/") == match[0].count("/"))
        left.difference_update(found)
        return "\n".join(found)

    return re.sub(r"^[a-zA-Z/*-]+$", expand, text, flags=re.M)


def link_elsewhere(_app: Any, _env: Any, node: Any, content: Any) -> Any:
    """What the site does not have itself, and Ansible's has."""
    target = node["reftarget"]
    plugin = _PLUGIN_ELSEWHERE.fullmatch(target)
    address = f"{ANSIBLE}/collections/{plugin[1]}/{plugin[2]}/{plugin[3]}.html" if plugin else _ELSEWHERE.get(target)
    return nodes.reference("", "", content, internal=False, refuri=address) if address else None


def setup(app: Any) -> None:
    app.connect("source-read", read_page)
    app.connect("missing-reference", link_elsewhere)
