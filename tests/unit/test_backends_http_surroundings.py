from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

import httpx
import pytest

from imports.backends.http_surroundings import client_for, proxy_variable
from imports.errors import UsageError

URL = "https://x.supabase.co"
SECRET = "pa55w0rd-that-nobody-may-see"
_ABOUT_HTTP = re.compile(
    r"(http|https|all|no)_proxy|SSL_CERT_(FILE|DIR)|SSLKEYLOGFILE", re.IGNORECASE
)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if _ABOUT_HTTP.fullmatch(name):
            monkeypatch.delenv(name)


def proxy_to(url: str) -> str | None:
    """The proxy that a client uses for a URL."""
    with client_for(url) as client:
        pool = client._transport_for_url(httpx.URL(url))._pool  # type: ignore[attr-defined]
    found = getattr(pool, "_proxy_url", None)
    return None if found is None else f"{found.host.decode()}:{found.port}"


def refusal(url: str = URL) -> str:
    with pytest.raises(UsageError) as caught:
        client_for(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_of_two_spellings_the_one_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p:3128")
    monkeypatch.setenv("https_proxy", "http://q:3128")
    assert proxy_to(URL) == "q:3128"
    assert proxy_variable(URL) == "https_proxy"


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, URL, None),
        ({"HTTPS_PROXY": "http://p:3128"}, URL, "p:3128"),
        ({"https_proxy": " p:3128 "}, URL, "p:3128"),
        ({"HTTPS_PROXY": f"http://me:{SECRET}@p:3128"}, URL, "p:3128"),
        ({"HTTPS_PROXY": "https://p:3128"}, URL, "p:3128"),
        ({"ALL_PROXY": "http://p:3128"}, URL, "p:3128"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://p:3128"}, URL, "p:3128"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "http://p:3128"}, URL, "p:3128"),
        ({"http_proxy": "http://p:3128"}, URL, None),
        ({"http_proxy": "http://p:3128"}, "http://x.test", "p:3128"),
    ],
)
def test_the_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_to(url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("x.supabase.co", URL),
        (".supabase.co", URL),
        ("supabase.co", URL),
        ("a.test, X.Supabase.co", URL),
        ("a.test x.supabase.co", URL),
        ("x.supabase.co:8443", "https://x.supabase.co:8443"),
        ("https://x.supabase.co", URL),
        ("a.test, *", URL),
        ("localhost", "http://localhost:54321"),
        ("127.0.0.1", "http://127.0.0.1:54321"),
        ("127.0.0.0/8", "http://127.0.0.1:54321"),
        ("::1", "http://[::1]:54321"),
        ("[::1]", "http://[::1]:54321"),
        ("localhost,::1/128", "http://[::1]:54321"),
    ],
)
def test_a_host_that_no_proxy_names_is_reached_without(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str
) -> None:
    """Also past a proxy that could not be used."""
    monkeypatch.setenv("no_proxy", no_proxy)
    monkeypatch.setenv("ALL_PROXY", "gopher://p:70")
    assert proxy_to(url) is None


@pytest.mark.parametrize(
    "no_proxy", ["::1/128", "localhost,127.0.0.0/8,::1/128", "http://", "[", "notx.supabase.co"]
)
def test_what_no_proxy_says_of_other_hosts_is_no_matter(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    monkeypatch.setenv("no_proxy", no_proxy)
    assert proxy_to(URL) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://p:3128")
    assert proxy_to(URL) == "p:3128"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("ALL_PROXY", f"socks5://me:{SECRET}@p:1080", "httpx[socks]"),
        ("all_proxy", "socks5h://p:1080", "httpx[socks]"),
        ("HTTPS_PROXY", f"socks4://me:{SECRET}@p:1080", "one of http, https"),
        ("HTTPS_PROXY", f"http://me:{SECRET}/x@p:1080", "not a URL with a host and a port"),
        ("HTTPS_PROXY", "http://", "not a URL with a host and a port"),
        ("https_proxy", "http://p:many", "not a URL with a host and a port"),
        ("https_proxy", "http://p:99999", "not a URL with a host and a port"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(name, value)
    message = refusal()
    assert message.startswith(f"The proxy that {name} names cannot be used: ")
    assert why in message
    assert "add x.supabase.co to NO_PROXY" in message


def test_certificates_that_are_not_there_are_refused_by_their_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert refusal().startswith(f"SSL_CERT_FILE is {file}: No such file or directory. Set it")
    file.write_text("none")
    assert refusal().startswith(f"SSL_CERT_FILE is {file}: it has no certificate in PEM format.")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    assert refusal().startswith(f"SSL_CERT_FILE is {tmp_path}: Is a directory.")
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(file))
    assert refusal().startswith(f"SSL_CERT_DIR is {file}: the folder does not exist.")
    monkeypatch.delenv("SSL_CERT_DIR")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path))
    assert refusal().startswith(f"SSLKEYLOGFILE is {tmp_path}: Is a directory.")


def test_without_tls_no_certificate_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    client_for("http://127.0.0.1:54321").close()
    monkeypatch.setenv("HTTP_PROXY", "https://p:3128")
    assert refusal("http://x.test").startswith("SSL_CERT_FILE is ")


def test_own_certificates_are_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import certifi

    file = tmp_path / "ca.pem"
    text = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    file.write_text(text[: text.index(end)] + end)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with client_for(URL) as client:
        pool = client._transport._pool  # type: ignore[attr-defined]
        assert len(pool._ssl_context.get_ca_certs()) == 1
        assert pool._ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_a_url_that_is_none_is_refused() -> None:
    assert refusal("https://").startswith("SUPABASE_URL is not a URL.")
    assert refusal("https://x:port").startswith("SUPABASE_URL is not a URL.")
