#!/usr/bin/env bash
# 20 pushes at once that share four of five layers, half of them into one repository.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story parallel crane
PUSH=(--insecure)
plain || { PUSH=(); export SSL_CERT_FILE="$SEAWALL_CA"; }
crane auth login "$SEAWALL_HOST" --username "$SEAWALL_USER" --password-stdin <<<"$SEAWALL_PASSWORD"

where() { # where NUMBER: a tag of the common repository, or a repository of its own
    if (($1 % 2)); then echo "$REPO:$1"; else echo "$REPO-$1:latest"; fi
}

for number in {1..20}; do
    make_image "$WORK/$number" --seed "parallel-$number" --layers 5 --size 1000000 \
        --shared-seed "parallel-$$" --shared-layers 4
done

step 'push all at once'
pids=()
for number in {1..20}; do
    crane push "${PUSH[@]}" "$WORK/$number" "$SEAWALL_HOST/$(where "$number")" >"$WORK/$number.log" 2>&1 &
    pids+=("$!")
done
for number in {1..20}; do
    wait "${pids[number - 1]}" || { cat "$WORK/$number.log"; fail "push $number failed"; }
done

step 'every image is whole'
for number in {1..20}; do
    place="$(where "$number")"
    same "image $number" "$(digest_of "$WORK/$number")" "$(remote_digest "${place%:*}" "${place#*:}")"
    crane validate "${PUSH[@]}" --remote "$SEAWALL_HOST/$place"
done
same 'tags of the common repository' "$(seq 1 2 19 | sort | xargs)" \
    "$(registry GET "/v2/$REPO/tags/list" | jq -r '.tags[]' | sort | xargs)"
