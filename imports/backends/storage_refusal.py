"""The unsuccessful answers of Supabase Storage, and what they mean."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from imports.backends.rest import (
    KEY_VARIABLES,
    readable,
    readable_text,
    redirect_error,
    retry_after,
    status_error,
    strange_answer,
)
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImageProblemError,
    ImporterError,
)

_KEY = re.compile(r"\b(jwt|jws|api ?key|signature)", re.IGNORECASE)
_POLICY = "row-level security"
_NO_BUCKET = ("bucket not found", "nosuchbucket", "the related resource does not exist")
_FULL = re.compile(
    r"quota|no space left|enospc|edquot|erofs|read-only|storage ?full|disk (is )?full"
    r"|insufficient storage|payment required|project is restricted",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class StorageRefusal:
    """An unsuccessful answer.

    `status` is the true status: Storage answers most errors with 400, and has the true one in the
    body. `body` is the text of the body in lower case. `genuine` is false if a server before
    Storage answered.
    """

    response: httpx.Response
    status: int
    message: str
    body: str
    genuine: bool

    @property
    def is_duplicate(self) -> bool:
        """Whether the object or bucket exists already."""
        return self.genuine and ("already exists" in self.body or "duplicate" in self.body)

    @property
    def is_missing_bucket(self) -> bool:
        """Whether the bucket does not exist."""
        return self.genuine and any(each in self.body for each in _NO_BUCKET)

    @property
    def is_missing(self) -> bool:
        """Whether the object does not exist."""
        return self.genuine and (self.status == 404 or "not found" in self.body)

    @property
    def is_policy(self) -> bool:
        """Whether a policy of the project forbids the request. False if the key is wrong."""
        return self.status == 403 and not self._is_key

    @property
    def _is_key(self) -> bool:
        return self.status == 401 or (
            self.status in (400, 403) and _KEY.search(self.body) is not None
        )

    def error(self, bucket: str, subject: str) -> ImporterError:
        """Our error for this answer: an ImageProblemError if it concerns `subject` alone."""
        if self.response.has_redirect_location:
            return redirect_error(self.response)
        text = f"HTTP {self.status}: {self.message}"
        if self._is_key:
            return status_error(401, self.message, None)
        if self.is_missing_bucket:
            return BackendError(
                f"The bucket {bucket} does not exist any more ({text}). Run again: the next run"
                " creates it and stores the remaining images. The images that were in it are lost;"
                " `resilient-importer verify --repair` stores them again."
            )
        if self.status in (402, 507) or (self.status != 413 and _FULL.search(self.body)):
            return BackendUnavailableError(
                f"The image store is full or read-only ({text}). Free space in the project's"
                " storage, or change its plan; then run again.",
                divisible=False,
            )
        if not self.genuine and self.status in (404, 405, 406, 410):
            return strange_answer(self.response)
        ours = status_error(self.status, self.message, retry_after(self.response))
        if isinstance(ours, BackendUnavailableError):
            return ours
        who = "a policy of the bucket" if _POLICY in self.body else "the bucket"
        return ImageProblemError(f"{who} {bucket} refuses {subject} ({text})")

    def general_error(self, bucket: str) -> ImporterError:
        """Our error for a request that concerns no single image."""
        ours = self.error(bucket, "this")
        if not isinstance(ours, (ImageProblemError, DataRefusedError)):
            return ours
        text = f"HTTP {self.status}: {self.message}"
        advice = f"The key must be the service role's: check {KEY_VARIABLES}."
        return BackendError(f"The bucket {bucket} cannot be used ({text}). {advice}")


def refusal(response: httpx.Response) -> StorageRefusal:
    """Parses an unsuccessful answer."""
    body: Any = None
    with contextlib.suppress(orjson.JSONDecodeError):
        body = orjson.loads(response.content)
    if not isinstance(body, dict):
        message = readable(response)
        return StorageRefusal(
            response, response.status_code, message, message.lower(), genuine=False
        )
    status = str(body.get("statusCode") or "")
    message = str(body.get("message") or body.get("error") or response.reason_phrase)
    text = " ".join(str(body.get(name) or "") for name in ("code", "error", "message")).lower()
    inside = int(status) if status.isdecimal() and 400 <= int(status) < 600 else None
    return StorageRefusal(
        response,
        inside or response.status_code,
        readable_text(message),
        text,
        genuine=not body.keys().isdisjoint(("statusCode", "code")) or response.status_code >= 500,
    )
