# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The ACL token."""

    DOCUMENTATION = r"""
options:
  token:
    description:
      - ACL token. It is sent in a header only, and stands in no URL, message or log.
      - The environment variable E(CONSUL_HTTP_TOKEN) counts where the option is not given.
    type: str
  token_file:
    description:
      - File that holds the ACL token, instead of O(token).
      - The environment variable E(CONSUL_HTTP_TOKEN_FILE) counts where the option is not given.
      - Where the environment has both variables the file counts, as for Consul's own command.
    type: path
"""

    PLUGINS = r"""
options:
  token:
    env:
      - name: CONSUL_HTTP_TOKEN
    vars:
      - name: uwsgi_consul_token
  token_file:
    env:
      - name: CONSUL_HTTP_TOKEN_FILE
    ini:
      - section: uwsgi_consul
        key: token_file
    vars:
      - name: uwsgi_consul_token_file
"""
