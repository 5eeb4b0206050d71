#!/usr/bin/env bash
# crane (go-containerregistry): push, pull, copy, tag, validate, delete.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story crane crane
TLS=(--insecure)
if ! plain; then
    TLS=()
    export SSL_CERT_FILE="$SEAWALL_CA"
fi
crane() { command crane "$@" "${TLS[@]}"; }

wanted="$(make_image "$WORK/image" --layers 3)"

step 'a wrong password is refused'
# `crane auth login` only writes it down; the first request meets the refusal.
crane auth login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password wrong
refused crane push "$WORK/image" "$IMAGE:1.0"

step 'log in and push'
crane auth login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
crane push "$WORK/image" "$IMAGE:1.0"
same 'digest in the registry' "$wanted" "$(remote_digest "$REPO" 1.0)"

step 'ask'
same digest "$wanted" "$(crane digest "$IMAGE:1.0")"
same 'digest of the manifest' "$wanted" "sha256:$(crane manifest "$IMAGE:1.0" | sha256sum | cut -d' ' -f1)"
same tags 1.0 "$(crane ls "$IMAGE")"
crane catalog "$SEAWALL_HOST" | grep -x "$REPO" || fail 'the catalog does not list the repository'
crane validate --remote "$IMAGE:1.0"

step 'pull'
crane pull --format oci "$IMAGE:1.0" "$WORK/pulled"
same 'digest of the pull' "$wanted" "$(digest_of "$WORK/pulled")"
layer="$(crane manifest "$IMAGE:1.0" | jq -r '.layers[0].digest')"
same 'bytes of a layer' "$layer" "sha256:$(crane blob "$IMAGE@$layer" | sha256sum | cut -d' ' -f1)"

step 'tag, and copy to another repository (a mount)'
crane tag "$IMAGE:1.0" 2.0
same tags '1.0 2.0' "$(crane ls "$IMAGE" | sort | xargs)"
crane copy "$IMAGE:1.0" "$IMAGE-copy:1.0"
same 'digest of the copy' "$wanted" "$(crane digest "$IMAGE-copy:1.0")"

step 'add a layer to what is there'
echo more >"$WORK/more.txt"
tar -C "$WORK" -cf "$WORK/more.tar" more.txt
crane append --base "$IMAGE:1.0" --new_layer "$WORK/more.tar" --new_tag "$IMAGE:appended"
same layers 4 "$(crane manifest "$IMAGE:appended" | jq '.layers | length')"

step 'delete'
crane delete "$IMAGE@$wanted"
gone crane digest "$IMAGE:1.0"
gone crane digest "$IMAGE:2.0"
crane digest "$IMAGE:appended" >/dev/null
