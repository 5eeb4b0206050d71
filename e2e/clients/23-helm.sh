#!/usr/bin/env bash
# helm 3: a chart pushed, shown, pulled and rendered from the registry.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story helm helm
tls_flags --plain-http --ca-file
cd "$WORK"
mkdir pulled newest

step 'a wrong password is refused'
refused helm registry login "${TLS[@]}" "$SEAWALL_HOST" --username "$SEAWALL_USER" --password wrong

step 'log in and push'
helm registry login "${TLS[@]}" "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
# Helm takes the repository's name from the chart's.
chart="${REPO##*/}"
helm create "$chart" >/dev/null
helm package "$chart" --version 1.2.3
# A + in a version becomes _ in the tag.
helm package "$chart" --version 1.2.4+build.5
helm push "${TLS[@]}" "$chart-1.2.3.tgz" "oci://$SEAWALL_HOST/$SEAWALL_USER"
helm push "${TLS[@]}" "$chart-1.2.4+build.5.tgz" "oci://$SEAWALL_HOST/$SEAWALL_USER"
remote_digest "$REPO" 1.2.4_build.5

step 'show, pull and render'
same version 'version: 1.2.3' \
    "$(helm show chart "${TLS[@]}" "oci://$IMAGE" --version 1.2.3 | grep '^version:')"
helm pull "${TLS[@]}" "oci://$IMAGE" --version 1.2.3 --destination pulled
cmp "$chart-1.2.3.tgz" "pulled/$chart-1.2.3.tgz"
helm template "${TLS[@]}" release "oci://$IMAGE" --version 1.2.3 | grep 'kind: Deployment'

step 'the newest version of a range, which helm finds by listing tags'
helm pull "${TLS[@]}" "oci://$IMAGE" --version '^1.2.0' --destination newest
cmp "$chart-1.2.4+build.5.tgz" newest/*.tgz

step 'log out'
helm registry logout "$SEAWALL_HOST"
refused helm push "${TLS[@]}" "$chart-1.2.3.tgz" "oci://$SEAWALL_HOST/$SEAWALL_USER"
