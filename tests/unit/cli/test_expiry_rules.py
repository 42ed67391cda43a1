"""Lifecycle rules that delete files."""

import pytest

from async_storages.cli.expiry_rules import ExpiryRule, expiry_findings, expiry_rules_of_gcs, expiry_rules_of_s3
from async_storages.cli.findings import Level

DAYS = "<Expiration><Days>30</Days></Expiration>"
LARGE = "<ObjectSizeGreaterThan>9</ObjectSizeGreaterThan>"
UPLOADS = "<DaysAfterInitiation>7</DaysAfterInitiation>"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (f"<Filter><Prefix>tmp/</Prefix></Filter>{DAYS}", ("tmp/", "after 30 days")),
        (f"<Filter />{DAYS}", ("", "after 30 days")),
        (f"<Prefix>old</Prefix>{DAYS}", ("old", "after 30 days")),
        (f"<Filter><And><Prefix>a/</Prefix>{LARGE}</And></Filter>{DAYS}", ("a/", "after 30 days")),
        ("<Expiration><Date>2030-01-01</Date></Expiration>", ("", "from 2030-01-01 on")),
        (f"<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>{DAYS}", None),
        ("<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>", None),
        ("<NoncurrentVersionExpiration><NoncurrentDays>9</NoncurrentDays></NoncurrentVersionExpiration>", None),
        (f"<AbortIncompleteMultipartUpload>{UPLOADS}</AbortIncompleteMultipartUpload>", None),
    ],
)
def test_rules_of_s3(rule, expected):
    enabled = f"<Rule><Status>Enabled</Status>{rule}</Rule>"
    assert expiry_rules_of_s3([enabled]) == ([] if expected is None else [ExpiryRule(*expected)])
    assert expiry_rules_of_s3([enabled.replace("Enabled", "Disabled")]) == []


@pytest.mark.parametrize(
    ("action", "condition", "expected"),
    [
        ("Delete", {"age": 30}, [("", "after 30 days")]),
        ("Delete", {"age": 1, "matchesPrefix": ["a/", "b/"]}, [("a/", "after 1 days"), ("b/", "after 1 days")]),
        ("Delete", {"createdBefore": "2024-01-01", "isLive": True}, [("", "createdBefore 2024-01-01")]),
        ("Delete", {"age": 9, "matchesSuffix": [".tmp"]}, [("", "after 9 days, matchesSuffix ['.tmp']")]),
        ("Delete", {"age": 30, "isLive": False}, []),
        ("Delete", {"numNewerVersions": 3}, []),
        ("Delete", {"daysSinceCustomTime": 3}, []),
        ("SetStorageClass", {"age": 30}, []),
        ("AbortIncompleteMultipartUpload", {"age": 7}, []),
    ],
)
def test_rules_of_gcs(action, condition, expected):
    settings = {"lifecycle": {"rule": [{"action": {"type": action}, "condition": condition}]}}
    assert expiry_rules_of_gcs(settings) == [ExpiryRule(*each) for each in expected]


def test_a_bucket_without_rules():
    assert expiry_rules_of_gcs({}) == []


@pytest.mark.parametrize(
    ("prefix", "folder", "expected"),
    [
        ("", "", (Level.NOTE, "a lifecycle rule deletes all files after 9 days")),
        ("do", "docs/", (Level.NOTE, "a lifecycle rule deletes all files after 9 days")),
        ("docs/tmp/", "docs/", (Level.NOTE, "a lifecycle rule deletes files below 'docs/tmp/' after 9 days")),
        ("pending/", "", (Level.OK, "a lifecycle rule deletes files below 'pending/' after 9 days")),
        ("docs/pending/", "docs/", (Level.OK, "a lifecycle rule deletes files below 'docs/pending/' after 9 days")),
        ("logs/", "docs/", None),
    ],
)
def test_rules_for_a_storage(prefix, folder, expected):
    findings = expiry_findings([ExpiryRule(prefix, "after 9 days")], folder)
    assert [(each.level, each.found) for each in findings] == ([] if expected is None else [expected])
    assert all((each.remedy is None) == (each.level is Level.OK) for each in findings)
