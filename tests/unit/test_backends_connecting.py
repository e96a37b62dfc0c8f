"""What libpq's words mean when it does not connect. They are its own, as of 17."""

from __future__ import annotations

import pytest

from imports.errors import BackendError, BackendUnavailableError, ImporterError, UsageError
from imports.servers import connecting
from imports.servers.connecting import connect_error
from imports.servers.database_url import understood

URL = understood("postgresql://me:pa55w0rd@h:5432/db")
FAILED = 'connection to server at "h" (10.0.0.1), port 5432 failed: '
IPV6 = 'connection to server at "db.x.supabase.co" (2001:db8::5), port 5432 failed: '
REFUSED = (
    "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n"
)
PASSWORD = 'FATAL:  password authentication failed for user "me"\n'
NO_NAME = 'could not translate host name "h" to address: Name or service not known\n'


@pytest.mark.parametrize(
    ("message", "expected", "word"),
    [
        # libpq refuses what it is given: nothing was tried.
        ('invalid sslmode value: "required"\n', UsageError, "required"),
        ('invalid channel_binding value: "x"\n', UsageError, "channel_binding"),
        ('definition of service "nope" not found\n', UsageError, "PGSERVICE"),
        ('service file "/nope" not found\n', UsageError, "/nope"),
        ("GSSAPI encryption required but no credential cache\n", UsageError, "GSSAPI"),
        ("could not match 3 host names to 1 hostaddr values\n", UsageError, "hostaddr"),
        ('invalid target_session_attrs value: "x"\n', UsageError, "target_session_attrs"),
        ('weak sslmode "prefer" may not be used with sslnegotiation=direct\n', UsageError, "weak"),
        # The server refuses, or is not the one that was asked for.
        (f"{FAILED}server does not support SSL, but SSL was required\n", BackendError, "sslmode"),
        (f'{FAILED}root certificate file "/x" does not exist\n', BackendError, "sslrootcert"),
        (f"{FAILED}SSL error: certificate verify failed\n", BackendError, "sslrootcert"),
        (f"{FAILED}channel binding required, but server …\n", BackendError, "channel_binding"),
        (f'{FAILED}authentication method requirement "x" failed\n', BackendError, "sslmode"),
        (f"{FAILED}received invalid response to SSL negotiation: H\n", BackendError, "host and"),
        (f"{FAILED}{PASSWORD}", BackendError, "password"),
        (f'{FAILED}FATAL:  database "x" does not exist\n', BackendError, "database"),
        (f"{FAILED}FATAL:  Tenant or user not found\n", BackendError, "postgres.PROJECT"),
        (f"{FAILED}FATAL:  (ENOTFOUND) tenant/user x not found\n", BackendError, "Connect"),
        (f'{FAILED}FATAL:  unrecognized configuration parameter "x"\n', BackendError, "PGOPTIONS"),
        (f"{FAILED}FATAL:  unsupported startup parameter: options\n", BackendError, "pooler"),
        # What may pass.
        (f"{FAILED}{REFUSED}", BackendUnavailableError, "refused"),
        (f"{FAILED}timeout expired\n", BackendUnavailableError, "timeout"),
        (f"{FAILED}FATAL:  the database system is starting up\n", BackendUnavailableError, "start"),
        (f"{FAILED}FATAL:  sorry, too many clients already\n", BackendUnavailableError, "pooler"),
        (f"{FAILED}session is read-only\n", BackendUnavailableError, "target_session_attrs"),
        (f"{FAILED}SSL error: unexpected eof while reading\n", BackendUnavailableError, "eof"),
        (f"{FAILED}SCHWERWIEGEND:  irgendetwas\n", BackendUnavailableError, "irgendetwas"),
        (NO_NAME, BackendUnavailableError, "Check the host"),
        (NO_NAME.replace('"h"', '"db.x.supabase.co"'), BackendUnavailableError, "Session pooler"),
        # A name that is chosen by somebody says nothing.
        (
            f'{FAILED}FATAL:  too many connections for role "certificate does not exist"\n',
            BackendUnavailableError,
            "pooler",
        ),
        (NO_NAME.replace('"h"', '"certificate"'), BackendUnavailableError, "Check the host"),
    ],
)
def test_whether_it_can_ever_pass_and_what_to_do(
    message: str, expected: type[ImporterError], word: str
) -> None:
    error = connect_error(message, URL)
    assert type(error) is expected, error
    assert word in str(error)
    assert "pa55w0rd" not in str(error)
    assert "\n" not in str(error)


def test_only_if_every_host_refuses_for_good_it_is_for_good() -> None:
    """With TLS and without it are two tries too."""
    no_entry = f'{FAILED}FATAL:  no pg_hba.conf entry for host "x", no encryption\n'
    both = connect_error(f"{FAILED}{PASSWORD}{no_entry}", URL)
    assert type(both) is BackendError
    assert "password authentication failed" in str(both)
    assert "no encryption" in str(both)
    one = connect_error(f"{FAILED}{PASSWORD}{FAILED}{REFUSED}", URL)
    assert type(one) is BackendUnavailableError
    assert type(connect_error(f"{FAILED}{PASSWORD}{NO_NAME}", URL)) is BackendUnavailableError


@pytest.mark.parametrize("said", ["Network is unreachable", "Cannot assign requested address"])
def test_a_host_with_only_ipv6_is_for_good_where_there_is_none(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = f"{IPV6}{said}\n\tIs the server running on that host?\n"
    monkeypatch.setattr(connecting, "_has_route", lambda address: ":" not in address)
    error = connect_error(message, URL)
    assert type(error) is BackendError
    assert "Session pooler" in str(error)
    assert type(connect_error(message + FAILED + REFUSED, URL)) is BackendUnavailableError
    # The whole network is down, or there is IPv6 after all.
    monkeypatch.setattr(connecting, "_has_route", lambda address: False)
    assert type(connect_error(message, URL)) is BackendUnavailableError
    monkeypatch.setattr(connecting, "_has_route", lambda address: True)
    assert type(connect_error(message, URL)) is BackendUnavailableError
