"""Talking to Supabase over HTTP: one client for everything, and what its errors mean."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import orjson

from imports.backends import sqlstate
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImporterError,
    SchemaError,
)

_PASSING_STATUSES = frozenset({408, 425, 429})
_INDIVISIBLE_STATUSES = frozenset({425, 429, 503})
_KEY_STATUSES = frozenset({401, 403})


def http_client(connections: int) -> httpx.Client:
    """A client that suits hosted Supabase.

    HTTP/1.1, because it closes an HTTP/2 connection after some thousands of requests; idle
    connections are dropped before the server does it.
    """
    return httpx.Client(
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
    """The headers by which Supabase knows who asks."""
    return {"apikey": key, "Authorization": f"Bearer {key}"}


def transport_error(error: httpx.TransportError, url: str) -> ImporterError:
    """The error of ours for a request that got no answer."""
    reason = str(error) or type(error).__name__
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return BackendError(f"{url} cannot be asked: {reason}. Check SUPABASE_URL.")
    return BackendUnavailableError(f"{url} did not answer: {reason}.")


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
    right = "the secret key (sb_secret_…) or the service_role key of this project"
    if role in (None, "service_role"):
        return f"Check SUPABASE_SERVICE_ROLE_KEY: it must be {right}."
    return f"The key is the {role} role's. Set SUPABASE_SERVICE_ROLE_KEY to {right}."


def response_error(response: httpx.Response, key: str = "") -> ImporterError:
    """The error of ours for an answer that is not a success, from PostgREST or a gateway.

    `key` is the one that was sent.
    """
    code, message = _code_and_message(response)
    status = response.status_code
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
    return BackendError(f"Supabase answered with HTTP {status}: {message}. Check SUPABASE_URL.")


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
        return str(code or ""), _short(str(message or response.reason_phrase))
    return "", _short(response.text or response.reason_phrase)


def _short(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= 300 else line[:300] + "…"
