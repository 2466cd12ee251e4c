# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS as the settings say it, with certificates made for the test."""

from __future__ import annotations

import datetime
import gc
import ipaddress
import shutil
import ssl
import subprocess
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.connection import tls_context
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError, NoAgentError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import build_request
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings


def make_certificate(folder, name, issuer=None, names=()):
    """Writes `name`.pem and `name`.key, signed by *issuer* or by itself; gives certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(private)
    locked = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret"))
    (folder / f"{name}.locked").write_bytes(locked)
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = make_certificate(folder, "authority")
    make_certificate(folder, "agent", authority, [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    make_certificate(folder, "named", authority, [x509.DNSName("server.dc1.consul")])
    make_certificate(folder, "client", authority)
    make_certificate(folder, "stranger")
    return folder


@pytest.fixture
def tls_agent(fake_agent, certificates):
    def make(name="agent", client=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        if client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(certificates / "authority.pem")
        return fake_agent(tls=context)

    return make


@pytest.fixture(autouse=True)
def kind(transport_class, monkeypatch):
    monkeypatch.setattr(send, "kind", transport_class, raising=False)


def send(agent, **options):
    transport = send.kind(Settings.resolve(agents=[f"https://{agent.address}"], timeout=5, environ={}, **options))
    request = build_request(transport.settings, "GET", "/v1/catalog/services")
    return [transport.send(request).status for _ in range(2)]


def test_a_certificate_of_a_trusted_authority_is_accepted(tls_agent, certificates):
    agent = tls_agent()
    assert send(agent, ca_path=str(certificates / "authority.pem")) == [200, 200]
    assert agent.connections == 1


def test_a_folder_of_authorities_will_do(tls_agent, certificates, tmp_path):
    authority = x509.load_pem_x509_certificate((certificates / "authority.pem").read_bytes())
    # OpenSSL finds a certificate in a folder by a hash of its subject.
    name = subprocess.run(
        ["openssl", "x509", "-noout", "-hash", "-in", str(certificates / "authority.pem")], capture_output=True, text=True, check=True
    ).stdout.strip()
    (tmp_path / f"{name}.0").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    assert send(tls_agent(), ca_path=str(tmp_path)) == [200, 200]


@pytest.mark.parametrize("trusted", [None, "stranger.pem"])
def test_a_certificate_of_another_authority_is_refused_before_anything_is_sent(tls_agent, certificates, trusted):
    agent = tls_agent()
    with pytest.raises(NoAgentError, match="its certificate is not valid: "):
        send(agent, ca_path=trusted and str(certificates / trusted), token="s3cret")  # noqa: S106
    assert not agent.requests


def test_a_certificate_for_another_name_needs_that_name(tls_agent, certificates):
    authority = str(certificates / "authority.pem")
    agent = tls_agent("named")
    with pytest.raises(NoAgentError, match=r"its certificate is not valid: .*127\.0\.0\.1"):
        send(agent, ca_path=authority)
    assert send(agent, ca_path=authority, tls_server_name="server.dc1.consul") == [200, 200]


def test_certificates_need_not_be_valid_when_told_so(tls_agent):
    assert send(tls_agent("named"), validate_certs=False) == [200, 200]


def test_an_agent_that_verifies_its_clients(tls_agent, certificates):
    agent = tls_agent(client=True)
    options = {"ca_path": str(certificates / "authority.pem")}
    with pytest.raises(NoAgentError, match=r"TLS failed|closed the connection|connection reset|broken pipe"):
        send(agent, **options)
    files = {"client_cert": str(certificates / "client.pem"), "client_key": str(certificates / "client.key")}
    assert send(agent, **options, **files) == [200, 200]


def test_certificates_that_are_renewed_serve_the_next_connection(tls_agent, certificates, tmp_path):
    def renew(name):
        for kind in ("pem", "key"):
            shutil.copy(certificates / f"{name}.{kind}", tmp_path / f"new.{kind}")
            (tmp_path / f"new.{kind}").replace(tmp_path / f"mine.{kind}")

    def ask():
        transport.close()
        return transport.send(build_request(transport.settings, "GET", "/v1/catalog/services")).status

    renew("stranger")
    files = {"client_cert": str(tmp_path / "mine.pem"), "client_key": str(tmp_path / "mine.key")}
    agents = [f"https://{tls_agent(client=True).address}"]
    ca_path = str(certificates / "authority.pem")
    transport = send.kind(Settings.resolve(agents=agents, ca_path=ca_path, timeout=5, environ={}, **files))
    with pytest.raises(NoAgentError):
        ask()
    renew("client")
    assert ask() == 200
    (tmp_path / "mine.pem").write_text("half of a cert")
    assert ask() == 200
    (tmp_path / "mine.pem").unlink()
    assert ask() == 200


def test_http_where_tls_is_asked_for(fake_agent):
    with pytest.raises(NoAgentError, match=r"it does not speak TLS: is it http:// there\? Is an agent running there"):
        send(fake_agent(), validate_certs=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ca_path": "/does/not/exist"}, "ca_path: /does/not/exist can't be used: No such file"),
        ({"ca_path": "agent.key"}, "ca_path: .*agent.key can't be used: "),
        ({"client_cert": "/does/not/exist"}, "client_cert: /does/not/exist can't be used: No such file"),
        ({"client_cert": "client.pem", "client_key": "agent.key"}, "client_cert: .*client.pem, client_key .*agent.key can't be used: "),
        ({"client_cert": "client.pem", "client_key": "client.locked"}, "the key is encrypted"),
    ],
)
def test_files_that_cannot_be_used_are_named(certificates, options, message):
    options = {name: value if value.startswith("/") else str(certificates / value) for name, value in options.items()}
    with pytest.raises(InvalidValueError, match=message):
        tls_context(Settings.resolve(environ={}, **options))


def test_a_client_may_be_dropped_without_an_end(fake_agent, reply):
    agent = fake_agent(lambda _received: reply(b'"10.0.0.1:8300"'))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert Api(agents=[agent.address]).request("GET", "/v1/status/leader").json() == "10.0.0.1:8300"
        gc.collect()
    assert [str(warning.message) for warning in told if issubclass(warning.category, ResourceWarning)] == []
