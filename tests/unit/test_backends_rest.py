from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import orjson
import pytest

from imports.backends.rest import (
    http_client,
    key_headers,
    key_role,
    response_error,
    retry_after,
    status_error,
    strange_answer,
    transport_error,
)
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImporterError,
    SchemaError,
    StatementCancelledError,
)
from imports.servers import local_postgrest

HTML = b"<html>\n<head><title>502 Bad Gateway</title></head>\n<body>cloudflare</body></html>"


def answer(
    status: int, body: object = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else b""
    return httpx.Response(status, content=content, headers=headers)


def refusal(code: str | None, message: str = "what it says") -> dict[str, object]:
    """An error as PostgREST words it."""
    return {"code": code, "message": message, "details": None, "hint": None}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer(401, {"message": "Invalid API key"}), BackendError),
        (answer(401, refusal("PGRST301", "JWT expired")), BackendError),
        (answer(403, {"message": "forbidden"}), BackendError),
        (answer(403, refusal("42501", "permission denied for table x")), BackendError),
        (answer(400, refusal("22023", 'role "service_role" does not exist')), BackendError),
        (answer(400, refusal("22023", 'time zone "X" not recognized')), DataRefusedError),
        (answer(404, refusal("PGRST202", "Could not find the function")), SchemaError),
        (answer(404, refusal("PGRST205", "Could not find the table")), SchemaError),
        (answer(404, refusal("42P01", "relation does not exist")), SchemaError),
        (answer(404, HTML), BackendError),
        (answer(400, refusal("22P02", "invalid input syntax for type date")), DataRefusedError),
        (answer(409, refusal("23505", "duplicate key value")), DataRefusedError),
        (answer(409, refusal("23503", "violates foreign key constraint")), DataRefusedError),
        (answer(413, HTML), DataRefusedError),
        (answer(413), DataRefusedError),
        (
            answer(500, refusal("57014", "canceling statement due to timeout")),
            StatementCancelledError,
        ),
        (answer(500, refusal("40001", "could not serialize access")), BackendUnavailableError),
        (answer(500, refusal("40P01", "deadlock detected")), BackendUnavailableError),
        (answer(503, refusal("PGRST001", "no connection")), BackendUnavailableError),
        (answer(503, refusal("PGRST002", "schema cache")), BackendUnavailableError),
        (answer(504, refusal("PGRST003", "timed out in the pool")), BackendUnavailableError),
        (answer(408), BackendUnavailableError),
        (answer(425), BackendUnavailableError),
        (answer(429, {"message": "slow down"}), BackendUnavailableError),
        (answer(500, HTML), BackendUnavailableError),
        (answer(500, {"error": "internal"}), BackendUnavailableError),
        (answer(502, HTML), BackendUnavailableError),
        (answer(503), BackendUnavailableError),
        (answer(520, HTML), BackendUnavailableError),
        (answer(544, {"message": "database timed out"}), BackendUnavailableError),
        (answer(302, headers={"location": "https://elsewhere/down"}), BackendUnavailableError),
        (answer(301, headers={"location": "https://h/rest/v1/datasets"}), BackendError),
        (
            answer(402, {"message": "Service for this project is restricted"}),
            BackendUnavailableError,
        ),
        (answer(404, {}), SchemaError),
        (answer(404, {"message": "no Route matched with those values"}), BackendError),
    ],
)
def test_an_answer_has_its_class_of_error(
    response: httpx.Response, expected: type[ImporterError]
) -> None:
    error = response_error(response)
    assert type(error) is expected
    assert str(error)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_with_the_variable_that_holds_it(status: int) -> None:
    refused = answer(status, {"message": "Invalid API key"})
    message = str(response_error(refused))
    assert "The key has the role anon." in str(response_error(refused, "sb_publishable_x"))
    assert "SUPABASE_SECRET_KEY" in message
    assert "SUPABASE_SERVICE_ROLE_KEY" in message
    assert "Invalid API key" in message
    assert str(status) in message


