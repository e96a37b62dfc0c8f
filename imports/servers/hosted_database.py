"""A database like that of a hosted Supabase: its roles, rights and timeouts, and our schema."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import psycopg2

from imports.servers.schema import HISTORY, apply_schema

OWNER: Final = "hosted_postgres"
"""The role that applies migrations and owns their objects. A hosted Supabase calls it `postgres`.

It is not a superuser; here `postgres` is the name of the superuser.
"""

AUTHENTICATOR: Final = "authenticator"
"""The role of PostgREST's connections; each request then takes the role of its token."""

STORAGE: Final = "hosted_storage"
"""The role of `@supabase/lite`; a hosted Supabase calls it `supabase_storage_admin`.

As a superuser, `@supabase/lite` would open all tables and sequences to everybody.
"""

_ROLES: Final = {
    "anon": "NOLOGIN NOINHERIT",
    "authenticated": "NOLOGIN NOINHERIT",
    "service_role": "NOLOGIN NOINHERIT BYPASSRLS",
    AUTHENTICATOR: "LOGIN NOINHERIT",
    OWNER: "LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS",
    STORAGE: "LOGIN BYPASSRLS",
}
_SETTINGS: Final = {
    "anon": {"statement_timeout": "3s"},
    "authenticated": {"statement_timeout": "8s"},
    AUTHENTICATOR: {"statement_timeout": "8s", "lock_timeout": "8s"},
}
_API_ROLES: Final = "anon, authenticated, service_role"

# All objects in `public` are open to these roles unless a migration revokes that; only row level
# security protects the tables.
_RIGHTS: Final = f"""
GRANT {_API_ROLES} TO {AUTHENTICATOR}, {STORAGE};
GRANT {_API_ROLES}, {AUTHENTICATOR} TO {OWNER} WITH ADMIN OPTION;
GRANT USAGE ON SCHEMA public TO {_API_ROLES};
CREATE SCHEMA IF NOT EXISTS extensions;
GRANT USAGE ON SCHEMA extensions TO {OWNER}, {_API_ROLES};
ALTER DATABASE "{{database}}" OWNER TO {OWNER};
GRANT CREATE ON DATABASE "{{database}}" TO {STORAGE};
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
ALTER SCHEMA supabase_migrations OWNER TO {OWNER};
GRANT ALL ON SCHEMA supabase_migrations TO {STORAGE};
{HISTORY};
ALTER TABLE supabase_migrations.schema_migrations OWNER TO {STORAGE};
GRANT ALL ON supabase_migrations.schema_migrations TO {OWNER};
"""
_DEFAULT_RIGHTS: Final = f"""
ALTER DEFAULT PRIVILEGES FOR ROLE {{owner}} IN SCHEMA public
  GRANT ALL ON {{objects}} TO {_API_ROLES};
"""

# PostgREST caches the schema; this lets it reload the schema after a change.
_WATCH: Final = """
CREATE OR REPLACE FUNCTION extensions.pgrst_watch() RETURNS event_trigger
LANGUAGE plpgsql AS $$ BEGIN NOTIFY pgrst, 'reload schema'; END $$;
DROP EVENT TRIGGER IF EXISTS pgrst_ddl_watch;
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end
  WHEN TAG IN ('CREATE SCHEMA', 'ALTER SCHEMA', 'CREATE TABLE', 'CREATE TABLE AS', 'ALTER TABLE',
    'CREATE VIEW', 'ALTER VIEW', 'CREATE FUNCTION', 'ALTER FUNCTION', 'CREATE TYPE', 'COMMENT')
  EXECUTE FUNCTION extensions.pgrst_watch();
DROP EVENT TRIGGER IF EXISTS pgrst_drop_watch;
CREATE EVENT TRIGGER pgrst_drop_watch ON sql_drop EXECUTE FUNCTION extensions.pgrst_watch();
"""


def prepare_database(database_url: str) -> None:
    """Prepares a database like a hosted one, and applies our migrations as its owner.

    The URL is that of a superuser, on a server that accepts roles without a password.
    """
    prepare_roles(database_url)
    apply_schema(_as_owner(database_url))


def prepare_roles(database_url: str) -> None:
    """Creates the roles, and grants their rights in a database."""
    connection = psycopg2.connect(database_url)
    try:
        with connection, connection.cursor() as cursor:
            for name, attributes in _ROLES.items():
                cursor.execute(_create_role(name, attributes))
            cursor.execute("SELECT current_user, current_database()")
            ((superuser, database),) = cursor.fetchall()
            cursor.execute(_RIGHTS.format(database=database))
            for owner in (OWNER, superuser):
                for objects in ("TABLES", "SEQUENCES", "ROUTINES"):
                    cursor.execute(_DEFAULT_RIGHTS.format(owner=owner, objects=objects))
            cursor.execute(_WATCH)
    finally:
        connection.close()


def _create_role(name: str, attributes: str) -> str:
    settings = "".join(
        f"ALTER ROLE {name} SET {setting} = '{value}';"
        for setting, value in _SETTINGS.get(name, {}).items()
    )
    # All databases of the server share the roles; two processes may create them at once.
    return f"""
DO $$ BEGIN
  CREATE ROLE {name} {attributes};
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN
  IF (SELECT rolconfig IS NULL FROM pg_roles WHERE rolname = '{name}') THEN
    {settings or "NULL;"}
  END IF;
END $$;
"""


def _as_owner(database_url: str) -> str:
    parts = urlsplit(database_url)
    return parts._replace(netloc=f"{OWNER}:@{parts.netloc.rpartition('@')[2]}").geturl()
