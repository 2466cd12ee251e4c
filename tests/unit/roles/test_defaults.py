"""The argument specifications are the roles' documentation: what they say of defaults is what the roles do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted((Path(__file__).parents[3] / "roles").iterdir())


def specification(role: Path) -> dict[str, Any]:
    options: dict[str, Any] = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    return options


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_default_is_documented_and_the_same(role: Path) -> None:
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    documented = specification(role)
    assert set(defaults) <= set(documented)
    for name, value in defaults.items():
        computed = "{{" in str(value)
        assert computed != ("default" in documented[name]), name
        if not computed:
            assert documented[name]["default"] == value, name


def test_what_has_no_default_is_only_read_from_the_inventory_or_required(role: Path) -> None:
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    missing = set(specification(role)) - set(defaults)
    assert missing <= {"consul_join_address"}


def test_names_carry_the_roles_prefix(role: Path) -> None:
    public = set(specification(role)) - {"vassals"}
    assert all(name.startswith(f"{role.name}_") for name in public)


def test_secrets_are_marked(role: Path) -> None:
    for name, option in specification(role).items():
        if any(word in name for word in ("secret", "encrypt", "token", "password")):
            assert option.get("no_log") is True, name
