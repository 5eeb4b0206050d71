#!/usr/bin/env bash
# Without credentials: nothing of a private repository, pulls of a public one.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story anonymous skopeo crane regctl oras podman
containers_home
FROM=("${TLS[@]/#--/--src-}")
TO=("${TLS[@]/#--/--dest-}")
CRANE=(--insecure)
ORAS=(--plain-http)
regctl registry set "$SEAWALL_HOST" --skip-check --tls "$(plain && echo disabled || echo enabled)"
if ! plain; then
    CRANE=()
    ORAS=(--ca-file "$SEAWALL_CA")
    regctl registry set "$SEAWALL_HOST" --skip-check --cacert "$(cat "$SEAWALL_CA")"
    export SSL_CERT_FILE="$SEAWALL_CA" # for crane
fi
# Nobody logs in here: only this one push carries credentials.
digest="$(make_image "$WORK/image")"
skopeo copy "${TO[@]}" --dest-creds "$SEAWALL_USER:$SEAWALL_PASSWORD" \
    "oci:$WORK/image:latest" "docker://$IMAGE:1.0"

step 'a private repository is closed, and looks like one that does not exist'
refused skopeo inspect --no-creds "${TLS[@]}" "docker://$IMAGE:1.0"
refused crane "${CRANE[@]}" manifest "$IMAGE:1.0"
refused oras pull "${ORAS[@]}" "$IMAGE:1.0"
answer() {
    "${CURL[@]}" --output /dev/null --write-out '%{http_code}' "$URL/v2/$1/manifests/1.0"
}
same 'status for nobody' 401 "$(answer "$REPO")"
same 'status for nobody' 401 "$(answer "$REPO-absent")"
"${CURL[@]}" "$URL/v2/_catalog" | grep -F "$REPO" && fail 'the catalog gives it away'

step 'public'
make_public "$REPO"
same skopeo "$digest" "$(skopeo inspect --no-creds "${TLS[@]}" --format '{{.Digest}}' "docker://$IMAGE:1.0")"
skopeo copy --src-no-creds "${FROM[@]}" "docker://$IMAGE:1.0" "oci:$WORK/pulled:latest"
same 'digest of the pull' "$digest" "$(digest_of "$WORK/pulled")"
crane "${CRANE[@]}" validate --remote "$IMAGE:1.0"
same crane 1.0 "$(crane "${CRANE[@]}" ls "$IMAGE")"
regctl image copy "$IMAGE:1.0" "ocidir://$WORK/regctl:latest"
oras cp --to-oci-layout "${ORAS[@]/#--/--from-}" "$IMAGE:1.0" "$WORK/oras:latest"
podman --cgroup-manager=cgroupfs --events-backend=none pull "${TLS[@]}" "$IMAGE:1.0"

step 'public to read, not to write'
refused skopeo copy --dest-no-creds "${TO[@]}" "oci:$WORK/image:latest" "docker://$IMAGE:2.0"
refused crane "${CRANE[@]}" push "$WORK/image" "$IMAGE:2.0"
refused crane "${CRANE[@]}" delete "$IMAGE@$digest"
refused oras push "${ORAS[@]}" --disable-path-validation "$IMAGE:2.0" "$WORK/image/index.json"
same digest "$digest" "$(remote_digest "$REPO" 1.0)"
gone remote_digest "$REPO" 2.0
