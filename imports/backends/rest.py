"""Talking to Supabase over HTTP: one client for everything, and what its errors mean."""

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
"""Where the key comes from, as messages say it."""

_PASSING_STATUSES = frozenset({402, 408, 423, 425, 429})
_INDIVISIBLE_STATUSES = frozenset({402, 425, 429, 503})
_KEY_STATUSES = frozenset({401, 403})

_NO_TRUST = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")
"""What OpenSSL says where TLS will fail tomorrow, too."""
_PROXY_REFUSES = ("403", "407")

_LONGEST_TEXT = 300
_MOST_READ = 20_000
_MOVED_API = re.compile(r"(https?://[^/?#]+)/(?:rest|storage)/v1(?:[/?#]|$)")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)


def http_client(url: str, connections: int) -> httpx.Client:
    """A client that suits hosted Supabase, which is at a URL.

    HTTP/1.1, because it closes an HTTP/2 connection after some thousands of requests; idle
    connections are dropped before the server does it.

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
    """The headers by which Supabase knows who asks.

    Keys that begin with `sb_` are no JWT, and are refused as one. The older keys are JWTs, which
    PostgREST and Storage read.
    """
    if key.startswith("sb_"):
        return {"apikey": key}
    return {"apikey": key, "Authorization": f"Bearer {key}"}


def transport_error(error: httpx.RequestError, url: str) -> ImporterError:
    """The error of ours for a request that got no answer, or one that cannot be read."""
    reason = str(error) or type(error).__name__
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return BackendError(f"{url} cannot be asked: {reason}. Check SUPABASE_URL.")
    if any(sign in reason for sign in _NO_TRUST):
        return BackendError(
            f"{url} does not speak TLS as it should: {reason}. If your network puts certificates of"
            " its own there, set SSL_CERT_FILE to those of its authority; else check SUPABASE_URL."
        )
    proxy = proxy_variable(url)
    if isinstance(error, httpx.ProxyError) and reason[:3] in _PROXY_REFUSES:
        return BackendError(
            f"The proxy that {proxy} names refuses the way to {url}: {reason}. Check the user and"
            " the password in it, or add the host to NO_PROXY if it can be reached without."
        )
    if isinstance(error, httpx.DecodingError):
        return BackendUnavailableError(
            f"The answer of {url} cannot be read: {reason}.", divisible=False
        )
    by = f" (by the proxy that {proxy} names)" if proxy else ""
    return BackendUnavailableError(f"{url} did not answer{by}: {reason}.")


def key_role(key: str) -> str | None:
    """The role that a key stands for, None where the key does not tell it."""
    if key.startswith("sb_publishable_"):
        return "anon"
    if key.startswith("sb_secret_"):
        return "service_role"
    try:
        return str(orjson.loads(urlsafe_b64decode(key.split(".")[1] + "=="))["role"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def key_advice(key: str) -> str:
    """What to do where a key may not do what we ask."""
    role = key_role(key)
    whose = "" if role in (None, "service_role") else f"The key is the {role} role's. "
    return (
        f"{whose}It must be the secret key (sb_secret_…) or the service_role key of this project:"
        f" check {KEY_VARIABLES}."
    )


def strange_answer(response: httpx.Response) -> BackendUnavailableError:
    """The error of ours for an answer that no Supabase gives: something else gave it.

    What was asked for may have been done.
    """
    said = readable_text(response.text) or "no content"
    return BackendUnavailableError(
        f"An answer did not come from Supabase (HTTP {response.status_code}: {said})."
        " If that stays so, look at what stands before it, and check SUPABASE_URL.",
        divisible=False,
    )


def response_error(response: httpx.Response, key: str = "") -> ImporterError:
    """The error of ours for an answer that is not a success, from PostgREST or a gateway.

    `key` is the one that was sent.
    """
    code, message = _code_and_message(response)
    status = response.status_code
    if response.has_redirect_location:
        return redirect_error(response)
    if status == 404 and response.content == b"{}":
        code, message = "PGRST205", "a table is not in its schema cache"
    if code.startswith("PGRST2"):
        return SchemaError(
            f"Supabase does not know a function or table of ours: {message}. Apply the schema"
            " with `supabase db push`, or with DATABASE_URL set `resilient-importer schema"
            " apply`. If that was just done, wait for PostgREST to reload."
        )
    if code == sqlstate.INSUFFICIENT_PRIVILEGE or sqlstate.is_unknown_role(code, message):
        return BackendError(
            f"Supabase refuses the role of the key: {message} (SQLSTATE {code}). {key_advice(key)}"
        )
    if sqlstate.is_sqlstate(code):
        return sqlstate.error_for(code, message)
    error = status_error(status, message, retry_after(response), key)
    if code.startswith("PGRST00") and isinstance(error, BackendUnavailableError):
        error.divisible = False  # PostgREST has no connection to the database to give away
    return error


def redirect_error(response: httpx.Response) -> ImporterError:
    """The error of ours for an answer that leads elsewhere. Nobody follows it: it has our key."""
    place = response.headers["location"]
    if moved := _MOVED_API.match(place):
        return BackendError(
            f"Supabase is at another address (HTTP {response.status_code}: {readable_text(place)})."
            f" Set SUPABASE_URL to {moved[1]}."
        )
    return BackendUnavailableError(
        f"Something before Supabase leads elsewhere (HTTP {response.status_code}:"
        f" {readable_text(place)}). If that stays so, check SUPABASE_URL.",
        divisible=False,
    )


def status_error(status: int, message: str, wait: float | None, key: str = "") -> ImporterError:
    """The error of ours for an HTTP status that came without a code of PostgreSQL."""
    if status in _KEY_STATUSES:
        return BackendError(
            f"Supabase refuses the key (HTTP {status}: {message}). {key_advice(key)}"
        )
    if status in _PASSING_STATUSES or status >= 500:
        return BackendUnavailableError(
            f"Supabase cannot take it just now (HTTP {status}: {message}).",
            retry_after=wait,
            divisible=status not in _INDIVISIBLE_STATUSES,
        )
    if status in (400, 409, 413, 422):
        return DataRefusedError(f"Supabase refused it (HTTP {status}: {message})")
    # What Supabase itself does not know has a code.
    advice = "Check SUPABASE_URL." if status == 404 else "The project's logs may say why."
    return BackendError(f"Supabase answered with HTTP {status}: {message}. {advice}")


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that an answer asks us to wait, by its header Retry-After."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


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
    """What an answer says, as one short line."""
    return readable_text(response.text or response.reason_phrase)


def readable_text(text: str) -> str:
    """A text from a server as one short line: of a page its title."""
    text = text[:_MOST_READ]
    if text.lstrip()[:1] == "<":
        title = _TITLE.search(text)
        # On demand, and only for what a gateway says.
        from html import unescape

        text = unescape(title[1] if title and title[1].strip() else _MARKUP.sub(" ", text))
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _LONGEST_TEXT else line[:_LONGEST_TEXT] + "…"
