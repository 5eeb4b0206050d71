#!/usr/bin/env bash
# skopeo: push, inspect, pull, copy within the registry, delete.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story skopeo skopeo
containers_home
FROM=("${TLS[@]/#--/--src-}")
TO=("${TLS[@]/#--/--dest-}")

wanted="$(make_image "$WORK/image" --layers 3)"

step 'a wrong password is refused'
refused skopeo login "${TLS[@]}" --username "$SEAWALL_USER" --password wrong "$SEAWALL_HOST"

step 'log in and push'
skopeo login "${TLS[@]}" --username "$SEAWALL_USER" --password-stdin "$SEAWALL_HOST" <<<"$SEAWALL_PASSWORD"
skopeo copy "${TO[@]}" "oci:$WORK/image:latest" "docker://$IMAGE:1.0"
same 'digest in the registry' "$wanted" "$(remote_digest "$REPO" 1.0)"

step 'inspect and list'
same digest "$wanted" "$(skopeo inspect "${TLS[@]}" --format '{{.Digest}}' "docker://$IMAGE:1.0")"
same tags 1.0 "$(skopeo list-tags "${TLS[@]}" "docker://$IMAGE" | jq -r '.Tags[]')"

step 'pull'
skopeo copy "${FROM[@]}" "docker://$IMAGE@$wanted" "oci:$WORK/pulled:latest"
same 'digest of the pull' "$wanted" "$(digest_of "$WORK/pulled")"

step 'push again under another tag, and into another repository (a mount)'
skopeo copy "${TO[@]}" "oci:$WORK/image:latest" "docker://$IMAGE:2.0"
skopeo copy "${FROM[@]}" "${TO[@]}" "docker://$IMAGE:1.0" "docker://$IMAGE-copy:1.0"
same 'digest of the copy' "$wanted" "$(remote_digest "$REPO-copy" 1.0)"

step 'as Docker schema 2'
skopeo copy "${TO[@]}" --format v2s2 "oci:$WORK/image:latest" "docker://$IMAGE:v2s2"
same 'media type' application/vnd.docker.distribution.manifest.v2+json \
    "$(skopeo inspect --raw "${TLS[@]}" "docker://$IMAGE:v2s2" | jq -r .mediaType)"

step 'delete: skopeo deletes the digest, and with it every tag'
skopeo delete "${TLS[@]}" "docker://$IMAGE:1.0"
gone skopeo inspect "${TLS[@]}" "docker://$IMAGE:2.0"
skopeo inspect "${TLS[@]}" "docker://$IMAGE:v2s2" >/dev/null

step 'log out'
skopeo logout "$SEAWALL_HOST"
refused skopeo copy "${TO[@]}" "oci:$WORK/image:latest" "docker://$IMAGE:3.0"
