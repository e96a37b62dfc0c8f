"""Rows and images into Supabase: one RPC a batch, and a private bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast
from uuid import UUID

import httpx
import orjson
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from imports.backends.database import Comparison, Rows, TargetIdentity, WrittenRow
from imports.backends.postgresql import comparisons, written_rows
from imports.backends.rest import (
    http_client,
    key_advice,
    key_headers,
    response_error,
    retry_after,
    status_error,
    transport_error,
)
from imports.errors import BackendError, DataRefusedError, ImageProblemError, ImporterError
from imports.image_file import open_unchanged, read_pieces, read_whole
from imports.json_text import may_be_rounded, parse_answer
from imports.patience import patiently
from imports.row_format import RowFormat
from imports.tables import Table, TableGroup
from imports.work_item import Image

BUCKET = "imagecache"

_SENT_AT_ONCE = 1024 * 1024
"""An image of at most so many bytes is read before it is sent; of a larger one a piece."""


class SupabaseDatabase:
    """The database behind a Supabase API, by its URL and a service role key."""

    row_format = RowFormat.JSON

    def __init__(self, url: str, key: str, connections: int) -> None:
        """Connects when it is first used."""
        self._url = url
        self._headers = key_headers(key)
        self._http = http_client(connections)

    def identify(self) -> TargetIdentity:
        """Who the database is."""
        rows = self._request("GET", "import_target", params={"select": "id,schema_version"})
        if len(rows) != 1:
            raise BackendError(
                "The key cannot see the one row of the table import_target, or it was deleted."
                f" {key_advice(self._headers['apikey'])}"
            )
        return TargetIdentity(str(rows[0]["id"]), rows[0]["schema_version"])

    def dataset_id(self, kind: str, tag: str, description: str | None, author: str | None) -> int:
        """The id of a dataset, which is made if it is not there."""
        wanted = {"select": "id", "kind": f"eq.{kind}", "tag": f"eq.{tag}"}
        rows = self._request("GET", "datasets", params=wanted)
        if not rows:
            new = {"kind": kind, "tag": tag, "description": description, "created_by": author}
            self._request(
                "POST",
                "datasets",
                params={"on_conflict": "kind,tag"},
                headers={"Prefer": "resolution=ignore-duplicates,return=minimal"},
                content=orjson.dumps(new),
            )
            rows = self._request("GET", "datasets", params=wanted)
        return int(rows[0]["id"])

    def merge(self, request_id: UUID, rows: Rows) -> dict[int, str]:
        """Merges rows in one transaction; see Database."""
        answer = self._call(rows.group.merge_function, _body(rows, request_id))
        return {
            index: answer[table.label] for index, table, _ in rows.tables() if table.owner is None
        }

    def compare(self, rows: Rows) -> dict[int, list[Comparison]]:
        """Compares rows with what is stored, by table."""
        answer = self._call(rows.group.compare_function, _body(rows, None))
        return {index: comparisons(answer[table.label]) for index, table, _ in rows.tables()}

    def written(
        self,
        group: TableGroup,
        table: Table,
        batch_ids: Sequence[str],
        after: str | None,
        limit: int,
    ) -> list[WrittenRow]:
        """A page of the rows that some runs wrote, by id."""
        body = {"table": table.label, "batch_ids": batch_ids, "after": after, "limit": limit}
        return written_rows(self._call(group.written_function, orjson.dumps({"payload": body})))

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        """Those of some hashes that `image_assets` has, each with its storage type."""
        body = orjson.dumps({"payload": {"hashes": hashes}})
        return cast(dict[str, str], self._call("importer_known_images", body))

    def forget_merges(self, batch_id: str) -> None:
        """Drops the answers that were kept for a run that has ended."""
        self._request("DELETE", "import_merges", params={"batch_id": f"eq.{batch_id}"})

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def _call(self, function: str, body: bytes) -> Any:
        return self._request("POST", f"rpc/{function}", content=body)

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> Any:
        # Not through the postgrest library: its errors lack the HTTP status and Retry-After,
        # and it would encode once more what is ready as bytes.
        try:
            response = self._http.request(
                method,
                f"{self._url}/rest/v1/{path}",
                params=params,
                content=content,
                headers={
                    **self._headers,
                    "Content-Type": "application/json",
                    **(headers or {}),
                },
            )
        except httpx.TransportError as error:
            raise transport_error(error, self._url) from error
        if not response.is_success:
            raise response_error(response, self._headers["apikey"])
        if not response.content:
            return None
        try:
            return parse_answer(response.content)
        except ValueError as error:
            raise BackendError(
                f"{self._url} does not answer as Supabase does. Check SUPABASE_URL."
            ) from error


class SupabaseImages:
    """The private bucket `imagecache` of a Supabase project."""

    storage_type = "supabase"
    put_at_once = 1

    def __init__(self, url: str, key: str, connections: int) -> None:
        """Connects when it is first used."""
        self._url = url
        self._http = http_client(connections)
        self._storage = SyncStorageClient(
            f"{url}/storage/v1/", key_headers(key), http_client=self._http
        )
        self._objects = f"{url}/storage/v1/object/{BUCKET}"
        # Cached for as long as what the storage library uploads.
        self._headers = {**key_headers(key), "x-upsert": "false", "Cache-Control": "max-age=3600"}

    def prepare(self) -> None:
        """Makes the bucket, if it is absent."""
        try:
            self._storage.create_bucket(BUCKET, options={"public": False})
        except httpx.TransportError as error:
            raise transport_error(error, self._url) from error
        except StorageApiError as error:
            if not _is_duplicate(error):
                raise _storage_error(error) from error

    def put(self, image: Image) -> bool:
        """Uploads an image; False if it was there already."""
        return patiently(self._put, image)

    def _put(self, image: Image) -> bool:
        if image.file.signature.size <= _SENT_AT_ONCE:
            with open_unchanged(image.file) as file:
                content = read_whole(file, image.file)
            return self._post(image, content)
        uploaded = False
        try:
            with open_unchanged(image.file) as file:
                uploaded = self._post(image, read_pieces(file, image.file, _SENT_AT_ONCE))
        except ImageProblemError:
            if uploaded:
                # It changed under our hands: what is stored is not what its name says.
                self.remove(image.storage_path)
            raise
        return uploaded

    def _post(self, image: Image, content: bytes | Iterator[bytes]) -> bool:
        # Not through the storage library: it wraps every image into a form. To make that and to
        # take it apart costs both sides a fifth of their time for a small image.
        try:
            response = self._http.post(
                f"{self._objects}/{image.storage_path}",
                content=content,
                headers={
                    **self._headers,
                    "Content-Type": image.content_type,
                    "Content-Length": str(image.file.signature.size),
                },
            )
        except httpx.TransportError as error:
            raise transport_error(error, self._url) from error
        if response.is_success:
            return True
        refusal = _refusal(response)
        if _is_duplicate(refusal):
            return False
        raise _storage_error(refusal, response)

    def size(self, storage_path: str) -> int | None:
        """The size in bytes of what is stored there, None if nothing is."""
        try:
            found = self._storage.from_(BUCKET).info(storage_path)
        except httpx.TransportError as error:
            raise transport_error(error, self._url) from error
        except StorageApiError as error:
            if _status(error) == 404 or "not found" in error.message.lower():
                return None
            raise _storage_error(error) from error
        # Hosted Supabase has the size beside the metadata, @supabase/lite inside of it.
        size = found.get("size")
        return int(found["metadata"]["size"] if size is None else size)

    def sha256(self, storage_path: str) -> str:
        """The hash of what is stored there, downloaded anew."""
        try:
            content = self._storage.from_(BUCKET).download(storage_path)
        except httpx.TransportError as error:
            raise transport_error(error, self._url) from error
        except StorageApiError as error:
            raise _storage_error(error) from error
        return hashlib.sha256(content).hexdigest()

    def remove(self, storage_path: str) -> None:
        """Removes what is stored there, if anything is."""
        try:
            self._storage.from_(BUCKET).remove([storage_path])
        except httpx.TransportError as error:
            raise transport_error(error, self._url) from error
        except StorageApiError as error:
            raise _storage_error(error) from error

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()


def _body(rows: Rows, request_id: UUID | None) -> bytes:
    head = {"run": rows.run, "request_id": None if request_id is None else str(request_id)}
    tables = b",".join(
        b'"%b":[%b]' % (table.label.encode(), b",".join(objects))
        for _, table, objects in rows.tables()
    )
    payload = b'%b,"rows":{%b}}' % (orjson.dumps(head)[:-1], tables)
    if may_be_rounded(payload, by_doubles=True):
        # As a JSON string, which only the database reads: what reads JSON as JavaScript does
        # (@supabase/lite, a proxy) would round its numbers.
        payload = orjson.dumps(payload.decode())
    return b'{"payload":%b}' % payload


def _is_duplicate(error: StorageApiError) -> bool:
    return _status(error) == 409 or "already exists" in error.message.lower()


def _status(error: StorageApiError) -> int:
    # The body of an answer may say 400 on the line and 404 inside: the inside is meant.
    return int(error.status) if str(error.status).isdigit() else 0


def _refusal(response: httpx.Response) -> StorageApiError:
    """The error that the storage library makes of an answer that is not a success."""
    try:
        body = orjson.loads(response.content)
        return StorageApiError(body["message"], body["error"], body["statusCode"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = f"Unable to parse error message: {response.text}"
        return StorageApiError(message, "InternalError", response.status_code)


def _storage_error(error: StorageApiError, response: httpx.Response | None = None) -> ImporterError:
    response = response or _response_behind(error)
    status = _status(error)
    if response is not None and not 400 <= status < 600:
        status = response.status_code
    wait = retry_after(response) if response is not None else None
    ours = status_error(status, error.message.rstrip("."), wait)
    if isinstance(ours, DataRefusedError):
        return ImageProblemError(str(ours))
    return ours


def _response_behind(error: BaseException) -> httpx.Response | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, httpx.HTTPStatusError):
            return seen.response
        seen = seen.__cause__ or seen.__context__
    return None
