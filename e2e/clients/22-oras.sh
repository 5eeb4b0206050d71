#!/usr/bin/env bash
# oras: artifacts of any kind, copies, blobs, delete.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story oras oras
tls_flags --plain-http --ca-file
FROM=("${TLS[@]/#--/--from-}")
TO=("${TLS[@]/#--/--to-}")

wanted="$(make_image "$WORK/image" --layers 3)"
cd "$WORK" # oras pushes relative paths only
head -c 100000 /dev/urandom >data.bin
echo '{"a": 1}' >config.json

step 'a wrong password is refused'
refused oras login "${TLS[@]}" "$SEAWALL_HOST" --username "$SEAWALL_USER" --password wrong

step 'log in, push and pull an artifact'
oras login "${TLS[@]}" "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
oras push "${TLS[@]}" --artifact-type application/vnd.example.data "$IMAGE:data" \
    data.bin:application/octet-stream
oras pull "${TLS[@]}" --output pulled "$IMAGE:data"
cmp data.bin pulled/data.bin

step 'an artifact with a config of its own'
oras push "${TLS[@]}" --config config.json:application/vnd.example.config+json "$IMAGE:config" data.bin
oras manifest fetch-config "${TLS[@]}" "$IMAGE:config" | cmp - config.json

step 'copy an image in and out'
oras cp --from-oci-layout "${TO[@]}" "$WORK/image:latest" "$IMAGE:1.0"
same 'digest in the registry' "$wanted" "$(remote_digest "$REPO" 1.0)"
same 'resolved digest' "$wanted" "$(oras resolve "${TLS[@]}" "$IMAGE:1.0")"
oras cp --to-oci-layout "${FROM[@]}" "$IMAGE:1.0" "$WORK/copied:latest"
same 'digest of the pull' "$wanted" "$(digest_of "$WORK/copied")"
oras cp "${FROM[@]}" "${TO[@]}" "$IMAGE:1.0" "$IMAGE-copy:1.0"
same 'digest of the copy' "$wanted" "$(remote_digest "$REPO-copy" 1.0)"

step 'tags and repositories'
oras tag "${TLS[@]}" "$IMAGE:1.0" 2.0 3.0
same tags '1.0 2.0 3.0 config data' "$(oras repo tags "${TLS[@]}" "$IMAGE" | sort | xargs)"
oras repo ls "${TLS[@]}" "$SEAWALL_HOST" | grep -x "$REPO" || fail 'the catalog does not list the repository'

step 'a blob alone'
blob="sha256:$(sha256sum <config.json | cut -d' ' -f1)"
oras blob push "${TLS[@]}" "$IMAGE-blob@$blob" config.json
oras blob fetch "${TLS[@]}" --output - "$IMAGE-blob@$blob" | cmp - config.json
oras blob delete "${TLS[@]}" --force "$IMAGE-blob@$blob"
gone oras blob fetch "${TLS[@]}" --descriptor "$IMAGE-blob@$blob"

step 'delete'
oras manifest delete "${TLS[@]}" --force "$IMAGE@$wanted"
gone oras resolve "${TLS[@]}" "$IMAGE:2.0"
oras resolve "${TLS[@]}" "$IMAGE:data" >/dev/null

step 'log out'
oras logout "$SEAWALL_HOST"
refused oras push "${TLS[@]}" "$IMAGE:data" data.bin
