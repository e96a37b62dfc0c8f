"""Supabase over HTTP: the client, and what its errors mean."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import orjson

from imports.backends import sqlstate
from imports.backends.http_surroundings import client_for, proxy_variable
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImporterError,
    SchemaError,
)

KEY_VARIABLES = "SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY, if that is not set)"
"""The variables of the key, for messages."""

_TEMPORARY_STATUSES = frozenset({402, 408, 423, 425, 429})
_INDIVISIBLE_STATUSES = frozenset({402, 425, 429, 503})
_KEY_STATUSES = frozenset({401, 403})

_TLS_ERRORS = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")
"""Errors of OpenSSL that a retry does not solve."""
_PROXY_REFUSES = ("403", "407")

_LONGEST_TEXT = 300
_MOST_READ = 20_000
_MOVED_API = re.compile(r"(https?://[^/?#]+)/(?:rest|storage)/v1(?:[/?#]|$)")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)


def http_client(url: str, connections: int) -> httpx.Client:
    """A client with settings for a hosted Supabase at a URL.

    HTTP/1.1, because Supabase closes an HTTP/2 connection after some thousands of requests. The
    client closes idle connections before the server does.

    Raises:
        UsageError: if the environment names a proxy or certificates that cannot be used.
    """
    return client_for(
        url,
        http2=False,
        timeout=httpx.Timeout(60.0, connect=10.0),
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=20.0,
        ),
        follow_redirects=False,
    )


def key_headers(key: str) -> dict[str, str]:
    """The headers that authenticate a request.

    Keys that begin with `sb_` are not JWTs, so they may not be sent as a bearer token. The older
    keys are JWTs, which PostgREST and Storage read.
    """
    if key.startswith("sb_"):
        return {"apikey": key}
    return {"apikey": key, "Authorization": f"Bearer {key}"}


def transport_error(error: httpx.RequestError, url: str) -> ImporterError:
    """Our error for a request without an answer, or with an unreadable one."""
    reason = str(error) or type(error).__name__
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return BackendError(f"No request can be sent to {url}: {reason}. Check SUPABASE_URL.")
    if any(each in reason for each in _TLS_ERRORS):
        return BackendError(
            f"The TLS connection to {url} failed: {reason}. If your network replaces certificates"
            " by its own, set SSL_CERT_FILE to those of its authority; else check SUPABASE_URL."
        )
    proxy = proxy_variable(url)
    if isinstance(error, httpx.ProxyError) and reason[:3] in _PROXY_REFUSES:
        return BackendError(
            f"The proxy that {proxy} names refuses connections to {url}: {reason}. Check its user"
            " and password, or add the host to NO_PROXY if it can be reached without a proxy."
        )
    if isinstance(error, httpx.DecodingError):
        return BackendUnavailableError(
            f"The answer of {url} cannot be read: {reason}.", divisible=False
        )
    through = f" (through the proxy that {proxy} names)" if proxy else ""
    return BackendUnavailableError(f"{url} did not answer{through}: {reason}.")


def key_role(key: str) -> str | None:
    """The role of a key; None if the key does not contain it."""
    if key.startswith("sb_publishable_"):
        return "anon"
    if key.startswith("sb_secret_"):
        return "service_role"
    try:
        return str(orjson.loads(urlsafe_b64decode(key.split(".")[1] + "=="))["role"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def key_advice(key: str) -> str:
    """What to do if a key lacks a right."""
    role = key_role(key)
    has = "" if role in (None, "service_role") else f"The key has the role {role}. "
    return (
        f"{has}It must be the secret key (sb_secret_…) or the service_role key of this project:"
        f" check {KEY_VARIABLES}."
    )


def strange_answer(response: httpx.Response) -> BackendUnavailableError:
    """Our error for an answer that is not Supabase's, but another server's.

    The request may have been executed.
    """
    content = readable_text(response.text) or "no content"
    return BackendUnavailableError(
        f"An answer did not come from Supabase (HTTP {response.status_code}: {content})."
        " If it happens again, check SUPABASE_URL and any proxy or gateway before Supabase.",
        divisible=False,
    )


def response_error(response: httpx.Response, key: str = "") -> ImporterError:
    """Our error for an unsuccessful answer, from PostgREST or a gateway.

    `key` is the key that was sent.
    """
    code, message = _code_and_message(response)
    status = response.status_code
    if response.has_redirect_location:
        return redirect_error(response)
    if status == 404 and response.content == b"{}":
        code, message = "PGRST205", "a table is not in its schema cache"
    if code.startswith("PGRST2"):
        return SchemaError(
            f"Supabase lacks a function or table of the importer: {message}. Apply the schema"
            " with `supabase db push`, or set DATABASE_URL and run `resilient-importer schema"
            " apply`. If you have just done that, wait until PostgREST has reloaded."
        )
    if code == sqlstate.INSUFFICIENT_PRIVILEGE or sqlstate.is_unknown_role(code, message):
        return BackendError(
            f"Supabase refuses the role of the key: {message} (SQLSTATE {code}). {key_advice(key)}"
        )
    if sqlstate.is_sqlstate(code):
        return sqlstate.error_for(code, message)
    error = status_error(status, message, retry_after(response), key)
    if code.startswith("PGRST00") and isinstance(error, BackendUnavailableError):
        error.divisible = False  # PostgREST has no free connection to the database
    return error


def redirect_error(response: httpx.Response) -> ImporterError:
    """Our error for a redirect, which is never followed: it would send our key elsewhere."""
    place = response.headers["location"]
    if moved := _MOVED_API.match(place):
        return BackendError(
            f"Supabase has another address (HTTP {response.status_code}: {readable_text(place)})."
            f" Set SUPABASE_URL to {moved[1]}."
        )
    return BackendUnavailableError(
        f"A server before Supabase redirects to another address (HTTP {response.status_code}:"
        f" {readable_text(place)}). If it happens again, check SUPABASE_URL.",
        divisible=False,
    )


def status_error(status: int, message: str, wait: float | None, key: str = "") -> ImporterError:
    """Our error for an HTTP status without an SQLSTATE."""
    if status in _KEY_STATUSES:
        return BackendError(
            f"Supabase refuses the key (HTTP {status}: {message}). {key_advice(key)}"
        )
    if status in _TEMPORARY_STATUSES or status >= 500:
        return BackendUnavailableError(
            f"Supabase cannot process the request now (HTTP {status}: {message}).",
            retry_after=wait,
            divisible=status not in _INDIVISIBLE_STATUSES,
        )
    if status in (400, 409, 413, 422):
        return DataRefusedError(f"Supabase refused it (HTTP {status}: {message})")
    # For what Supabase itself does not find, the answer has a code.
    advice = "Check SUPABASE_URL." if status == 404 else "The project's logs may say why."
    return BackendError(f"Supabase answered with HTTP {status}: {message}. {advice}")


def retry_after(response: httpx.Response) -> float | None:
    """The seconds in an answer's header Retry-After."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _code_and_message(response: httpx.Response) -> tuple[str, str]:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        code, message = body.get("code"), body.get("message") or body.get("error")
        return str(code or ""), readable_text(str(message or response.reason_phrase))
    return "", readable(response)


def readable(response: httpx.Response) -> str:
    """The text of an answer as one short line."""
    return readable_text(response.text or response.reason_phrase)


def readable_text(text: str) -> str:
    """A text from a server as one short line; for an HTML page, its title."""
    text = text[:_MOST_READ]
    if text.lstrip()[:1] == "<":
        title = _TITLE.search(text)
        # On demand: only gateways answer with pages.
        from html import unescape

        text = unescape(title[1] if title and title[1].strip() else _MARKUP.sub(" ", text))
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _LONGEST_TEXT else line[:_LONGEST_TEXT] + "…"
