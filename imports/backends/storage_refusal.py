"""What Supabase Storage says where it does not do what it was asked for, and what that means."""

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
    """An answer that is not a success.

    `status` is the one that is meant: Storage answers most errors with 400, and the true status in
    the body. `told` says whether Storage itself gave the answer, and not something before it.
    """

    response: httpx.Response
    status: int
    message: str
    said: str
    told: bool

    @property
    def is_duplicate(self) -> bool:
        """Whether there is something already where something should be put."""
        return self.told and ("already exists" in self.said or "duplicate" in self.said)

    @property
    def is_missing_bucket(self) -> bool:
        """Whether the bucket is not there."""
        return self.told and any(each in self.said for each in _NO_BUCKET)

    @property
    def is_missing(self) -> bool:
        """Whether what was asked for is not there."""
        return self.told and (self.status == 404 or "not found" in self.said)

    @property
    def is_policy(self) -> bool:
        """Whether a policy of the project forbids it, and not the key."""
        return self.status == 403 and not self._is_key

    @property
    def _is_key(self) -> bool:
        return self.status == 401 or (
            self.status in (400, 403) and _KEY.search(self.said) is not None
        )

    def error(self, bucket: str, subject: str) -> ImporterError:
        """The error of ours. It is an ImageProblemError where `subject` alone is the matter."""
        if self.response.has_redirect_location:
            return redirect_error(self.response)
        text = f"HTTP {self.status}: {self.message}"
        if self._is_key:
            return status_error(401, self.message, None)
        if self.is_missing_bucket:
            return BackendError(
                f"The bucket {bucket} is not there any more ({text}). Run again: it is made again,"
                " and what is left is stored. What was stored in it before is gone:"
                " `resilient-importer verify --repair` stores that again."
            )
        if self.status in (402, 507) or (self.status != 413 and _FULL.search(self.said)):
            return BackendUnavailableError(
                f"The image store is full, or takes nothing ({text}). Make room in it (the"
                " project's storage, or its plan), then run again.",
                divisible=False,
            )
        if not self.told and self.status in (404, 405, 406, 410):
            return strange_answer(self.response)
        ours = status_error(self.status, self.message, retry_after(self.response))
        if isinstance(ours, BackendUnavailableError):
            return ours
        reason = "a policy of its refuses" if _POLICY in self.said else "refuses"
        return ImageProblemError(f"the bucket {bucket} {reason} {subject} ({text})")

    def general_error(self, bucket: str) -> ImporterError:
        """The error of ours where no single image was the matter."""
        ours = self.error(bucket, "this")
        if not isinstance(ours, (ImageProblemError, DataRefusedError)):
            return ours
        text = f"HTTP {self.status}: {self.message}"
        advice = f"The key must be the service role's: check {KEY_VARIABLES}."
        return BackendError(f"The bucket {bucket} cannot be used ({text}). {advice}")


def refusal(response: httpx.Response) -> StorageRefusal:
    """What an answer that is not a success says."""
    body: Any = None
    with contextlib.suppress(orjson.JSONDecodeError):
        body = orjson.loads(response.content)
    if not isinstance(body, dict):
        message = readable(response)
        return StorageRefusal(response, response.status_code, message, message.lower(), told=False)
    status = str(body.get("statusCode") or "")
    message = str(body.get("message") or body.get("error") or response.reason_phrase)
    said = " ".join(str(body.get(name) or "") for name in ("code", "error", "message")).lower()
    inside = int(status) if status.isdecimal() and 400 <= int(status) < 600 else None
    return StorageRefusal(
        response,
        inside or response.status_code,
        readable_text(message),
        said,
        told=not body.keys().isdisjoint(("statusCode", "code")) or response.status_code >= 500,
    )