def legacy_key(role: str) -> str:
    return local_postgrest.token("secret", role)


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("sb_publishable_x", "anon"),
        ("sb_secret_x", "service_role"),
        (legacy_key("anon"), "anon"),
        (legacy_key("authenticated"), "authenticated"),
        (legacy_key("service_role"), "service_role"),
        *[(odd, None) for odd in ("", "x", "a.b.c", "a..c", "a.W10.c", "a.bnVsbA.c", "é.ü.ß")],
    ],
)
def test_a_key_tells_its_role(key: str, role: str | None) -> None:
    assert key_role(key) == role


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("42501", "permission denied for table import_target"),
        ("42501", "permission denied for function importer_merge_states"),
        ("22023", 'role "anon" does not exist'),
    ],
)
def test_a_role_that_may_not_is_told_with_whose_key_it_is_and_the_right_one(
    code: str, said: str
) -> None:
    refused = answer(401, refusal(code, said))
    for key in ("sb_publishable_x", legacy_key("anon")):
        message = str(response_error(refused, key))
        assert said in message
        assert "The key has the role anon." in message
        assert "It must be the secret key" in message
        assert "SUPABASE_SECRET_KEY" in message
        assert key not in message
    assert "has the role authenticated." in str(
        response_error(refused, legacy_key("authenticated"))
    )
    for own in ("sb_secret_x", legacy_key("service_role")):
        message = str(response_error(refused, own))
        assert "The key has" not in message
        assert "check SUPABASE_SECRET_KEY" in message


@pytest.mark.parametrize("code", ["PGRST000", "PGRST001", "PGRST002", "PGRST003"])
@pytest.mark.parametrize("status", [503, 504])
def test_no_connection_to_the_database_is_no_matter_of_size(status: int, code: str) -> None:
    error = response_error(answer(status, refusal(code)))
    assert isinstance(error, BackendUnavailableError)
    assert not error.divisible
    other = response_error(answer(504, HTML))
    assert isinstance(other, BackendUnavailableError)
    assert other.divisible


def test_an_unknown_function_is_told_with_the_command_that_makes_it() -> None:
    message = str(response_error(answer(404, refusal("PGRST202", "no function x"))))
    assert "no function x" in message
    assert "supabase db push" in message
    assert "schema apply" in message


def test_a_code_of_postgresql_stands_in_the_message() -> None:
    message = str(response_error(answer(409, refusal("23505", "duplicate key"))))
    assert "23505" in message
    assert "duplicate key" in message


@pytest.mark.parametrize("status", [429, 503])
def test_the_seconds_to_wait_are_taken_from_the_answer(status: int) -> None:
    error = response_error(answer(status, HTML, {"Retry-After": "17"}))
    assert isinstance(error, BackendUnavailableError)
    assert error.retry_after == 17.0


def test_the_moment_to_wait_for_is_taken_from_the_answer() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=90)
    header = format_datetime(moment, usegmt=True)
    error = response_error(answer(429, HTML, {"Retry-After": header}))
    assert isinstance(error, BackendUnavailableError)
    assert error.retry_after is not None
    assert 85 < error.retry_after <= 90


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("soon", None),
        ("", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        (None, None),
    ],
)
def test_a_header_that_makes_no_sense_is_as_none(header: str | None, seconds: float | None) -> None:
    headers = {} if header is None else {"Retry-After": header}
    assert retry_after(answer(429, headers=headers)) == seconds


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (HTML + b"\n" + b"x" * 5000, "HTTP 502: 502 Bad Gateway)"),
        (b"<TITLE lang=en>\n Caf\xc3\xa9 &amp;\n more </TITLE>", "HTTP 502: Caf\xe9 & more)"),
        (b"<style>a{}</style><h1>Out\nof</h1><p>order</p>", "HTTP 502: Out of order)"),
        (b"<title></title><script>x<y</script>Later", "HTTP 502: Later)"),
        (b"<html><body></body></html>", "HTTP 502: )"),
        (b"a < b and\nb > c", "HTTP 502: a < b and b > c)"),
    ],
)
def test_a_page_of_html_becomes_one_short_line(page: bytes, text: str) -> None:
    message = str(response_error(answer(502, page)))
    assert "\n" not in message
    assert len(message) < 500
    assert text in message


