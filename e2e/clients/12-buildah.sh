#!/usr/bin/env bash
# buildah: an image built from nothing, pushed, pulled and built upon.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story buildah buildah
containers_home

step 'a wrong password is refused'
refused buildah login "${TLS[@]}" --username "$SEAWALL_USER" --password wrong "$SEAWALL_HOST"

step 'build, log in and push'
head -c 300000 /dev/urandom >"$WORK/data.bin"
printf 'FROM scratch\nCOPY data.bin /data.bin\nLABEL story=buildah\n' >"$WORK/Containerfile"
buildah build --layers --tag "$IMAGE:1.0" --file "$WORK/Containerfile" "$WORK"
buildah login "${TLS[@]}" --username "$SEAWALL_USER" --password-stdin "$SEAWALL_HOST" <<<"$SEAWALL_PASSWORD"
buildah push "${TLS[@]}" --digestfile "$WORK/digest" "$IMAGE:1.0"
same 'digest in the registry' "$(cat "$WORK/digest")" "$(remote_digest "$REPO" 1.0)"

step 'pull'
id="$(buildah inspect --type image --format '{{.FromImageID}}' "$IMAGE:1.0")"
buildah rmi --all --force
buildah pull "${TLS[@]}" "$IMAGE:1.0"
same 'image id' "$id" "$(buildah inspect --type image --format '{{.FromImageID}}' "$IMAGE:1.0")"

step 'build upon it, with the base from the registry'
buildah rmi --all --force
printf 'FROM %s\nCOPY Containerfile /more\n' "$IMAGE:1.0" >"$WORK/Containerfile"
buildah build "${TLS[@]}" --tag "$IMAGE:2.0" --file "$WORK/Containerfile" "$WORK"
buildah push "${TLS[@]}" "$IMAGE:2.0"
same layers 2 "$(registry GET "/v2/$REPO/manifests/2.0" "${ACCEPT_ALL[@]}" | jq '.layers | length')"

step 'log out'
buildah logout "$SEAWALL_HOST"
refused buildah push "${TLS[@]}" "$IMAGE:2.0"
