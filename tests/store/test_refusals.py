"""What object stores refuse is said in words that lead on, never in XML."""

from __future__ import annotations

import re
from typing import Any

import pytest

import swarmgrid
from swarmgrid.store.refusals import meaning
from tests.servers.s3 import S3Server


def identity(x: float) -> float:
    return x


CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no bucket": ("s3://no-bucket-of-this-name/x", {}, "no such bucket.*404, NoSuchBucket"),
    "no such key": ("s3://grid/x", {"access_key_id": "nobody"}, "credentials are missing, wrong"),
    "a wrong secret": (
        "s3://grid/x",
        {"secret_access_key": "wrong"},
        "credentials are missing, w",
    ),
    "nobody there": (
        "s3://grid/x",
        {"endpoint": "http://127.0.0.1:1", "retry_config": {"max_retries": 0}},
        "endpoint cannot be reached.*http://127.0.0.1:1",
    ),
    "http": ("s3://grid/x", {"client_options": {}}, "is http, .*'allow_http': True"),
}


@pytest.mark.server
@pytest.mark.parametrize("case", CASES)
def test_a_refusal_of_a_server_says_what_to_do(s3: S3Server, case: str) -> None:
    url, changes, message = CASES[case]
    options = s3.storage_options() | changes
    for call in (swarmgrid.plan, swarmgrid.compute, swarmgrid.open):
        with pytest.raises(swarmgrid.StoreError, match=message) as caught:
            call({}, {"x": [1]}, func=identity, store=url, storage_options=options)
        assert url in str(caught.value)
        assert "<" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status code: 403 Forbidden: <?xml><Error><Code>AccessDenied</Code>", "access is denied"),
        ("Received redirect without LOCATION, this normally indicates ...", "in another region"),
        (
            "Error performing token request: GET http://169.254.169.254/x: 403",
            "credentials are mis",
        ),
        ("status code: 503: <?xml?><Error><Code>SlowDown</Code></Error>", "busy or failing.*503"),
        ("ContainerNotFound: The specified container", "there is no such bucket"),
        ("Something new: <?xml version='1.0'?><Error>...</Error>", "^Exception: Something new$"),
        ("", "^Exception$"),
    ],
)
def test_the_words_of_a_store_have_a_meaning(text: str, expected: str) -> None:

    assert re.search(expected, meaning(Exception(text)))


def test_an_account_that_is_missing_is_named() -> None:
    with pytest.raises(swarmgrid.InputError, match="az://x/y' cannot be .*Account must be spec"):
        swarmgrid.plan({}, {"x": [1]}, func=identity, store="az://x/y")
