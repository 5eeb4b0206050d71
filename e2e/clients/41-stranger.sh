#!/usr/bin/env bash
# A user with no rights here: may neither pull, push, mount nor delete; at home all of it.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story stranger crane skopeo
containers_home
PUSH=(--insecure)
plain || { PUSH=(); export SSL_CERT_FILE="$SEAWALL_CA"; }
crane() { command crane "$@" "${PUSH[@]}"; }

digest="$(make_image "$WORK/image")"
crane auth login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
crane push "$WORK/image" "$IMAGE:1.0"
stranger="stranger$$"
password="$(make_user "$stranger")"
home="$SEAWALL_HOST/$stranger/own"

step 'in the house of somebody else'
crane auth login "$SEAWALL_HOST" --username "$stranger" --password-stdin <<<"$password"
hidden crane pull "$IMAGE:1.0" "$WORK/stolen.tar"
hidden crane push "$WORK/image" "$IMAGE:2.0"
hidden crane push "$WORK/image" "$IMAGE-new:1.0"
hidden crane delete "$IMAGE@$digest"
hidden skopeo inspect "${TLS[@]}" --creds "$stranger:$password" "docker://$IMAGE:1.0"
same digest "$digest" "$(remote_digest "$REPO" 1.0)"

step 'a mount takes nothing that could not be pulled'
layer="$(jq -r '.layers[0].digest' "$WORK/image/blobs/sha256/${digest#*:}")"
status="$("${CURL[@]}" --user "$stranger:$password" --output /dev/null --write-out '%{http_code}' \
    --request POST "$URL/v2/$stranger/own/blobs/uploads/?mount=$layer&from=$REPO")"
[[ "$status" != 201 ]] || fail 'a layer was mounted from a repository that may not be read'

step 'at home'
crane push "$WORK/image" "$home:1.0"
same digest "$digest" "$(crane digest "$home:1.0")"
crane delete "$home@$digest"
gone crane digest "$home:1.0"