def test_the_url_is_to_be_checked_only_where_it_may_be_wrong() -> None:
    assert "Check SUPABASE_URL" in str(response_error(answer(404, HTML)))
    stale = str(response_error(answer(404, {})))
    assert "SUPABASE_URL" not in stale
    assert "reload" in stale
    assert "SUPABASE_URL" not in str(response_error(answer(406, {"message": "no"})))
    moved = answer(308, headers={"location": "https://h.example/rest/v1/rpc/f?x=1"})
    assert "Set SUPABASE_URL to https://h.example." in str(response_error(moved))


def test_what_nobody_of_supabase_answers_may_pass_and_is_not_halved() -> None:
    error = strange_answer(answer(200, b"<title>Maintenance</title>"))
    assert not error.divisible
    assert "HTTP 200: Maintenance" in str(error)
    assert "no content" in str(strange_answer(answer(204)))


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\0", b"[1, 2]", b"null", b'"text"', b"5"])
def test_no_body_is_too_odd(body: bytes) -> None:
    assert type(response_error(answer(500, body))) is BackendUnavailableError
    assert type(response_error(answer(400, body))) is DataRefusedError


def test_a_gateways_own_number_is_no_code_of_postgresql() -> None:
    error = response_error(answer(503, {"code": 10013, "message": "overloaded"}))
    assert type(error) is BackendUnavailableError


def test_a_status_alone_is_judged_like_an_answer() -> None:
    error = status_error(429, "slow down", 3.0)
    assert isinstance(error, BackendUnavailableError)
    assert error.retry_after == 3.0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("connection refused"), BackendUnavailableError),
        (httpx.ConnectTimeout(""), BackendUnavailableError),
        (httpx.ReadTimeout("timed out"), BackendUnavailableError),
        (httpx.PoolTimeout(""), BackendUnavailableError),
        (httpx.ReadError("connection reset"), BackendUnavailableError),
        (httpx.WriteError("broken pipe"), BackendUnavailableError),
        (httpx.RemoteProtocolError("Server disconnected"), BackendUnavailableError),
        (httpx.DecodingError("incorrect header check"), BackendUnavailableError),
        (httpx.UnsupportedProtocol("no scheme"), BackendError),
        (httpx.LocalProtocolError("illegal header value"), BackendError),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), BackendError),
        (httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), BackendError),
        (httpx.ConnectError("[SSL: UNEXPECTED_EOF_WHILE_READING]"), BackendUnavailableError),
        (httpx.ProxyError("407 Proxy Authentication Required"), BackendError),
        (httpx.ProxyError("403 Forbidden"), BackendError),
        (httpx.ProxyError("502 Bad Gateway"), BackendUnavailableError),
    ],
)
def test_a_request_without_an_answer_has_its_class_of_error(
    error: httpx.RequestError, expected: type[ImporterError]
) -> None:
    found = transport_error(error, "https://x.supabase.co")
    assert type(found) is expected
    assert "https://x.supabase.co" in str(found)
    assert (str(error) or type(error).__name__) in str(found), "an empty reason is named by class"


def test_what_a_proxy_does_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:pa55w0rd@proxy:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    refused = httpx.ProxyError("407 Proxy Authentication Required")
    url = "https://x.supabase.co"
    assert str(transport_error(refused, url)).startswith("The proxy that https_proxy names refuses")
    assert str(transport_error(httpx.ConnectError("Connection refused"), url)) == (
        f"{url} did not answer (through the proxy that https_proxy names): Connection refused."
    )


def test_the_client_suits_hosted_supabase() -> None:
    with http_client("https://x.supabase.co", 4) as client:
        assert not client.follow_redirects, "a redirect would carry the key elsewhere"
        assert client.timeout.connect is not None
        assert client.timeout.read is not None


def test_a_key_that_is_a_jwt_is_sent_both_ways_and_a_newer_one_as_what_it_is() -> None:
    assert key_headers("eyJ.x.y") == {"apikey": "eyJ.x.y", "Authorization": "Bearer eyJ.x.y"}
    assert key_headers("sb_secret_x") == {"apikey": "sb_secret_x"}
    assert key_headers("sb_publishable_x") == {"apikey": "sb_publishable_x"}
