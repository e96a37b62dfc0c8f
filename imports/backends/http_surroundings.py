"""The proxy and the trusted certificates for HTTP, from the environment of this process.

httpx can read these variables itself, but it also reads those that do not concern our one host, and
its errors for unusable values name no variable.
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
    """A client for the host of a URL, with the environment's proxy; `options` are httpx's.

    Raises:
        UsageError: if a variable names a proxy or certificates that cannot be used. It does not
            show the value: a proxy's URL may have a password.
    """
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        target = httpx.URL()
    if not target.host:
        raise UsageError("SUPABASE_URL is not a URL. It must be https:// and the project's host.")
    name, proxy = _proxy(target)
    tls = "https" in (target.scheme, proxy.url.scheme if proxy else "")
    # Reading all certificates is slow, and only TLS needs them.
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
    """The variable that names the proxy that `client_for` uses for a URL, if there is one."""
    return _proxy(httpx.URL(url))[0] or None


def _proxy(target: httpx.URL) -> tuple[str, httpx.Proxy | None]:
    """The variable that names the proxy for a URL, and the proxy; None for no proxy."""
    proxies = getproxies()
    scheme = target.scheme if proxies.get(target.scheme) else "all"
    found = proxies.get(scheme, "").strip()
    if not found or _is_exempt(target, proxies.get("no", "")):
        return "", None
    # If several spellings are set, the one in lower case counts.
    spellings = [each for each in os.environ if each.lower() == f"{scheme}_proxy"]
    name = max(spellings, default="the system's proxy")
    if "://" not in found:
        found = f"http://{found}"
    if found.partition("://")[0].lower() not in _SCHEMES:
        raise _unusable(name, target, f"its scheme must be one of {', '.join(_SCHEMES)}")
    try:
        proxy = httpx.Proxy(found)
        if proxy.url.host and (proxy.url.port or 0) < 2**16:
            return name, proxy
    except httpx.InvalidURL:
        pass
    raise _unusable(name, target, "it is not a URL with a host and a port")


def _unusable(name: str, target: httpx.URL, why: str) -> UsageError:
    return UsageError(
        f"The proxy that {name} names cannot be used: {why}. Set it to http://HOST:PORT, or add"
        f" {target.host} to NO_PROXY if it can be reached without a proxy."
    )


def _is_exempt(target: httpx.URL, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host: its name, its domain, its address or its network."""
    address = _address(target.host)
    for entry in re.split(r"[,\s]+", no_proxy):
        # httpx accepts URLs, too.
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
    """The certificates in SSL_CERT_FILE or SSL_CERT_DIR; by default, those of certifi."""
    place = os.environ.get("SSL_CERT_DIR", "")
    if place and not os.environ.get("SSL_CERT_FILE") and not _has_folder(place):
        raise _no_certificates("SSL_CERT_DIR", place, "the folder does not exist")
    try:
        return httpx.create_ssl_context()
    except ssl.SSLError:
        why = "it has no certificate in PEM format"
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
        f"{name} is {place}: {why}. Set it to the certificates of your authorities, or unset it to"
        " trust those of certifi."
    )
