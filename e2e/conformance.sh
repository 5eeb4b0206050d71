#!/usr/bin/env bash
# Runs the official OCI conformance program in both its modes, with
# authentication, and demands that every single row is a Pass.
#
#   e2e/conformance.sh http://127.0.0.1:5000 USER [CA-FILE] < file with the password
#
# The password comes from SEAWALL_PASSWORD or the standard input, never from the
# command line, where everybody on the machine could read it.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# -ge 2 && "$1" =~ ^(https?)://(.+)$ ]] ||
    die "usage: e2e/conformance.sh http[s]://HOST:PORT USER [CA-FILE]"
scheme="${BASH_REMATCH[1]}" host="${BASH_REMATCH[2]}" user="$2"
[[ -z "${3:-}" ]] || SSL_CERT_FILE="$(realpath "$3")" # the only way to tell it a CA
[[ -n "${SEAWALL_PASSWORD:-}" ]] || read -r SEAWALL_PASSWORD

need conformance python3
make_work
cd "$WORK" # an oci-conformance.yaml in the current directory would be read

# A blob that is mounted without saying from where is looked for in what is public, and in what the
# token is for: so the repository that it is pushed to is a public one.
publish() {
    local empty=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    at_hand || return 0
    curl --silent --show-error --fail ${SSL_CERT_FILE:+--cacert "$SSL_CERT_FILE"} --config - --output /dev/null \
        --data-binary '' "$scheme://$host/v2/$1/blobs/uploads/?digest=$empty" <<<"user = \"$user:$SEAWALL_PASSWORD\"" &&
        make_public "$1"
}

conformance() {
    local mode="$1" results="$WORK/$1" tls=enabled status=0
    [[ "$scheme" == https ]] || tls=disabled
    publish "$user/conformance-$mode-$$-two" || return 1
    # Only what is named here: a stray OCI_… or legacy variable changes the run.
    timeout 300 env --ignore-environment PATH="$PATH" HOME="$WORK" SSL_CERT_FILE="${SSL_CERT_FILE:-}" \
        OCI_REGISTRY="$host" OCI_TLS="$tls" OCI_VERSION="$mode" OCI_RESULTS_DIR="$results" \
        OCI_USERNAME="$user" OCI_PASSWORD="$SEAWALL_PASSWORD" \
        OCI_REPO1="$user/conformance-$mode-$$-one" OCI_REPO2="$user/conformance-$mode-$$-two" \
        conformance >"$WORK/$mode.log" 2>&1 || status=$?
    if ! python3 "$E2E/conformance_check.py" "$mode" "$results/results.yaml" || ((status != 0)); then
        # The log is long when something fails early: the first reasons tell most.
        grep -E 'level=(WARN|ERROR)' "$WORK/$mode.log" | cut -c1-600 | head -n 40 || true
        tail -n 3 "$WORK/$mode.log"
        echo "the program ended with status $status"
        return 1
    fi
}

bad=0
for mode in 1.1 dev; do
    conformance "$mode" || bad=1
done
exit "$bad"
