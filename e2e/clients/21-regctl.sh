#!/usr/bin/env bash
# regctl (regclient): chunked push, pull, tags, blobs, delete.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story regctl regctl
if plain; then
    regctl registry set "$SEAWALL_HOST" --skip-check --tls disabled
else
    regctl registry set "$SEAWALL_HOST" --skip-check --cacert "$(cat "$SEAWALL_CA")"
fi
# Small limits, so that a small image already takes the way of the chunks.
regctl registry set "$SEAWALL_HOST" --skip-check --blob-chunk 100000 --blob-max 150000

wanted="$(make_image "$WORK/image" --layers 3 --size 350000)"

step 'a wrong password is refused'
refused regctl registry login "$SEAWALL_HOST" --user "$SEAWALL_USER" --pass wrong

step 'log in and push'
regctl registry login "$SEAWALL_HOST" --user "$SEAWALL_USER" --pass-stdin <<<"$SEAWALL_PASSWORD"
regctl image copy "ocidir://$WORK/image:latest" "$IMAGE:1.0"
same 'digest in the registry' "$wanted" "$(remote_digest "$REPO" 1.0)"

step 'ask'
same digest "$wanted" "$(regctl image digest "$IMAGE:1.0")"
same tags 1.0 "$(regctl tag ls "$IMAGE")"
regctl repo ls "$SEAWALL_HOST" | grep -x "$REPO" || fail 'the catalog does not list the repository'

step 'pull'
regctl image copy "$IMAGE:1.0" "ocidir://$WORK/pulled:latest"
same 'digest of the pull' "$wanted" "$(digest_of "$WORK/pulled")"

step 'copy to another repository (a mount)'
regctl image copy "$IMAGE:1.0" "$IMAGE-copy:1.0"
same 'digest of the copy' "$wanted" "$(regctl image digest "$IMAGE-copy:1.0")"

step 'a blob alone'
head -c 400000 /dev/urandom >"$WORK/blob"
blob="$(regctl blob put "$IMAGE" <"$WORK/blob")"
same 'digest of the blob' "sha256:$(sha256sum <"$WORK/blob" | cut -d' ' -f1)" "$blob"
regctl blob get "$IMAGE" "$blob" | cmp - "$WORK/blob"
regctl blob delete "$IMAGE" "$blob"
gone regctl blob head "$IMAGE" "$blob"

step 'delete a tag, which leaves the others'
regctl image copy "$IMAGE:1.0" "$IMAGE:2.0"
regctl tag delete "$IMAGE:1.0"
gone regctl manifest head "$IMAGE:1.0"
same 'the other tag' "$wanted" "$(regctl image digest "$IMAGE:2.0")"

step 'delete the manifest'
regctl manifest delete "$IMAGE@$wanted"
gone regctl manifest head "$IMAGE:2.0"
