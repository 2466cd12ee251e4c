# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """TLS, for agents whose address begins with `https://`."""

    DOCUMENTATION = r"""
options:
  ca_path:
    description:
      - File or directory of the certificates of the authorities to trust. The system's own by default.
      - The environment variables E(CONSUL_CACERT) and E(CONSUL_CAPATH) count where the option is not given.
    type: path
  client_cert:
    description:
      - File of the client's certificate, for agents that verify their clients. It may hold the key as well.
      - The environment variable E(CONSUL_CLIENT_CERT) counts where the option is not given.
    type: path
  client_key:
    description:
      - File of the key of O(client_cert).
      - The environment variable E(CONSUL_CLIENT_KEY) counts where the option is not given.
    type: path
  validate_certs:
    description:
      - Whether to verify the agents' certificates.
      - The environment variable E(CONSUL_HTTP_SSL_VERIFY) counts where the option is not given.
    type: bool
    default: true
  tls_server_name:
    description:
      - Name that the agents' certificates must hold, instead of the host in their address, such as V(server.dc1.consul).
      - The environment variable E(CONSUL_TLS_SERVER_NAME) counts where the option is not given.
    type: str
"""

    PLUGINS = r"""
options:
  ca_path:
    env:
      - name: CONSUL_CACERT
      - name: CONSUL_CAPATH
    ini:
      - section: uwsgi_consul
        key: ca_path
    vars:
      - name: uwsgi_consul_ca_path
  client_cert:
    env:
      - name: CONSUL_CLIENT_CERT
    ini:
      - section: uwsgi_consul
        key: client_cert
    vars:
      - name: uwsgi_consul_client_cert
  client_key:
    env:
      - name: CONSUL_CLIENT_KEY
    ini:
      - section: uwsgi_consul
        key: client_key
    vars:
      - name: uwsgi_consul_client_key
  validate_certs:
    env:
      - name: CONSUL_HTTP_SSL_VERIFY
    ini:
      - section: uwsgi_consul
        key: validate_certs
    vars:
      - name: uwsgi_consul_validate_certs
  tls_server_name:
    env:
      - name: CONSUL_TLS_SERVER_NAME
    ini:
      - section: uwsgi_consul
        key: tls_server_name
    vars:
      - name: uwsgi_consul_tls_server_name
"""
