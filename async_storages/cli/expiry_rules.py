"""Find lifecycle rules by which a bucket deletes files that rows may still name. Pure."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from async_storages.cli.findings import Finding, Level

__all__ = ["ExpiryRule", "expiry_findings", "expiry_rules_of_gcs", "expiry_rules_of_s3"]

_UPLOADS = "pending/"
"""The folder of direct uploads, unless another one is said: no row names what is in it."""

_NOT_OURS = {
    "customTimeBefore",
    "daysSinceCustomTime",
    "daysSinceNoncurrentTime",
    "noncurrentTimeBefore",
    "numNewerVersions",
}
"""Conditions of GCS that no file of a row fulfils: for former versions, and for a time that only other tools set."""

_REMEDY = (
    "a row that names such a file is left without it: take the rule away, or give it a folder whose files no row names"
)


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """A rule by which the server deletes files.

    Attributes:
        prefix: The beginning of the keys that the rule deletes. Empty for all keys.
        when: The other conditions of the rule, in words.
    """

    prefix: str
    when: str


def expiry_rules_of_s3(rules: Iterable[str]) -> list[ExpiryRule]:
    """Return the rules that delete current versions of objects. Rules with a tag filter are left out.

    Args:
        rules: The XML of each rule, without namespaces.
    """
    found = []
    for each in rules:
        rule = ET.fromstring(each)  # noqa: S314 - it was read and written again
        days, date = rule.findtext("Expiration/Days"), rule.findtext("Expiration/Date")
        if rule.findtext("Status") == "Enabled" and (days or date) and rule.find(".//Tag") is None:
            prefix = next((one.text for one in rule.iter("Prefix")), None) or ""
            found.append(ExpiryRule(prefix, f"after {days} days" if days else f"from {date} on"))
    return found


def expiry_rules_of_gcs(settings: Mapping[str, Any]) -> list[ExpiryRule]:
    """Return the rules that delete live objects.

    Args:
        settings: The bucket, as the JSON API describes it.
    """
    found = []
    for each in settings.get("lifecycle", {}).get("rule", []):
        condition = dict(each.get("condition", {}))
        if each.get("action", {}).get("type") != "Delete" or condition.keys() & _NOT_OURS:
            continue
        if condition.pop("isLive", True):
            prefixes = condition.pop("matchesPrefix", None) or [""]
            age = condition.pop("age", None)
            when = [] if age is None else [f"after {age} days"]
            when += [f"{name} {value}" for name, value in condition.items()]
            found += [ExpiryRule(prefix, ", ".join(when)) for prefix in prefixes]
    return found


def expiry_findings(rules: Iterable[ExpiryRule], folder: str) -> list[Finding]:
    """Return findings about rules that delete files of a storage.

    Args:
        rules: The rules of its bucket.
        folder: The beginning of the storage's keys. Empty for the whole bucket.
    """
    findings = []
    for each in rules:
        if folder.startswith(each.prefix):
            found = f"a lifecycle rule deletes all files {each.when}"
        elif each.prefix.startswith(folder):
            found = f"a lifecycle rule deletes files below {each.prefix!r} {each.when}"
        else:
            continue
        is_meant = each.prefix == f"{folder}{_UPLOADS}"
        level, remedy = (Level.OK, None) if is_meant else (Level.NOTE, _REMEDY)
        findings.append(Finding("expiry", found, level, remedy))
    return findings
