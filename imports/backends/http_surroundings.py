"""What the surroundings of this process say about HTTP: a proxy, and which certificates to trust.

httpx would read them by itself, all of them, whether they concern our one host or not; what it
cannot use ends in errors that name no variable.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from imports.errors import UsageError

_SCHEMES = ("http", "https", "socks5", "socks5h")


def client_for(url: str, **options: Any) -> httpx.Client:
    """A client that reaches the host of a URL as the surroundings say; `options` are httpx's.

    Raises:
        UsageError: if a variable names a proxy or certificates that cannot be used. No value is
            shown: that of a proxy may have a password.
    """
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        target = httpx.URL()
    if not target.host:
        raise UsageError("SUPABASE_URL is no URL. It must be https:// and the project's host.")
    name, proxy = _proxy(target)
    tls = "https" in (target.scheme, proxy.url.scheme if proxy else "")
    # Reading all certificates takes long. Without TLS none is asked for.
    context = _certificates() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if proxy is not None and proxy.url.scheme == "https":
        proxy.ssl_context = context
    try:
        return httpx.Client(proxy=proxy, verify=context, trust_env=False, **options)
    except ImportError:
        raise _unusable(
            name, target, "a SOCKS proxy needs a package that is not installed (httpx[socks])"
        ) from None


def proxy_variable(url: str) -> str | None:
    """The variable that names the proxy by which `client_for` reaches a URL, if there is one."""
    return _proxy(httpx.URL(url))[0] or None


def _proxy(target: httpx.URL) -> tuple[str, httpx.Proxy | None]:
    """The proxy to a URL, None for the direct way; and the variable that says so."""
    proxies = getproxies()
    scheme = target.scheme if proxies.get(target.scheme) else "all"
    found = proxies.get(scheme, "").strip()
    if not found or _is_exempt(target, proxies.get("no", "")):
        return "", None
    # Of several spellings the small one is taken.
    spellings = [each for each in os.environ if each.lower() == f"{scheme}_proxy"]
    name = max(spellings, default="the system's proxy")
    if "://" not in found:
        found = f"http://{found}"
    if found.partition("://")[0].lower() not in _SCHEMES:
        raise _unusable(name, target, f"a proxy is one of {', '.join(_SCHEMES)}")
    try:
        proxy = httpx.Proxy(found)
        if proxy.url.host and (proxy.url.port or 0) < 2**16:
            return name, proxy
    except httpx.InvalidURL:
        pass
    raise _unusable(name, target, "it is no URL of a host and a port")


def _unusable(name: str, target: httpx.URL, why: str) -> UsageError:
    return UsageError(
        f"The proxy that {name} names cannot be used: {why}. Set it to http://HOST:PORT, or add"
        f" {target.host} to NO_PROXY if it can be reached without."
    )


def _is_exempt(target: httpx.URL, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host: by its name or a domain's, an address or a network."""
    address = _address(target.host)
    for entry in re.split(r"[,\s]+", no_proxy):
        # httpx took URLs, too.
        name = entry.rpartition("://")[2].strip("[]")
        if name == "*" or (name and name.lower() == target.host.lower()):
            return True
        if address is not None and address in (_network(name) or ()):
            return True
    return bool(proxy_bypass(target.netloc.decode()))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError:
        return None


def _certificates() -> ssl.SSLContext:
    """What SSL_CERT_FILE or SSL_CERT_DIR says, else the certificates that come with Python."""
    place = os.environ.get("SSL_CERT_DIR", "")
    if place and not os.environ.get("SSL_CERT_FILE") and not _has_folder(place):
        raise _no_certificates("SSL_CERT_DIR", place, "there is no such folder")
    try:
        return httpx.create_ssl_context()
    except ssl.SSLError:
        why = "it has no certificate in PEM form"
    except OSError as error:
        if error.filename and error.filename == os.environ.get("SSLKEYLOGFILE"):
            raise UsageError(
                f"SSLKEYLOGFILE is {error.filename}: {error.strerror}. Set it to a file that can"
                " be written, or unset it."
            ) from None
        why = str(error.strerror)
    place = os.environ.get("SSL_CERT_FILE", "")
    raise _no_certificates("SSL_CERT_FILE", place, why)


def _has_folder(places: str) -> bool:
    return any(Path(place).is_dir() for place in places.split(os.pathsep))


def _no_certificates(name: str, place: str, why: str) -> UsageError:
    return UsageError(
        f"{name} is {place}: {why}. Set it to where your authorities' certificates are, or unset it"
        ": then those that come with certifi are trusted."
    )
