# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the role uwsgi installs the Python library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_folder_with_other_things_is_refused_and_left_as_it_is(tmp_path, wanted):
    folder = tmp_path / "lib"
    (folder / "python3").mkdir(parents=True)
    (folder / "0123456789abcdef").mkdir()
    include = {"ansible.builtin.include_role": {"name": str(ROOT / "roles/uwsgi"), "tasks_from": "library"}}
    options = {"uwsgi_library": wanted, "uwsgi_library_dir": str(folder), "ansible_python_interpreter": sys.executable}
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [{**include, "vars": options}]}]
    (tmp_path / "play.json").write_text(json.dumps(play))
    played = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", str(tmp_path / "play.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "ansible")},
    )
    assert played.returncode == 2, played.stdout + played.stderr
    assert "where python3 lies" in " ".join(played.stdout.split()), played.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["0123456789abcdef", "python3"]
