#!/usr/bin/env bash
# podman: load, push, pull, an index, and images by digest.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story podman podman
containers_home
# Nothing is run, only moved; so neither systemd nor a journal is needed.
podman() { command podman --cgroup-manager=cgroupfs --events-backend=none "$@"; }

make_image "$WORK/image" --layers 3
config="$(jq -r .config.digest "$WORK/image/blobs/sha256/$(digest_of "$WORK/image" | cut -d: -f2)")"

step 'a wrong password is refused'
refused podman login "${TLS[@]}" --username "$SEAWALL_USER" --password wrong "$SEAWALL_HOST"

step 'log in and push'
podman login "${TLS[@]}" --username "$SEAWALL_USER" --password-stdin "$SEAWALL_HOST" <<<"$SEAWALL_PASSWORD"
same user "$SEAWALL_USER" "$(podman login --get-login "$SEAWALL_HOST")"
podman pull "oci:$WORK/image:latest"
podman tag "${config#*:}" "$IMAGE:1.0"
podman push "${TLS[@]}" --digestfile "$WORK/digest" "$IMAGE:1.0"
# podman compresses the layers anew, so the digest is its own choice.
same 'digest in the registry' "$(cat "$WORK/digest")" "$(remote_digest "$REPO" 1.0)"

step 'pull what is gone here, by tag and by digest'
podman rmi --all --force
podman pull "${TLS[@]}" "$IMAGE:1.0"
same 'image id' "${config#*:}" "$(podman image inspect --format '{{.Id}}' "$IMAGE:1.0")"
podman rmi --all --force
podman pull "${TLS[@]}" "$IMAGE@$(cat "$WORK/digest")"

step 'push a second time, as zstd and as Docker schema 2'
podman tag "${config#*:}" "$IMAGE:2.0"
podman push "${TLS[@]}" "$IMAGE:2.0"
podman push "${TLS[@]}" --format v2s2 "$IMAGE:2.0" "docker://$IMAGE:v2s2"
podman push "${TLS[@]}" --compression-format zstd "$IMAGE:2.0" "docker://$IMAGE:zstd"
podman rmi --all --force
podman pull "${TLS[@]}" "$IMAGE:zstd"

step 'an index'
podman manifest create list
podman manifest add "${TLS[@]}" list "docker://$IMAGE:2.0"
podman manifest push --all "${TLS[@]}" list "docker://$IMAGE:list"
registry GET "/v2/$REPO/manifests/list" "${ACCEPT_ALL[@]}" | jq -e '.manifests | length == 1'

step 'search finds it'
plain || export SSL_CERT_FILE="$SEAWALL_CA" # it has no option for a certificate
podman search "${TLS[0]}" "$SEAWALL_HOST/${REPO##*/}" --format '{{.Name}}' | grep -x "$IMAGE"

step 'log out'
podman logout "$SEAWALL_HOST"
refused podman push "${TLS[@]}" "$IMAGE:zstd"
