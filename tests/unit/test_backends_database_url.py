"""URLs of databases, as Supabase, Vercel, Prisma and others hand them out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import UsageError
from imports.servers.database_url import understood

PASSWORD = "pa55w0rd"
BASE = f"postgresql://me:{PASSWORD}@db.example:5432/mydb"


def refused(url: str) -> str:
    with pytest.raises(UsageError) as caught:
        understood(url)
    assert caught.value.__cause__ is None, "a cause would show the URL in a traceback"
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("query", "left_out"),
    [
        ("pgbouncer=true", ["pgbouncer"]),
        ("pgbouncer=true&connection_limit=1&pool_timeout=0", None),
        ("sslmode=require&supa=base-pooler.x", ["supa"]),
        ("workaround=supabase-pooler.vercel", ["workaround"]),
        ("schema=public", ["schema"]),
        ("prepared_statements=false&statement_cache_size=0&uselibpqcompat=true", None),
        ("&&", []),
        ("", []),
    ],
)
def test_what_is_for_other_programs_is_left_out(query: str, left_out: list[str] | None) -> None:
    url = understood(f"{BASE}?{query}")
    kept = {"sslmode": "require"} if "sslmode" in query else {}
    assert url.parts() == understood(BASE).parts() | kept
    names = [part.partition("=")[0] for part in query.split("&")]
    assert list(url.left_out) == (names if left_out is None else left_out)
    assert url.other_schemas == ()


def test_a_schema_that_is_not_ours_is_told() -> None:
    assert understood(f"{BASE}?schema=app").other_schemas == ("app",)
    assert understood(f"{BASE}?search_path=public,app").other_schemas == ("app",)


@pytest.mark.parametrize(
    ("query", "sslmode"),
    [
        ("sslmode=no-verify", "require"),
        ("ssl=true", "require"),
        ("ssl=0", "disable"),
        ("ssl=verify-full", "verify-full"),
        ("sslmode=verify-full&ssl=true", "verify-full"),
        ("ssl=true&sslmode=verify-full", "verify-full"),
        ("ssl=no-verify", "require"),
    ],
)
def test_tls_as_other_drivers_write_it_is_never_weaker(query: str, sslmode: str) -> None:
    assert understood(f"{BASE}?{query}").parts()["sslmode"] == sslmode


def test_what_libpq_knows_stays() -> None:
    parts = understood(f"{BASE}?connect_timeout=30&options=-c%20work_mem=64MB").parts()
    assert (parts["connect_timeout"], parts["options"]) == ("30", "-c work_mem=64MB")


@pytest.mark.parametrize("driver", ["", "+psycopg2", "+asyncpg"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_driver_of_another_program_does_not_matter(scheme: str, driver: str) -> None:
    assert (
        understood(BASE.replace("postgresql", scheme + driver)).parts() == understood(BASE).parts()
    )


@pytest.mark.parametrize("name", ["sslmod", "sslaccept", "foo", "host_name"])
def test_a_parameter_that_nobody_knows_is_named(name: str) -> None:
    assert name in refused(f"{BASE}?sslmode=require&{name}=x")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:12?{PASSWORD}=x@host/db",
        f"postgresql://me:ab?{PASSWORD}@host/db",
        f"postgresql://me:12?{PASSWORD}&x@host/db",
        f"postgresql://me:1#{PASSWORD}@x@host/db",
        f"postgresql://me@host,b:{PASSWORD}/db",
        "postgresql://me@host:99999/db",
        "postgresql://me@host:0/db",
        "postgresql://me@host/db?port=five",
        f"postgresql://me@host/db?%zz{PASSWORD}=1",
        f"mysql://me:{PASSWORD}@host/db",
        f"host=x password={PASSWORD}",
    ],
)
def test_what_cannot_be_read_is_refused_without_a_part_of_the_password(url: str) -> None:
    assert "DATABASE_URL" in refused(url)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        (BASE, "database mydb on db.example:5432"),
        ("postgresql://me@a:5432,b:5433/db", "database db on a:5432,b:5433"),
        ("postgresql://me@a,b/db", "database db on a:5432,b:5432"),
        ("postgresql://me@a:,b:5433/db", "database db on a:5432,b:5433"),
        ("postgresql://me@a,b/db?port=6543", "database db on a:6543,b:6543"),
        ("postgresql://me@[::1]/db", "database db on ::1:5432"),
        ("postgresql:///db?host=/run/x", "database db on a local socket"),
        ("postgresql:///db", "database db on a local socket"),
        ("postgresql:///db?service=prod", "database db of service prod"),
    ],
)
def test_where_it_points_to_is_told_without_user_and_password(url: str, location: str) -> None:
    assert understood(url).location == location


@given(st.text("ab:/?#@%&=,[]+ 0é\0\ud800", max_size=30))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        found = understood(f"postgresql://{text}")
    except UsageError:
        return
    assert understood(found.text).parts() == found.parts()
    assert found.location
