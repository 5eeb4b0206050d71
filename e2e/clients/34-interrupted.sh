#!/usr/bin/env bash
# Pushes that are cut: a chunked upload is taken up again, an image push repeated.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story interrupted crane
PUSH=(--insecure)
plain || { PUSH=(); export SSL_CERT_FILE="$SEAWALL_CA"; }

SIZE=8000000
HALF=$((SIZE / 2))
head -c "$SIZE" /dev/urandom >"$WORK/blob"
digest="sha256:$(sha256sum <"$WORK/blob" | cut -d' ' -f1)"
head -c "$HALF" "$WORK/blob" >"$WORK/first-half"

# upload METHOD LOCATION [CURL-OPTION...]: a request to the session. Leaves the
# status in STATUS, the next location in LOCATION, the bytes that the registry
# says it has in HELD.
upload() {
    local method="$1" location="$2" headers="$WORK/headers" range
    shift 2
    [[ "$location" == http* ]] || location="$URL$location"
    STATUS="$("${CURL[@]}" --user "$SEAWALL_USER:$SEAWALL_PASSWORD" --request "$method" \
        --dump-header "$headers" --output "$WORK/answer" --write-out '%{http_code}' "$@" "$location")" || true
    LOCATION="$(sed -n 's/^location: *\([^[:space:]]*\).*/\1/ip' "$headers" | tail -n 1)"
    range="$(sed -n 's/^range: *0-\([0-9]*\).*/\1/ip' "$headers" | tail -n 1)"
    HELD=0 # an empty session says 0-0 as well: the last byte is inclusive
    [[ -z "$range" || "$range" == 0 ]] || HELD=$((range + 1))
    echo "$method: $STATUS, $HELD bytes held"
}
chunk() { # chunk FROM-BYTE: what is left, as curl options
    tail -c +$(($1 + 1)) "$WORK/blob" >"$WORK/rest"
    printf '%s\n' --header "Content-Range: $1-$((SIZE - 1))" \
        --header 'Content-Type: application/octet-stream' --data-binary "@$WORK/rest"
}

step 'the first half arrives'
upload POST "/v2/$REPO/blobs/uploads/"
same status 202 "$STATUS"
upload PATCH "$LOCATION" --header "Content-Range: 0-$((HALF - 1))" \
    --header 'Content-Type: application/octet-stream' --data-binary "@$WORK/first-half"
same status 202 "$STATUS"
same 'bytes held' "$HALF" "$HELD"
session="$LOCATION"

step 'the connection dies within the second half'
mapfile -t options < <(chunk "$HALF")
timeout --signal=KILL 2 "${CURL[@]}" --limit-rate 500k --user "$SEAWALL_USER:$SEAWALL_PASSWORD" \
    --request PATCH "${options[@]}" "$([[ "$session" == http* ]] || echo "$URL")$session" &&
    fail 'the connection did not die'

step 'the session knows how far it came'
# The registry may notice the broken connection a little later than we do.
for _ in {1..50}; do
    upload GET "$session"
    [[ "$STATUS" != 204 ]] || break
    sleep 0.1
done
same status 204 "$STATUS"
((HELD >= HALF && HELD < SIZE)) || fail "says that it holds $HELD bytes"
session="$LOCATION"

step 'a chunk that leaves a gap is refused'
upload PATCH "$session" --header "Content-Range: $((HELD + 1000))-$((HELD + 1999))" \
    --header 'Content-Type: application/octet-stream' --data-binary "@$WORK/first-half"
[[ "$STATUS" == 416 || "$STATUS" == 400 ]] || fail "answered $STATUS"

step 'the rest, and the end'
upload GET "$session"
mapfile -t options < <(chunk "$HELD")
upload PATCH "$LOCATION" "${options[@]}"
same status 202 "$STATUS"
same 'bytes held' "$SIZE" "$HELD"
upload PUT "$LOCATION$([[ "$LOCATION" == *\?* ]] && echo '&' || echo '?')digest=$digest"
same status 201 "$STATUS"
same 'bytes stored' "$digest" \
    "sha256:$(registry GET "/v2/$REPO/blobs/$digest" --location | sha256sum | cut -d' ' -f1)"

step 'a client is killed while it pushes, and simply starts again'
crane auth login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
wanted="$(make_image "$WORK/image" --layers 4 --size 40000000)"
killed=
for seconds in 0.8 0.4 0.2 0.1 0.05; do # until one of them is too short for this machine
    status=0
    timeout --signal=KILL "$seconds" crane push "${PUSH[@]}" "$WORK/image" "$IMAGE:$seconds" || status=$?
    ((status == 0)) || { killed="$seconds"; break; }
    # It came through. Give the next attempt something to do.
    wanted="$(make_image "$WORK/image" --seed "$seconds" --layers 4 --size 40000000)"
done
[[ -n "$killed" ]] || fail 'no push could be killed in time'
gone crane digest "${PUSH[@]}" "$IMAGE:$killed"
crane push "${PUSH[@]}" "$WORK/image" "$IMAGE:again"
same digest "$wanted" "$(remote_digest "$REPO" again)"
crane validate "${PUSH[@]}" --remote "$IMAGE:again"
