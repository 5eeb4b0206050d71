#!/usr/bin/env bash
# An SBOM and an attestation attached to an image, and found again by referrers.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story referrers oras regctl
tls_flags --plain-http --ca-file
if plain; then
    regctl registry set "$SEAWALL_HOST" --skip-check --tls disabled
else
    regctl registry set "$SEAWALL_HOST" --skip-check --cacert "$(cat "$SEAWALL_CA")"
fi
SBOM=application/spdx+json
ATTESTATION=application/vnd.in-toto+json
cd "$WORK"
oras login "${TLS[@]}" "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"
regctl registry login "$SEAWALL_HOST" --user "$SEAWALL_USER" --pass-stdin <<<"$SEAWALL_PASSWORD"

digest="$(make_image image)"
oras cp --from-oci-layout "${TLS[@]/#--/--to-}" image:latest "$IMAGE:1.0"

step 'no referrers are an empty index, not an absence'
registry GET "/v2/$REPO/referrers/$digest" | jq -e '.manifests == []'

step 'oras attaches an SBOM, regctl an attestation'
echo '{"spdxVersion": "SPDX-2.3"}' >sbom.json
echo '{"_type": "https://in-toto.io/Statement/v1"}' >attestation.json
oras attach "${TLS[@]}" --artifact-type "$SBOM" --annotation e2e=yes "$IMAGE@$digest" "sbom.json:$SBOM"
regctl artifact put --artifact-type "$ATTESTATION" --subject "$IMAGE@$digest" \
    --file attestation.json --file-media-type "$ATTESTATION"
same referrers "$SBOM $ATTESTATION" "$(referrer_types "$REPO" "$digest" | xargs)"

step 'an annotation comes back with the list'
registry GET "/v2/$REPO/referrers/$digest" |
    jq -e --arg t "$SBOM" '.manifests[] | select(.artifactType == $t).annotations.e2e == "yes"'

step 'both clients list both, and either by its type'
oras discover "${TLS[@]}" --format json "$IMAGE@$digest" >discovered.json
same 'oras discover' "$SBOM $ATTESTATION" \
    "$(jq -r '(.referrers // .manifests)[].artifactType' discovered.json | sort | xargs)"
same 'regctl artifact list' 2 "$(regctl artifact list --format '{{len .Descriptors}}' "$IMAGE@$digest")"
same 'by type' "$SBOM" "$(oras discover "${TLS[@]}" --artifact-type "$SBOM" --format json "$IMAGE@$digest" |
    jq -r '(.referrers // .manifests)[].artifactType')"
same 'by type' 1 "$(regctl artifact list --filter-artifact-type "$ATTESTATION" \
    --format '{{len .Descriptors}}' "$IMAGE@$digest")"
registry GET "/v2/$REPO/referrers/$digest?artifactType=${SBOM/+/%2B}" --dump-header headers |
    jq -e '.manifests | length == 1'
grep -i '^oci-filters-applied:.*artifactType' headers

step 'no tag was needed for it'
same tags 1.0 "$(oras repo tags "${TLS[@]}" "$IMAGE")"

step 'the contents'
sbom="$(jq -r --arg t "$SBOM" '(.referrers // .manifests)[] | select(.artifactType == $t).digest' discovered.json)"
oras pull "${TLS[@]}" --output pulled "$IMAGE@$sbom"
cmp sbom.json pulled/sbom.json
regctl artifact get --subject "$IMAGE@$digest" --filter-artifact-type "$ATTESTATION" | cmp - attestation.json

step 'a signature of the SBOM: referrers of referrers, copied as a tree'
oras attach "${TLS[@]}" --artifact-type application/vnd.example.signature "$IMAGE@$sbom" attestation.json
oras cp -r "${TLS[@]/#--/--from-}" "${TLS[@]/#--/--to-}" "$IMAGE:1.0" "$IMAGE-copy:1.0"
same 'referrers of the copy' "$SBOM $ATTESTATION" "$(referrer_types "$REPO-copy" "$digest" | xargs)"
same 'referrers of its SBOM' application/vnd.example.signature "$(referrer_types "$REPO-copy" "$sbom")"

step 'a referrer may come before its subject'
late="$(make_image late --seed "late-$$")"
size="$(jq '.manifests[0].size' late/index.json)"
printf '{}' >empty.json
oras blob push "${TLS[@]}" "$IMAGE@sha256:$(sha256sum <empty.json | cut -d' ' -f1)" empty.json
jq -n --arg d "$late" --argjson s "$size" --arg e "sha256:$(sha256sum <empty.json | cut -d' ' -f1)" '
    {schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
     artifactType: "application/vnd.example.early",
     config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $e, size: 2},
     layers: [{mediaType: "application/vnd.oci.empty.v1+json", digest: $e, size: 2}],
     subject: {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s}}' >early.json
oras manifest push "${TLS[@]}" "$IMAGE" early.json
same 'referrers of what is not there' application/vnd.example.early "$(referrer_types "$REPO" "$late")"
oras cp --from-oci-layout "${TLS[@]/#--/--to-}" late:latest "$IMAGE:late"
same 'referrers of what came late' application/vnd.example.early "$(referrer_types "$REPO" "$late")"

step 'a deleted referrer is not listed any more'
oras manifest delete "${TLS[@]}" --force "$IMAGE@$sbom"
same referrers "$ATTESTATION" "$(referrer_types "$REPO" "$digest")"
