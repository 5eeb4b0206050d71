#!/usr/bin/env python3
"""Judges the results.yaml of the OCI conformance program, strictly.

The program itself is forgiving: a Skip does not fail it, and a mistake in its
configuration ends it with exit status 0 and no results at all. Here every row
must be present and say Pass, except those that the mode disables by itself,
which must say Disabled.

    conformance_check.py 1.1|dev results.yaml
"""

import sys

APIS = (
    "Blob anonymous mount", "Blob chunked", "Blob delete", "Blob delete atomic", "Blob get",
    "Blob get range", "Blob head", "Blob mount", "Blob post only", "Blob post put", "Blob push",
    "Blob streaming", "Blob upload cancel", "Manifest delete", "Manifest delete atomic",
    "Manifest get by digest", "Manifest get by tag", "Manifest head by digest",
    "Manifest head by tag", "Manifest put by digest", "Manifest put by tag",
    "Manifest put with subject", "Manifest put with tag params", "Ping", "Referrers",
    "Tag delete", "Tag delete atomic", "Tag listing",
)
DATA = (
    "Artifact", "Artifact Index", "Artifact without Layers", "Artifacts with Subject",
    "Bad Digest Image", "Blobs sha256", "Blobs sha512", "Custom Fields", "Data Field",
    "Digest Algorithm sha512", "Empty Index", "Image", "Image Uncompressed",
    "Image with Large Manifest", "Index", "Index with Subject", "Invalid Manifest Digest",
    "Missing Subject", "Nested Index", "No Layers", "Non-distributable Layers",
    "Sparse Manifests", "Tag Param", "Tag Param sha512",
)
ROWS = [("apis", name) for name in APIS] + [("data", name) for name in DATA]

# Sparse manifests lack blobs; a registry that refuses missing blobs fails them.
DISABLED = {
    "dev": {"Sparse Manifests"},
    "1.1": {
        "Sparse Manifests", "Blob upload cancel", "Manifest put with tag params",
        "Tag Param", "Tag Param sha512",
    },
}


def parse(text):
    """Returns {(section, row): status} and the version of the specification tested.

    The file is YAML, of which these parts use one shape only: `section:` at the
    margin, `  row: status` below it.
    """
    results, version, section = {}, None, None
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section = line.rstrip(":")
        elif section == "config" and line.startswith("  version: "):
            version = line.partition(": ")[2].strip("\"' ")
        elif section in ("apis", "data") and line.startswith("  ") and ": " in line:
            name, _, status = line.strip().rpartition(": ")
            results[section, name.strip("\"'")] = status.strip("\"'")
    return results, version


def judge(mode, text):
    """Returns the lines of a table, and the complaints: none means conformant."""
    results, version = parse(text)
    table, complaints = [], []
    if version != mode:
        complaints.append("tested version %r instead of %r" % (version, mode))
    for row in ROWS:
        wanted = "Disabled" if row[1] in DISABLED[mode] else "Pass"
        got = results.pop(row, "missing")
        table.append("%-4s  %-30s %-8s%s" % (*row, got, "" if got == wanted else "  <-- want " + wanted))
        if got != wanted:
            complaints.append("%s / %s: %s instead of %s" % (*row, got, wanted))
    for row, status in results.items():
        complaints.append("%s / %s: %s, a row that is not known here" % (*row, status))
    return table, complaints


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in DISABLED:
        sys.exit("usage: conformance_check.py 1.1|dev results.yaml")
    mode, path = arguments
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        sys.exit("no results: %s" % error)
    table, complaints = judge(mode, text)
    print("\n".join(table))
    for complaint in complaints:
        print("BAD " + complaint)
    print("OCI %s: %d rows, %d bad" % (mode, len(table), len(complaints)))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
