#!/usr/bin/env bash
# cosign: signatures and attestations by key, as referrers and as tags, offline.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story cosign cosign crane
TLS=(--allow-http-registry)
PUSH=(--insecure)
if ! plain; then
    TLS=("--registry-cacert=$SEAWALL_CA")
    PUSH=()
    export SSL_CERT_FILE="$SEAWALL_CA" # for crane
fi
# Neither the transparency log nor the services that it finds by itself.
OFFLINE=(--tlog-upload=false --use-signing-config=false --yes)
UNLOGGED=(--insecure-ignore-tlog=true)
export COSIGN_PASSWORD=''
cd "$WORK"
cosign generate-key-pair

step 'log in and push'
digest="$(make_image "$WORK/image")"
cosign login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
crane push "${PUSH[@]}" "$WORK/image" "$IMAGE:1.0"
subject="$IMAGE@$digest"

step 'nothing is signed yet'
cosign verify "${TLS[@]}" "${UNLOGGED[@]}" --key cosign.pub "$subject" && fail 'verified without a signature'

step 'sign and verify, the signature being a referrer'
cosign sign "${TLS[@]}" "${OFFLINE[@]}" --key cosign.key "$subject"
cosign verify "${TLS[@]}" "${UNLOGGED[@]}" --key cosign.pub "$subject" >verified.json
same 'signed digest' "$digest" "$(jq -r '.[0].critical.image."docker-manifest-digest"' verified.json)"
same referrers application/vnd.dev.sigstore.bundle.v0.3+json "$(referrer_types "$REPO" "$digest")"

step 'another key does not verify'
cosign generate-key-pair --output-key-prefix other
cosign verify "${TLS[@]}" "${UNLOGGED[@]}" --key other.pub "$subject" && fail 'verified with the wrong key'

step 'an attestation with an SBOM'
echo '{"spdxVersion": "SPDX-2.3", "name": "e2e"}' >sbom.json
cosign attest "${TLS[@]}" "${OFFLINE[@]}" --key cosign.key --type spdxjson --predicate sbom.json "$subject"
cosign verify-attestation "${TLS[@]}" "${UNLOGGED[@]}" --key cosign.pub --type spdxjson "$subject" |
    jq -r .payload | base64 -d | jq -e '.predicate.name == "e2e"'
same 'number of referrers' 2 "$(referrer_types "$REPO" "$digest" | wc -l)"

step 'sign and verify, the signature being a tag (cosign 2 and older)'
cosign sign "${TLS[@]}" "${OFFLINE[@]}" --new-bundle-format=false --key cosign.key "$subject"
cosign verify "${TLS[@]}" "${UNLOGGED[@]}" --new-bundle-format=false --key cosign.pub "$subject"
remote_digest "$REPO" "${digest/:/-}.sig"
cosign tree "${TLS[@]}" "$subject"

step 'a wrong password is refused'
cosign login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password wrong # only writes it down
refused cosign sign "${TLS[@]}" "${OFFLINE[@]}" --key cosign.key "$subject"
