#!/usr/bin/env bash
# An image of 60 layers, by two clients with different habits.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story many-layers skopeo crane
containers_home
PUSH=(--insecure)
plain || { PUSH=(); export SSL_CERT_FILE="$SEAWALL_CA"; }

wanted="$(make_image "$WORK/image" --layers 60 --size 50000)"
skopeo login "${TLS[@]}" --username "$SEAWALL_USER" --password-stdin "$SEAWALL_HOST" <<<"$SEAWALL_PASSWORD"
crane auth login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"

step 'crane pushes, skopeo pulls'
crane push "${PUSH[@]}" "$WORK/image" "$IMAGE:crane"
same digest "$wanted" "$(remote_digest "$REPO" crane)"
skopeo copy "${TLS[@]/#--/--src-}" "docker://$IMAGE:crane" "oci:$WORK/pulled:latest"
same 'digest of the pull' "$wanted" "$(digest_of "$WORK/pulled")"
same 'blobs pulled' 62 "$(find "$WORK/pulled/blobs/sha256" -type f | wc -l)"

step 'skopeo pushes into another repository, crane pulls'
skopeo copy "${TLS[@]/#--/--dest-}" "oci:$WORK/image:latest" "docker://$IMAGE-other:skopeo"
crane pull "${PUSH[@]}" --format oci "$IMAGE-other:skopeo" "$WORK/pulled-2"
same 'digest of the pull' "$wanted" "$(digest_of "$WORK/pulled-2")"
