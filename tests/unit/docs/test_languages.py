"""The guide's code is the code that the scenario `languages` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
EXAMPLES = REPOSITORY / "examples/languages"
GUIDE = (REPOSITORY / "docs/guide/languages.md").read_text()
QUOTED = {
    "python/app.py": "python",
    "perl/app.psgi": "perl",
    "ruby/config.ru": "ruby",
    "php/index.php": "php",
    "lua/app.lua": "lua",
    "go/main.go": "go",
    "vassals.yml": "yaml",
}


@pytest.mark.parametrize("name", QUOTED)
def test_the_guide_quotes_the_whole_file(name: str) -> None:
    assert f"```{QUOTED[name]}\n{(EXAMPLES / name).read_text()}```\n" in GUIDE


@pytest.mark.parametrize("name", QUOTED)
def test_the_guide_says_where_the_file_lies(name: str) -> None:
    assert f"(../../examples/languages/{name})" in GUIDE
