#!/usr/bin/env bash
# Runs targets of the Makefile one after the other, and says in the end how long each took.
#
#   e2e/parts.sh check unit     stops at the first that fails

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$E2E/.."
TOOK=()

# took NAME SECONDS
took() { printf '%-16s %3d min %02d s' "$1" $(($2 / 60)) $(($2 % 60)); }

tell() {
    printf '\n'
    printf '%s\n' "${TOOK[@]}" "$(took 'all parts' "$SECONDS")"
}
trap tell EXIT

for part in "$@"; do
    begun=$SECONDS
    status=0
    "${MAKE:-make}" --no-print-directory "$part" || status=$?
    TOOK+=("$(took "$part" $((SECONDS - begun)))$( ((status == 0)) || printf '  failed')")
    ((status == 0)) || exit "$status"
done
