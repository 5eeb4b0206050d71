#!/usr/bin/env bash
# A multi-architecture index: pushed whole, every platform pulled, by every way.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story index skopeo crane
containers_home
FROM=("${TLS[@]/#--/--src-}")
TO=("${TLS[@]/#--/--dest-}")
PUSH=(--insecure)
plain || { PUSH=(); export SSL_CERT_FILE="$SEAWALL_CA"; }
PLATFORMS=(linux/amd64 linux/arm64 linux/s390x windows/amd64)

wanted="$(make_image "$WORK/index" "${PLATFORMS[@]/#/--platform=}")"
child() { # child PLATFORM: the digest of its manifest
    jq -r --arg p "$1" '.manifests[] | select(.platform.os + "/" + .platform.architecture == $p).digest' \
        "$WORK/index/blobs/sha256/${wanted#*:}"
}

step 'push'
skopeo login "${TLS[@]}" --username "$SEAWALL_USER" --password-stdin "$SEAWALL_HOST" <<<"$SEAWALL_PASSWORD"
crane auth login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
skopeo copy --all "${TO[@]}" "oci:$WORK/index:latest" "docker://$IMAGE:multi"
same 'digest of the index' "$wanted" "$(remote_digest "$REPO" multi)"

step 'every platform, by choice and by digest'
for platform in "${PLATFORMS[@]}"; do
    digest="$(child "$platform")"
    same "$platform" "$digest" "$(crane digest "${PUSH[@]}" --platform "$platform" "$IMAGE:multi")"
    same "$platform by digest" "$digest" "$(remote_digest "$REPO" "$digest")"
    skopeo copy "${FROM[@]}" --override-os "${platform%/*}" --override-arch "${platform#*/}" \
        "docker://$IMAGE:multi" "oci:$WORK/pulled-${platform/\//-}:latest"
    same "$platform pulled" "$digest" "$(digest_of "$WORK/pulled-${platform/\//-}")"
done

step 'whole, and into another repository'
skopeo copy --all "${FROM[@]}" "docker://$IMAGE:multi" "oci:$WORK/whole:latest"
same 'digest of the pull' "$wanted" "$(digest_of "$WORK/whole")"
crane copy "${PUSH[@]}" "$IMAGE:multi" "$IMAGE-copy:multi"
same 'digest of the copy' "$wanted" "$(remote_digest "$REPO-copy" multi)"
crane validate "${PUSH[@]}" --remote "$IMAGE-copy:multi"

step 'an index of an image that is not there is refused'
absent="sha256:$(printf '0%.0s' {1..64})"
status="$("${CURL[@]}" --user "$SEAWALL_USER:$SEAWALL_PASSWORD" --output "$WORK/answer" --write-out '%{http_code}' \
    --request PUT --header 'Content-Type: application/vnd.oci.image.index.v1+json' \
    --data "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{
        \"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"$absent\",\"size\":2}]}" \
    "$URL/v2/$REPO/manifests/broken")"
cat "$WORK/answer"
[[ "$status" == 4* ]] || fail "answered $status"
