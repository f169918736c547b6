"""The meaning of a store's refusal, and the remedy: of an object store, of a file system."""

from __future__ import annotations

import errno
import re

from swarmgrid.errors import StoreError

FROZEN = re.compile(r"InvalidObjectState|BlobArchived")
"""The codes of the refusal to read an object of an archival storage class."""
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")

_KEPT = "and call compute again; what was committed is kept"

_MEANINGS: tuple[tuple[str, str], ...] = (
    (
        r"OOM command not allowed|used memory > 'maxmemory'",
        (
            "the server has no memory left. What was committed is kept; give it more "
            "(CONFIG SET maxmemory ...), or delete what is not needed, and call again"
        ),
    ),
    (
        (
            r"NoSuchBucket|ContainerNotFound|bucket does not exist|bucket was not found"
            r"|status code: 404.*list-type|list-type.*status code: 404"
        ),
        (
            "there is no such bucket or container. Create it, or correct the URL or the endpoint "
            "in storage_options"
        ),
    ),
    (
        (
            r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|AuthenticationFailed"
            r"|InvalidAuthenticationInfo|token request|MissingCredentials|CredentialsError"
            r"|status code: 401|Unauthenticated|metadata endpoint|latest/api/token"
            r"|UnrecognizedClientException|NoCredentials|Unable to locate credentials"
            r"|NOAUTH|WRONGPASS|invalid username-password|Authentication required"
            r"|HELLO must be called with the client already authenticated"
        ),
        (
            "the credentials are missing, wrong or out of date. Pass them in storage_options "
            "(access_key_id and secret_access_key for s3://, service_account_path for gs://, "
            "account_name and account_key for az://, aws_access_key_id and aws_secret_access_key "
            "for dynamodb://, password for redis://), or set them in the environment"
        ),
    ),
    (
        r"InvalidObjectState|BlobArchived",
        (
            "the object is in an archival storage class. Request that it be restored (S3: aws "
            "s3api restore-object; Azure: change its access tier), and read it afterwards"
        ),
    ),
    (
        r"InvalidStorageClass",
        (
            "the server has no such storage class. Pass one of its own as storage_class=, such as "
            "'GLACIER' or 'DEEP_ARCHIVE' of S3"
        ),
    ),
    (
        (
            r"AccessDenied|AuthorizationFailure|AllAccessDisabled|PermissionDenied"
            r"|status code: 403|Forbidden|NOPERM|has no permissions"
        ),
        (
            "access is denied: these credentials may not do this here. Check them, the bucket's "
            "name and its policy; swarmgrid lists, reads, writes and deletes objects"
        ),
    ),
    (
        (
            r"redirect without LOCATION|PermanentRedirect|AuthorizationHeaderMalformed"
            r"|status code: 301|IllegalLocationConstraint"
        ),
        "the bucket is in another region. Pass storage_options={'region': ...}",
    ),
    (
        r"builder error|URL scheme is not allowed",
        (
            "the endpoint is http, which is not allowed by itself. Use https, or pass "
            "storage_options={'client_options': {'allow_http': True}, ...}"
        ),
    ),
    (
        (
            r"error sending request|operation timed out|[Cc]onnection refused|dns error"
            r"|tcp connect|Could not connect to the endpoint|Name or service not known"
            r"|Timeout connecting|nodename nor servname"
        ),
        "the endpoint cannot be reached. Check the network and the endpoint in storage_options",
    ),
    (
        r"Timeout reading from|Read timeout on endpoint",
        (
            "the server does not answer. Check that it is what the URL names, and not overloaded; "
            "what was committed is kept, call again later"
        ),
    ),
    (
        r"DB index is out of range",
        "the server has no database of that number. Most have those from 0 to 15",
    ),
    (
        r"must specify a region",
        "the region is missing. Pass storage_options={'region_name': ...}, or set AWS_REGION",
    ),
    (
        r"does not match the schema|Type mismatch for key",
        (
            "the table is of something else: its partition key must be the text 'store', its sort "
            "key the text 'key'. Name a table that is not there yet, and swarmgrid makes it"
        ),
    ),
    (
        r"READONLY|read only replica",
        "the server is a replica, which cannot be written. Name its primary in the URL",
    ),
    (
        r"MOVED \d+|CROSSSLOT",
        "the server is one of a cluster, and another one has this store. Name that one in the URL",
    ),
    (
        r"unable to open database file|a readonly database|read-only environment",
        (
            "the file cannot be written, or is a folder. Correct the path, or have its owner "
            "change the permissions of the file and of its folder"
        ),
    ),
    (
        r"database is locked",
        (
            "other processes kept the file busy for as long as a write waits. Call again, or "
            "pass storage_options={'timeout': ...} with more seconds; a process that was "
            "stopped in a write has to go on or end"
        ),
    ),
    (
        r"file is not a database|has no column named|no such column",
        "the file is of something else. Name another one; this one was left as it is",
    ),
    (
        r"disk image is malformed",
        (
            "the file is damaged. Bring it back from a copy, or save what can be read: sqlite3 "
            "FILE .recover"
        ),
    ),
    (
        r"database or disk is full|No space left on device",
        f"there is no room left. Free some space, {_KEPT}",
    ),
    (
        r"SlowDown|TooManyRequests|ServiceUnavailable|status code: (429|50[0-9])",
        "the server is busy or failing. What was committed is kept; call again later",
    ),
)
"""Patterns of the texts of stores' errors, and their meanings; the first match counts."""


class FrozenError(StoreError):
    """An object is in an archival storage class, and was not restored yet."""


_ANOTHER = "or pass another folder as store="
_REMEDIES: tuple[tuple[frozenset[int], str], ...] = (
    (frozenset({errno.ENOSPC, errno.EDQUOT}), f"Free some space {_KEPT}"),
    (
        frozenset({errno.EACCES, errno.EPERM}),
        f"Have its owner change the permissions, {_ANOTHER}",
    ),
    (
        frozenset({errno.EROFS}),
        f"The file system is mounted read-only; mount it for writing, {_ANOTHER}",
    ),
    (
        frozenset({errno.EFBIG}),
        f"Raise the limit of the size of files (ulimit -f), or choose smaller chunks, {_KEPT}",
    ),
    (
        frozenset({errno.EMFILE, errno.ENFILE}),
        f"Raise the limit of open files (ulimit -n) {_KEPT}",
    ),
    (
        frozenset({errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}),
        f"Correct the path, {_ANOTHER}",
    ),
)
_ELSE = f"Check the file system {_KEPT}"


def remedy(error: OSError) -> str:
    """The remedy of an error of a file system, as a sentence without its full stop."""
    return next((text for numbers, text in _REMEDIES if error.errno in numbers), _ELSE)


def meaning(error: Exception) -> str:
    """The meaning of a store's error, on one line: its own first line, if that is not known."""
    text = str(error)
    first = re.split(r"\s*(?:<\?xml|<Error|\n)", text, maxsplit=1)[0].strip().rstrip(":")
    for pattern, what in _MEANINGS:
        if re.search(pattern, text, re.DOTALL):
            return f"{what} ({_code(text)})"
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _code(text: str) -> str:
    """The server's own code of the error, in a word or two."""
    code, status = _CODE.search(text), _STATUS.search(text)
    found = [match[1] for match in (status, code) if match is not None]
    if found:
        return ", ".join(found)
    address = re.search(r"https?://[^/\s)?]+", text)
    return address[0] if address is not None else text.split("\n", maxsplit=1)[0][-80:]
