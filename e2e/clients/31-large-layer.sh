#!/usr/bin/env bash
# A layer of 2 GiB: pushed as one stream, read back whole and in part.
# Only over: http
# Time limit: 400 s
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story large-layer crane
CURL+=(--max-time 200)

make_image "$WORK/image" --layers 1 --size $((2 << 30))
blob="$(jq -r '.layers[0].digest' "$WORK/image/blobs/sha256/$(digest_of "$WORK/image" | cut -d: -f2)")"
file="$WORK/image/blobs/sha256/${blob#*:}"
size="$(stat --format %s "$file")"

step "push $size bytes"
started=$SECONDS
crane auth login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
crane push --insecure "$WORK/image" "$IMAGE:large"
echo "pushed in $((SECONDS - started)) s"
same digest "$(digest_of "$WORK/image")" "$(remote_digest "$REPO" large)"

step 'pull'
started=$SECONDS
same 'bytes pulled' "${blob#*:}" "$(registry GET "/v2/$REPO/blobs/$blob" --location | sha256sum | cut -d' ' -f1)"
echo "pulled in $((SECONDS - started)) s"

step 'the last part only, from beyond what 31 bits can count'
registry GET "/v2/$REPO/blobs/$blob" --location --header "Range: bytes=$((size - 1000))-" >"$WORK/tail"
tail -c 1000 "$file" | cmp - "$WORK/tail"

step 'a second push has nothing to send'
started=$SECONDS
crane push --insecure "$WORK/image" "$IMAGE:again" 2>&1 | tee "$WORK/push.log"
((SECONDS - started < 20)) || fail "took $((SECONDS - started)) s"
