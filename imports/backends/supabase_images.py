"""Images into Supabase: a private bucket of its Storage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import orjson
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from imports.backends.rest import http_client, key_headers, strange_answer, transport_error
from imports.backends.storage_refusal import StorageRefusal, refusal
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    ImageProblemError,
    ImporterError,
)
from imports.files.patience import patiently
from imports.source.image_file import open_unchanged, read_pieces, read_whole
from imports.work_item import Image

BUCKET = "imagecache"

_SENT_AT_ONCE = 1024 * 1024
"""An image of at most so many bytes is read before it is sent; of a larger one a piece."""

_MOST_FORBIDDEN = 20
"""If policies forbid so many images one after the other, they are hardly about single ones."""


class SupabaseImages:
    """A bucket of a Supabase project, private if it is ours: `imagecache`, or another one."""

    storage_type = "supabase"
    put_at_once = 1

    def __init__(self, url: str, key: str, connections: int, bucket: str = BUCKET) -> None:
        """Connects when it is first used."""
        self._url = url
        self._bucket = bucket
        self._http = http_client(url, connections)
        headers = key_headers(key)
        self._storage = SyncStorageClient(f"{url}/storage/v1/", headers, http_client=self._http)
        self._objects = f"{url}/storage/v1/object/{bucket}"
        self._headers = headers
        # Cached for as long as what the storage library uploads.
        self._sent = {**headers, "x-upsert": "false", "Cache-Control": "max-age=3600"}
        self._forbidden = 0

    def prepare(self) -> str | None:
        """Makes the bucket, if it is absent; what the user should know of one that is there."""
        with self._asking():
            try:
                made = self._storage.create_bucket(self._bucket, options={"public": False})
            except StorageApiError as error:
                refused = refusal(_response_behind(error))
                if not refused.is_duplicate:
                    raise refused.general_error(self._bucket) from error
            else:
                if made["name"] != self._bucket:
                    raise ValueError(made)
                return None
            response = self._http.get(
                f"{self._url}/storage/v1/bucket/{self._bucket}", headers=self._headers
            )
            if not response.is_success:
                raise refusal(response).general_error(self._bucket)
            if not orjson.loads(response.content)["public"]:
                return None
        return (
            f"The bucket {self._bucket} is public: everybody who has an image's address can see it,"
            " without a key. Images are stored there all the same. To make it private: Storage,"
            " Edit bucket, in the dashboard."
        )

    def put(self, image: Image) -> bool:
        """Uploads an image; False if it was there already."""
        return patiently(self._put, image)

    def put_at(self, path: str, image: Image, *, over: bool) -> bool:
        """Uploads an image to a path, `over` what is there; else False if something is there."""
        return patiently(partial(self._send, over=over), image, path)

    def copy(self, path: str, to: str) -> None:
        """Copies what is stored at a path to another one, over what is there, in one step."""
        body = {"bucketId": self._bucket, "sourceKey": path, "destinationKey": to}
        with self._asking():
            response = self._http.post(
                f"{self._url}/storage/v1/object/copy",
                json=body,
                headers={**self._headers, "x-upsert": "true"},
            )
            if not response.is_success:
                raise refusal(response).error(self._bucket, f"a copy of {path}")
            if not isinstance(orjson.loads(response.content), dict):
                raise strange_answer(response)

    def _put(self, image: Image) -> bool:
        # What is there need not be whole: its content may be gone, which only a look into it tells.
        path = image.storage_path
        return self._send(image, path) or (
            not self._is_whole(image) and self._send(image, path, over=True)
        )

    def _send(self, image: Image, path: str, *, over: bool = False) -> bool:
        """Uploads an image, `over` what is there; False if there is something that may not be."""
        if image.file.signature.size <= _SENT_AT_ONCE:
            with open_unchanged(image.file) as file:
                content = read_whole(file, image.file)
            return self._post(image, path, content, over)
        uploaded = False
        try:
            with open_unchanged(image.file) as file:
                pieces = read_pieces(file, image.file, _SENT_AT_ONCE)
                uploaded = self._post(image, path, pieces, over)
        except ImageProblemError:
            if uploaded:
                # It changed under our hands: what is stored is not what is known of it.
                self.remove(path)
            raise
        return uploaded

    def _post(self, image: Image, path: str, content: bytes | Iterator[bytes], over: bool) -> bool:
        # Not through the storage library: it wraps every image into a form. To make that and to
        # take it apart costs both sides a fifth of their time for a small image.
        try:
            response = self._http.post(
                f"{self._objects}/{path}",
                content=content,
                headers={
                    **self._sent,
                    "x-upsert": "true" if over else "false",
                    "Content-Type": image.content_type,
                    "Content-Length": str(image.file.signature.size),
                },
            )
        except httpx.RequestError as error:
            raise transport_error(error, self._url) from error
        if response.is_success:
            self._forbidden = 0
            if not _says_stored(response, f"{self._bucket}/{path}"):
                raise strange_answer(response)
            return True
        refused = refusal(response)
        if refused.is_duplicate and not over:
            return False
        problem = refused.error(self._bucket, f"image {image.file.path}")
        if refused.is_policy:
            self._forbidden += 1
            if self._forbidden >= _MOST_FORBIDDEN:
                raise BackendError(
                    f"{_MOST_FORBIDDEN} images one after the other were forbidden, the last one:"
                    f" {problem}. Look at the policies and triggers of storage.objects. Run again"
                    " when they let images in."
                )
        raise problem

    def _is_whole(self, image: Image) -> bool:
        """Whether what is stored in the place of an image can be read, and has its size."""
        with self._asking():
            # A server that did not want a large body closes its connection behind the answer; a
            # gateway before it then answers the next question with 502.
            with suppress(httpx.NetworkError, httpx.RemoteProtocolError):
                if self._looks_whole(image):
                    return True
            return self._looks_whole(image)

    def _looks_whole(self, image: Image) -> bool:
        # Of the content one byte will do. A store that does not know ranges sends all of it.
        wanted = {**self._headers, "Range": "bytes=0-0", "Accept-Encoding": "identity"}
        place = f"{self._objects}/{image.storage_path}"
        with self._http.stream("GET", place, headers=wanted) as response:
            if response.is_success:
                part = response.headers.get("content-range", "")
                size: str = part.rpartition("/")[2] or response.headers.get("content-length", "")
                return size == str(image.file.signature.size)
            response.read()
            error = refusal(response).error(self._bucket, f"image {image.file.path}")
            if isinstance(error, BackendUnavailableError) and not error.divisible:
                raise error
            return False

    def size(self, storage_path: str) -> int | None:
        """The size in bytes of what is stored there, None if nothing is."""
        with self._asking():
            try:
                found = self._storage.from_(self._bucket).info(storage_path)
            except StorageApiError as error:
                refused = refusal(_response_behind(error))
                if refused.is_missing:
                    return None
                raise refused.error(self._bucket, storage_path) from error
            # Hosted Supabase has the size beside the metadata, @supabase/lite inside of it.
            size = found.get("size")
            return int(found["metadata"]["size"] if size is None else size)

    def is_empty(self, folder: str) -> bool:
        """Whether nothing is stored below a folder."""
        with self._asking():
            try:
                # With a slash: @supabase/lite takes it for the beginning of a name.
                return self._storage.from_(self._bucket).list(f"{folder}/", {"limit": 1}) == []
            except StorageApiError as error:
                raise refusal(_response_behind(error)).error(self._bucket, folder) from error

    def sha256(self, storage_path: str) -> str:
        """The hash of what is stored there, downloaded anew."""
        # What is in front of a hosted project may keep what was there before, by its address.
        place = f"{self._objects}/{storage_path}?cacheNonce={uuid4().hex}"
        digest = hashlib.sha256()
        with self._asking(), self._http.stream("GET", place, headers=self._headers) as response:
            if not response.is_success:
                response.read()
                raise _unreadable(refusal(response), self._bucket, storage_path)
            if response.headers.get("content-type", "").startswith("text/html"):
                response.read()
                raise strange_answer(response)
            for piece in response.iter_bytes():
                digest.update(piece)
        return digest.hexdigest()

    def remove(self, storage_path: str) -> None:
        """Removes what is stored there, if anything is."""
        with self._asking():
            try:
                removed = self._storage.from_(self._bucket).remove([storage_path])
            except StorageApiError as error:
                refused = refusal(_response_behind(error))
                if refused.is_missing:
                    return
                raise refused.error(self._bucket, storage_path) from error
            if not isinstance(removed, list):
                raise TypeError(removed)

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Around questions: what is no answer of Storage's is told as that."""
        try:
            yield
        except httpx.RequestError as error:
            raise transport_error(error, self._url) from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise BackendUnavailableError(
                f"An answer did not come from Supabase Storage at {self._url}. If that stays so,"
                " look at what stands before it, and check SUPABASE_URL.",
                divisible=False,
            ) from error


def _says_stored(response: httpx.Response, place: str) -> bool:
    try:
        answer: Any = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return False
    return isinstance(answer, dict) and answer.get("Key") == place


def _unreadable(refused: StorageRefusal, bucket: str, storage_path: str) -> ImporterError:
    """The error for an object that cannot be downloaded; one that is gone is itself the matter."""
    if refused.is_missing and not refused.is_missing_bucket:
        return ImageProblemError(f"its content is gone ({refused.message})")
    return refused.error(bucket, storage_path)


def _response_behind(error: StorageApiError) -> httpx.Response:
    """The answer that the storage library made an error of."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, httpx.HTTPStatusError):
            return seen.response
        seen = seen.__cause__ or seen.__context__
    return httpx.Response(500, text=error.message)
