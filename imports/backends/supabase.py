"""Rows into Supabase: one RPC for each batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import httpx
import orjson

from imports.backends import answers
from imports.backends.database import (
    MergeAnswer,
    Rows,
    TableComparison,
    TargetIdentity,
    indivisible,
)
from imports.backends.deleting import (
    NotedImages,
    Written,
    count_request,
    counted,
    delete_request,
    unlist_request,
    unlisted,
)
from imports.backends.reading import Row, RowQuery
from imports.backends.rest import (
    http_client,
    key_advice,
    key_headers,
    response_error,
    strange_answer,
    transport_error,
)
from imports.errors import BackendError, BackendUnavailableError
from imports.source.json_text import may_be_rounded, parse_answer
from imports.tables.description import described, described_set
from imports.tables.row_format import RowFormat
from imports.tables.table import Table, TableGroup

R = TypeVar("R")


class SupabaseDatabase:
    """The database of a Supabase project, through its API, with a service role key."""

    row_format = RowFormat.JSON

    def __init__(self, url: str, key: str, connections: int) -> None:
        """Connects on first use."""
        self._url = url
        self._headers = key_headers(key)
        self._http = http_client(url, connections)

    def identify(self) -> TargetIdentity:
        """Which database it is."""
        wanted = {"select": "id,schema_version,functions_checksum"}
        identities = self._indivisible(_identities, "GET", "import_target", params=wanted)
        if len(identities) != 1:
            raise BackendError(
                "The key cannot read the row of the table import_target, or the row was deleted."
                f" {key_advice(self._headers['apikey'])}"
            )
        return identities[0]

    def dataset_id(self, kind: str, tag: str, description: str | None, author: str | None) -> int:
        """The id of a dataset; creates it if it does not exist."""
        wanted = {"select": "id", "kind": f"eq.{kind}", "tag": f"eq.{tag}"}
        ids = self._indivisible(_ids, "GET", "datasets", params=wanted)
        if not ids:
            new = {"kind": kind, "tag": tag, "description": description, "created_by": author}
            self._indivisible(
                answers.nothing,
                "POST",
                "datasets",
                params={"on_conflict": "kind,tag"},
                headers={"Prefer": "resolution=ignore-duplicates,return=minimal"},
                content=orjson.dumps(new),
            )
            ids = self._indivisible(_ids, "GET", "datasets", params=wanted)
        if not ids:
            raise BackendUnavailableError(f"The dataset {kind}/{tag} was created, but is missing.")
        return ids[0]

    def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
        """Merges rows in one transaction; see Database."""
        shape = partial(answers.merged, rows=rows)
        sets = {
            table.label: [described_set(each) for each in rows.group.owned_by(table)]
            for _, table, _ in rows.tables()
            if table.owner is None
        }
        body = _body(rows, request_id=str(request_id), sets=sets)
        return self._call(shape, rows.group.merge_function, body)

    def compare(self, rows: Rows) -> dict[int, TableComparison]:
        """Compares rows with the stored ones, by table."""
        shape = partial(answers.compared, rows=rows)
        tables = [described(table) for _, table in rows.compared()]
        return self._call(shape, "importer_compare", _body(rows, tables=tables))

    def rows(self, query: RowQuery) -> list[Row]:
        """The selected rows, in order."""
        shape = partial(answers.rows, query=query)
        return self._call(shape, "importer_rows", _payload(query.as_json()))

    def function(self, name: str, payload: bytes) -> dict[str, Any]:
        """The answer of a function; see Database."""
        with indivisible():
            return self._call(answers.one_object, name, _payload(payload))

    def count_written(self, group: TableGroup, run_names: Sequence[str]) -> Written:
        """Counts what the given runs wrote in the tables of a group."""
        with indivisible():
            return self._call(counted, "importer_count", _payload(count_request(group, run_names)))

    def delete_written(
        self, group: TableGroup, table: Table, ids: Sequence[str], run_names: Sequence[str]
    ) -> list[str]:
        """Deletes rows that runs wrote, with their owned rows; see RowRemover."""
        request = delete_request(group, table, ids, run_names)
        shape = partial(answers.some_of, asked=ids)
        return self._call(shape, "importer_delete", _payload(request))

    def unlist_images(self, storage_type: str, after: str, limit: int) -> NotedImages:
        """Deletes a page of the noted images from the list of images; see RowRemover."""
        request = unlist_request(storage_type, after, limit)
        return self._call(unlisted, "importer_unlist", _payload(request))

    def forget_noted(self, hashes: Sequence[str]) -> None:
        """Deletes the notes of images that are removed from the store."""
        wanted = {"content_hash": f"in.({','.join(hashes)})"}
        self._request(answers.nothing, "DELETE", "import_removals", params=wanted)

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        """The given hashes that `image_assets` has, each with its storage type."""
        body = orjson.dumps({"payload": {"hashes": hashes}})
        shape = partial(answers.listed, hashes=hashes)
        return self._call(shape, "importer_known_images", body)

    def forget_merges(self, run_name: str) -> None:
        """Deletes the stored answers of a run that has ended."""
        wanted = {"batch_id": f"eq.{run_name}"}
        self._indivisible(answers.nothing, "DELETE", "import_merges", params=wanted)

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def _call(self, shape: Callable[[Any], R], function: str, body: bytes) -> R:
        return self._request(shape, "POST", f"rpc/{function}", content=body)

    def _indivisible(self, shape: Callable[[Any], R], method: str, path: str, **more: Any) -> R:
        """The answer to a request that cannot be halved; see `_request`."""
        with indivisible():
            return self._request(shape, method, path, **more)

    def _request(
        self,
        shape: Callable[[Any], R],
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> R:
        """The answer's JSON (None if it has no content), converted by `shape`.

        `shape` raises ValueError, TypeError or LookupError for an answer that is not PostgREST's.
        """
        # The postgrest library is not used: its errors lack the HTTP status and Retry-After, and
        # it would encode the finished bytes again.
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
        except httpx.RequestError as error:
            raise transport_error(error, self._url) from error
        if not response.is_success:
            raise response_error(response, self._headers["apikey"])
        try:
            return shape(parse_answer(response.content) if response.content else None)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise strange_answer(response) from error


def _identities(answer: Any) -> list[TargetIdentity]:
    return [
        TargetIdentity(str(UUID(row["id"])), row["schema_version"], row["functions_checksum"])
        for row in answers.objects(answer)
    ]


def _ids(answer: Any) -> list[int]:
    return [int(row["id"]) for row in answers.objects(answer)]


def _body(rows: Rows, **more: Any) -> bytes:
    head = {"run": rows.run, **more}
    tables = b",".join(
        b'"%b":[%b]' % (table.label.encode(), b",".join(objects))
        for _, table, objects in rows.tables()
    )
    payload = b'%b,"rows":{%b}}' % (orjson.dumps(head)[:-1], tables)
    if may_be_rounded(payload, by_doubles=True):
        # As a JSON string, which only the database parses: whatever parses JSON as JavaScript does
        # (@supabase/lite, a proxy) would round the numbers.
        payload = orjson.dumps(payload.decode())
    return _payload(payload)


def _payload(request: bytes) -> bytes:
    return b'{"payload":%b}' % request
