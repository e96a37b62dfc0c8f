"""Checks of the target: its schema, the rights in it, its clock, and its buckets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from imports.backends.condition import Condition
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingStore
from imports.backends.target import (
    Target,
    describe,
    lacks_database,
    open_target,
    schema_database,
)
from imports.configuration.choices import Backend
from imports.errors import ImporterError, SchemaError
from imports.items.images import Image, ImageFile
from imports.kinds import all_kinds
from imports.run.checking.finding import Finding, failed, of_error, ok, warning
from imports.servers.schema import apply_schema, table_names
from imports.settings import Settings
from imports.source.tree import signature_of_file

_LARGEST_SKEW = 5.0
"""Seconds between the clocks that are worth a warning: times of rows and logs differ by them."""

_TEST_CONTENT = b"A test of `resilient-importer check`, which removes it again.\n"


def check_target(settings: Settings, *, fix: bool, writes: bool) -> Iterator[Finding]:
    """The findings about the target, in the order of the checks.

    With `fix`, a missing schema is applied and missing buckets are created. Without `writes`, no
    object is stored for a test.
    """
    if lacks_database(settings):
        advice = "The first import creates it, or `resilient-importer schema apply`."
        yield warning("database", f"{describe(settings)}: there is no database yet", advice)
        return
    with contextlib.ExitStack() as resources:
        began = time.monotonic()
        try:
            if fix:
                yield from _applied(settings)
            target = open_target(settings, RetryPolicy(0))
            resources.callback(target.close)
        except ImporterError as error:
            yield of_error("schema" if isinstance(error, SchemaError) else "database", error)
            return
        took = time.monotonic() - began
        yield ok("database", f"{target.location}: it answers, in {took * 1000:,.0f} ms")
        yield ok("schema", f"version {target.identity.schema_version}, functions as needed")
        yield from _condition(target)
        for bucket in _buckets(target):
            yield from _bucket(target, bucket, settings, fix=fix, writes=writes)


def _applied(settings: Settings) -> Iterator[Finding]:
    """Applies the migrations that the target lacks, if it can be reached as a PostgreSQL."""
    if settings.chosen_backend is Backend.SUPABASE and settings.database_url is None:
        return
    with schema_database(settings) as (url, _):
        for name in apply_schema(url):
            yield ok("schema", f"applied {name}")


def _condition(target: Target) -> Iterator[Finding]:
    began = time.time()
    try:
        found = target.database.condition(table_names())
    except ImporterError as error:
        yield of_error("rights", error)
        return
    here = (began + time.time()) / 2
    yield ok("server", f"PostgreSQL {found.server}, as the role {found.role}")
    yield _clock(found.now - here)
    yield from _rights(found, is_supabase=target.backend is Backend.SUPABASE)


def _clock(skew: float) -> Finding:
    told = f"{abs(skew):,.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    if abs(skew) < _LARGEST_SKEW:
        return ok("clock", f"the target's clock is {told}")
    advice = "Synchronise both with a time server (NTP)."
    return warning("clock", f"the target's clock is {told}", advice)


def _rights(found: Condition, *, is_supabase: bool) -> Iterator[Finding]:
    missing = [name for name, each in found.tables.items() if not each.exists]
    there = {name: each for name, each in found.tables.items() if each.exists}
    if missing:
        advice = (
            "Somebody removed them. Restore them from a backup, or create them with the statements"
            " of `resilient-importer schema print`."
        )
        yield failed("tables", f"missing: {', '.join(missing)}", advice)
    lacking = _named({name: each.lacking for name, each in there.items()})
    if lacking:
        key = "the service role key" if is_supabase else "a role that may write our tables"
        yield failed("rights", f"{found.role} must not use {lacking}", f"Use {key}.")
    else:
        yield ok("rights", f"{found.role} may read and write all {len(there)} tables")
    unsecured = [name for name, each in there.items() if not each.secured]
    open_to = _named({name: each.open_to for name, each in there.items()})
    if unsecured:
        advice = "alter table … enable row level security; else a public key may read and write it."
        yield (failed if is_supabase else warning)(
            "security", f"without row level security: {', '.join(unsecured)}", advice
        )
    if open_to:
        advice = "Policies decide which rows. If you did not grant this, revoke it."
        yield warning("security", f"others have rights: {open_to}", advice)
    if found.open_functions:
        names = ", ".join(found.open_functions)
        yield failed("security", f"others may call {names}", "Revoke it: only we should.")
    if not (unsecured or open_to or found.open_functions):
        yield ok("security", "tables and functions are closed to all other roles")


def _named(found: Mapping[str, tuple[str, ...]]) -> str:
    """Tables with what was found about each, without those that nothing was found about."""
    return ", ".join(f"{name} ({', '.join(each)})" for name, each in found.items() if each)


def _buckets(target: Target) -> list[str]:
    places = [bucket for kind in all_kinds().values() for bucket in kind.buckets]
    return [target.config.images.name, *dict.fromkeys(places)]


def _bucket(
    target: Target, name: str, settings: Settings, *, fix: bool, writes: bool
) -> Iterator[Finding]:
    """The findings about one bucket, or the folder for it."""
    check = f"bucket {name}"
    is_placed = name != target.config.images.name
    store = target.places.bucket(name) if is_placed else target.store
    try:
        public = store.is_public()
        if public is None and fix:
            store.prepare()
            public = store.is_public()
        if public is None:
            yield ok(check, "not there yet: the first import with images creates it")
            return
        wanted = settings.public_bucket and is_placed
        state = "public" if public else "private"
        if public and not wanted:
            advice = (
                "Whoever has the address of an image can see it. If you do not want that, make it"
                " private: Storage, Edit bucket, in the dashboard."
            )
            yield warning(check, state, advice)
        elif wanted and not public:
            yield warning(check, state, "Make it public: Storage, Edit bucket, in the dashboard.")
        else:
            yield ok(check, state)
        if writes:
            yield _test_object(store, check)
    except ImporterError as error:
        yield of_error(check, error)


def _test_object(store: RetryingStore, check: str) -> Finding:
    """Stores an object, looks at it, and removes it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "check.txt"
        file.write_bytes(_TEST_CONTENT)
        image = _image(file)
        path = f"importer-check/{uuid4().hex}.txt"
        try:
            store.put_at(path, image, over=False)
            size = store.size(path)
        finally:
            store.remove(path)
        if size != len(_TEST_CONTENT) or store.size(path) is not None:
            advice = "The store does not keep what it confirms: look at its log."
            return failed(check, "a test object was stored, but read or removed wrongly", advice)
    return ok(check, "a test object was stored, read and removed")


def _image(file: Path) -> Image:
    place = ImageFile(str(file), signature_of_file(str(file)))
    return Image(place, "", "txt", "text/plain", None, None)
