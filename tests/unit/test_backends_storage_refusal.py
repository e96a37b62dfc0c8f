from __future__ import annotations

import httpx
import orjson
import pytest

from imports.backends.storage_refusal import refusal
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    ImageProblemError,
    ImporterError,
)

HTML = b"<html>\n<head><title>Blocked</title></head>\n<body>by a firewall</body></html>"


def answer(status: int, body: object, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return httpx.Response(status, content=content, headers=headers)


def said(status: int, code: str, message: str) -> httpx.Response:
    """What Storage answers: most errors with 400, and the true status in the body."""
    on_the_line = status if status in (401, 500, 544) else 400
    return answer(on_the_line, {"statusCode": str(status), "error": code, "message": message})


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (said(415, "invalid_mime_type", "mime type image/bmp is not supported"), ImageProblemError),
        (said(413, "Payload too large", "The object exceeded the maximum"), ImageProblemError),
        (said(422, "InvalidRequest", "no"), ImageProblemError),
        (said(400, "InvalidKey", "Invalid key: a|b"), ImageProblemError),
        (said(409, "TransactionError", "conflict"), ImageProblemError),
        (said(418, "NewCode", "what nobody knows yet"), ImageProblemError),
        (
            said(403, "Unauthorized", "new row violates row-level security policy"),
            ImageProblemError,
        ),
        (answer(413, HTML), ImageProblemError),
        (answer(403, HTML), ImageProblemError),
        (answer(400, {"code": "InvalidMimeType", "message": "mime"}), ImageProblemError),
        (said(401, "Unauthorized", "Invalid API key"), BackendError),
        (said(403, "Unauthorized", "Invalid Compact JWS"), BackendError),
        (said(400, "InvalidJWT", "jwt expired"), BackendError),
        (said(403, "SignatureDoesNotMatch", "signature verification failed"), BackendError),
        (said(404, "Bucket not found", "Bucket not found"), BackendError),
        (said(404, "NoSuchBucket", "Bucket not found"), BackendError),
        (said(404, "InvalidRequest", "The related resource does not exist"), BackendError),
        (said(507, "InsufficientStorage", "no more"), BackendUnavailableError),
        (said(400, "S3Error", "QuotaExceeded"), BackendUnavailableError),
        (said(500, "InternalError", "ENOSPC: no space left on device"), BackendUnavailableError),
        (answer(402, {"message": "project is restricted"}), BackendUnavailableError),
        (said(503, "DatabaseReadOnly", "read-only mode"), BackendUnavailableError),
        (said(500, "InternalError", "Internal server error"), BackendUnavailableError),
        (said(423, "ResourceLocked", "The resource is locked"), BackendUnavailableError),
        (said(544, "DatabaseTimeout", "timed out"), BackendUnavailableError),
        (answer(429, {"message": "slow down"}), BackendUnavailableError),
        (answer(404, HTML), BackendUnavailableError),
        (answer(302, b"", location="https://status.example/"), BackendUnavailableError),
    ],
)
def test_what_is_one_images_matter_is_told_from_what_is_the_stores(
    response: httpx.Response, expected: type[ImporterError]
) -> None:
    error = refusal(response).error("imagecache", "image /data/a.bmp")
    assert type(error) is expected, error
    assert "\n" not in str(error)
    if expected is ImageProblemError:
        assert "the bucket imagecache" in str(error)
        assert "image /data/a.bmp" in str(error)
    general = refusal(response).general_error("imagecache")
    assert not isinstance(general, ImageProblemError)
    assert type(general) is (BackendError if expected is ImageProblemError else expected)


def test_a_full_store_is_not_tried_image_by_image() -> None:
    full = refusal(said(507, "InsufficientStorage", "no more")).error("imagecache", "image a")
    assert isinstance(full, BackendUnavailableError)
    assert not full.divisible
    assert "Free space" in str(full)


def test_a_policy_is_not_called_a_wrong_key() -> None:
    refused = refusal(said(403, "Unauthorized", "new row violates row-level security policy"))
    assert refused.is_policy
    assert "a policy of the bucket" in str(refused.error("imagecache", "image a"))
    assert "SUPABASE" not in str(refused.error("imagecache", "image a"))
    assert not refusal(said(403, "Unauthorized", "Invalid Compact JWS")).is_policy


def test_a_bucket_that_was_deleted_is_told_with_what_to_do() -> None:
    message = str(refusal(said(404, "x", "Bucket not found")).error("imagecache", "image a"))
    assert "SUPABASE_URL" not in message
    assert "Run again" in message
    assert "verify --repair" in message


@pytest.mark.parametrize(
    ("response", "duplicate", "missing"),
    [
        (said(409, "Duplicate", "The resource already exists"), True, False),
        (answer(400, {"code": "KeyAlreadyExists", "message": "It already exists"}), True, False),
        (answer(409, HTML), False, False),
        (said(404, "not_found", "Object not found"), False, True),
        (said(400, "NoSuchKey", "Object not found"), False, True),
        (answer(404, HTML), False, False),
        (answer(404, {"message": "no Route matched with those values"}), False, False),
    ],
)
def test_only_storage_itself_says_what_is_there(
    response: httpx.Response, duplicate: bool, missing: bool
) -> None:
    refused = refusal(response)
    assert (refused.is_duplicate, refused.is_missing) == (duplicate, missing)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\0", b"[1, 2]", b"null", b'{"statusCode": []}'])
def test_no_body_is_too_odd(body: bytes) -> None:
    assert refusal(answer(500, body)).error("b", "image a").exit_code == 75
    assert refusal(answer(400, body)).error("b", "image a").exit_code == 1
