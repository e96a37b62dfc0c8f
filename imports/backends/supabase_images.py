"""Images into Supabase: a private bucket in its Storage."""

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
from imports.errors import BackendError, BackendUnavailableError, ImageProblemError, ImporterError
from imports.files.patience import patiently
from imports.items.images import Image
from imports.source.image_file import open_unchanged, read_pieces, read_whole

BUCKET = "imagecache"

_SENT_WHOLE = 1024 * 1024
"""An image of at most this size is read as a whole and then sent; a larger one in pieces."""

_MOST_NAMES = 1_000
"""So many names in a folder are not listed: it takes too long."""

_MAX_FORBIDDEN = 20
"""If policies forbid so many images in succession, they probably forbid all images."""


class SupabaseImages:
    """A bucket of a Supabase project: `imagecache`, or another one.

    It is created as private, or as `public`.
    """

    storage_type = "supabase"
    put_at_once = 1

    def __init__(
        self, url: str, key: str, connections: int, bucket: str = BUCKET, *, public: bool = False
    ) -> None:
        """Connects on first use."""
        self._public = public
        self._url = url
        self._bucket = bucket
        self._http = http_client(url, connections)
        headers = key_headers(key)
        self._storage = SyncStorageClient(f"{url}/storage/v1/", headers, http_client=self._http)
        self._objects = f"{url}/storage/v1/object/{bucket}"
        self._headers = headers
        # The same cache time as for uploads by the storage library.
        self._sent = {**headers, "x-upsert": "false", "Cache-Control": "max-age=3600"}
        self._forbidden = 0

    def prepare(self) -> str | None:
        """Creates the bucket if it is missing; returns a warning if it is public."""
        with self._checked():
            try:
                made = self._storage.create_bucket(self._bucket, options={"public": self._public})
            except StorageApiError as error:
                refused = refusal(_response_behind(error))
                if not refused.is_duplicate:
                    raise refused.general_error(self._bucket) from error
            else:
                if made["name"] != self._bucket:
                    raise ValueError(made)
                return None
            is_public = self._is_public()
        if is_public in (None, self._public):
            return None
        if self._public:
            return (
                f"The bucket {self._bucket} was there already, and is private: it stays so. To make"
                " it public: Storage, Edit bucket, in the dashboard."
            )
        return (
            f"The bucket {self._bucket} is public: whoever has the address of an image can see it"
            " without a key. The import still stores images there. To make it private: Storage,"
            " Edit bucket, in the dashboard."
        )

    def is_public(self) -> bool | None:
        """Whether the bucket is public; None if it is missing."""
        with self._checked():
            return self._is_public()

    def _is_public(self) -> bool | None:
        response = self._http.get(
            f"{self._url}/storage/v1/bucket/{self._bucket}", headers=self._headers
        )
        if response.is_success:
            return bool(orjson.loads(response.content)["public"])
        refused = refusal(response)
        if refused.is_missing or refused.is_missing_bucket:
            return None
        raise refused.general_error(self._bucket)

    def put(self, image: Image) -> bool:
        """Uploads an image; False if it was stored before."""
        return patiently(self._put, image)

    def put_at(self, path: str, image: Image, *, over: bool) -> bool:
        """Uploads an image to a path; False if that has content already and `over` is false."""
        return patiently(partial(self._send, over=over), image, path)

    def copy(self, path: str, to: str) -> None:
        """Copies an object to another path, atomically; replaces what is there."""
        body = {"bucketId": self._bucket, "sourceKey": path, "destinationKey": to}
        with self._checked():
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
        # A stored object may have lost its content; only reading it shows that.
        path = image.storage_path
        return self._send(image, path) or (
            not self._is_whole(image) and self._send(image, path, over=True)
        )

    def _send(self, image: Image, path: str, *, over: bool = False) -> bool:
        """Uploads an image; False if the path has content already and `over` is false."""
        if image.file.signature.size <= _SENT_WHOLE:
            with open_unchanged(image.file) as file:
                content = read_whole(file, image.file)
            return self._post(image, path, content, over)
        uploaded = False
        try:
            with open_unchanged(image.file) as file:
                pieces = read_pieces(file, image.file, _SENT_WHOLE)
                uploaded = self._post(image, path, pieces, over)
        except ImageProblemError:
            if uploaded:
                # The file changed during the upload: the stored content has another hash.
                self.remove(path)
            raise
        return uploaded

    def _post(self, image: Image, path: str, content: bytes | Iterator[bytes], over: bool) -> bool:
        # The storage library is not used: it wraps every image into a form, which costs the client
        # and the server a fifth of their time for a small image.
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
            if not _confirms_upload(response, f"{self._bucket}/{path}"):
                raise strange_answer(response)
            return True
        refused = refusal(response)
        if refused.is_duplicate and not over:
            return False
        problem = refused.error(self._bucket, f"image {image.file.path}")
        if refused.is_policy:
            self._forbidden += 1
            if self._forbidden >= _MAX_FORBIDDEN:
                raise BackendError(
                    f"{_MAX_FORBIDDEN} images in succession were forbidden, the last one:"
                    f" {problem}. Correct the policies and triggers of storage.objects, so that"
                    " they permit images; then run again."
                )
        raise problem

    def _is_whole(self, image: Image) -> bool:
        """Whether the stored object of an image can be read and has its size."""
        with self._checked():
            # A server that refuses a large body closes the connection after the answer; a gateway
            # before it then answers the next request with 502.
            with suppress(httpx.NetworkError, httpx.RemoteProtocolError):
                if self._looks_whole(image):
                    return True
            return self._looks_whole(image)

    def _looks_whole(self, image: Image) -> bool:
        # One byte of the content is enough. A store without range requests sends all of it.
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
        """The size of an object in bytes; None if it does not exist."""
        with self._checked():
            try:
                found = self._storage.from_(self._bucket).info(storage_path)
            except StorageApiError as error:
                refused = refusal(_response_behind(error))
                if refused.is_missing:
                    return None
                raise refused.error(self._bucket, storage_path) from error
            # Hosted Supabase has the size beside the metadata, @supabase/lite inside them.
            size = found.get("size")
            return int(found["metadata"]["size"] if size is None else size)

    def names(self, folder: str, beginning: str) -> set[str] | None:
        """The names in a folder that begin so, and perhaps others; None if there are too many."""
        # With a slash: @supabase/lite treats it as the beginning of a path.
        prefix = f"{folder}/" if folder else ""
        names: set[str] = set()
        listed = 0
        with self._checked():
            # Only an empty answer is the end: a server may give fewer names than it is asked for.
            while found := self._list(prefix, beginning, listed):
                listed += len(found)
                if listed >= _MOST_NAMES:
                    return None
                # @supabase/lite has the paths of all objects, others the names in the folder.
                names |= {each["name"].removeprefix(prefix).partition("/")[0] for each in found}
        return names

    def _list(self, prefix: str, beginning: str, offset: int) -> list[dict[str, Any]]:
        options: Any = {"limit": _MOST_NAMES, "offset": offset, "search": beginning}
        try:
            return self._storage.from_(self._bucket).list(prefix, options)
        except StorageApiError as error:
            raise refusal(_response_behind(error)).error(self._bucket, prefix) from error

    def sha256(self, storage_path: str) -> str:
        """The hash of an object; downloads its stored content."""
        # A cache before a hosted project may still have the old content of this address.
        place = f"{self._objects}/{storage_path}?cacheNonce={uuid4().hex}"
        digest = hashlib.sha256()
        with self._checked(), self._http.stream("GET", place, headers=self._headers) as response:
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
        """Removes an object if it exists."""
        with self._checked():
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
    def _checked(self) -> Iterator[None]:
        """Around requests: an answer that is not Storage's raises BackendUnavailableError."""
        try:
            yield
        except httpx.RequestError as error:
            raise transport_error(error, self._url) from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise BackendUnavailableError(
                f"An answer did not come from Supabase Storage at {self._url}. If it happens again,"
                " check SUPABASE_URL and any proxy or gateway before Supabase.",
                divisible=False,
            ) from error


def _confirms_upload(response: httpx.Response, place: str) -> bool:
    try:
        answer: Any = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return False
    return isinstance(answer, dict) and answer.get("Key") == place


def _unreadable(refused: StorageRefusal, bucket: str, storage_path: str) -> ImporterError:
    """The error for an object that cannot be downloaded: ImageProblemError if it is missing."""
    if refused.is_missing and not refused.is_missing_bucket:
        return ImageProblemError(f"its content is gone ({refused.message})")
    return refused.error(bucket, storage_path)


def _response_behind(error: StorageApiError) -> httpx.Response:
    """The answer that is the cause of an error of the storage library."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx.HTTPStatusError):
            return cause.response
        cause = cause.__cause__ or cause.__context__
    return httpx.Response(500, text=error.message)
