# Shared by every script of e2e/. Sourced, never run.
#
# It knows three things: where the tools live, how a story gets a private home
# that vanishes afterwards, and how to ask the registry a question without any
# of the clients under test. A script that sources it runs in strict mode.
# shellcheck shell=bash
# shellcheck disable=SC2034 # REPO, IMAGE, TLS and others are for who sources this
set -euo pipefail

E2E="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# Fixed before any story replaces HOME, and exported so that children agree.
export SEAWALL_TOOLS="${SEAWALL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/seawall}"
export LC_ALL=C # the same order of `sort` for everybody
# Debian keeps daemons in sbin, which an ordinary user's PATH leaves out.
export PATH="$SEAWALL_TOOLS/bin:$PATH:/usr/sbin:/sbin"

note() { printf '%s\n' "-- $*" >&2; }
die() { printf '%s\n' "error: $*" >&2; exit 1; }

need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || die "$command is not installed; run e2e/setup.sh"
    done
}

free_port() {
    python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_until SECONDS COMMAND...: true as soon as the command succeeds.
wait_until() {
    local tries=$(($1 * 10))
    shift
    while ! "$@" >/dev/null 2>&1; do
        ((tries-- > 0)) || return 1
        sleep 0.1
    done
}

# background NAME COMMAND...: a helper process of this script, ended by stop_all.
# Its output goes to $WORK/NAME.log. The kernel ends it as well should this
# script die without running its trap.
BACKGROUND_PIDS=()
background() {
    local name="$1"
    shift
    setpriv --pdeathsig TERM "$@" >"$WORK/$name.log" 2>&1 &
    BACKGROUND_PIDS+=("$!")
}

stop_all() {
    local i pid
    # Newest first: what was started last may need what was started before it.
    for ((i = ${#BACKGROUND_PIDS[@]} - 1; i >= 0; i--)); do
        pid="${BACKGROUND_PIDS[i]}"
        kill "$pid" 2>/dev/null || continue
        wait_until 15 is_gone "$pid" || kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    BACKGROUND_PIDS=()
}

# A child that has ended but was not waited for is a zombie, which is gone for us.
is_gone() {
    local state
    state="$(ps -o stat= -p "$1" 2>/dev/null)" || return 0
    [[ -z "$state" || "$state" == Z* ]]
}

# make_work: a private directory $WORK, removed with everything in it at the end.
make_work() {
    # Not mktemp: its upper-case letters end up in image names, which may have none.
    WORK="${TMPDIR:-/tmp}/seawall-e2e.$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
    mkdir -m 700 "$WORK"
    trap 'finish $?' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

finish() {
    local status="$1"
    trap - EXIT
    stop_all
    # A dead daemon may leave mounts below its root; they would block the removal.
    local mount
    while read -r mount; do
        umount -l "$mount" 2>/dev/null || true
    done < <(awk -v dir="$WORK/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r)
    rm -rf -- "$WORK" 2>/dev/null || true
    exit "$status"
}

# ---- stories ---------------------------------------------------------------

# story NAME [COMMAND...]: opens a story that needs these commands.
# Every place where a client keeps state is moved below $WORK, so that no story
# sees the logins, images or keys of another one, or of the person at the machine.
story() {
    STORY="$1"
    shift
    : "${SEAWALL_HOST:?host:port}" "${SEAWALL_SCHEME:?http or https}"
    : "${SEAWALL_USER:?}" "${SEAWALL_PASSWORD:?}"
    [[ "$SEAWALL_SCHEME" == http ]] || : "${SEAWALL_CA:?the CA certificate, for https}"
    need "$@"
    make_work
    export HOME="$WORK/home"
    export XDG_RUNTIME_DIR="$WORK/run" XDG_CONFIG_HOME="$HOME/.config"
    export XDG_CACHE_HOME="$HOME/.cache" XDG_DATA_HOME="$HOME/.local/share"
    export DOCKER_CONFIG="$HOME/.docker" REGISTRY_AUTH_FILE="$WORK/run/auth.json"
    mkdir -p "$DOCKER_CONFIG" "$XDG_CONFIG_HOME" "$XDG_CACHE_HOME" "$XDG_DATA_HOME"
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    echo '{}' >"$REGISTRY_AUTH_FILE" # podman wants the file that it is told of
    # A name per run: a story may be repeated against a registry that remembers.
    REPO="$SEAWALL_USER/e2e-$STORY-$$"
    IMAGE="$SEAWALL_HOST/$REPO"
    URL="$SEAWALL_SCHEME://$SEAWALL_HOST"
    CURL=(curl --silent --show-error --max-time 60)
    if [[ "$SEAWALL_SCHEME" == https ]]; then
        CURL+=(--cacert "$SEAWALL_CA")
    fi
}

plain() { [[ "$SEAWALL_SCHEME" == http ]]; }

# step TEXT: says where a story is; a failure is the last step in its log.
# In a pipe, look with `grep` and never with `grep -q`: that one stops reading, and
# pipefail then blames the client for the broken pipe.
step() { printf '\n== %s\n' "$*"; }

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

same() { # same WHAT WANTED GOT
    [[ "$2" == "$3" ]] || fail "$1: wanted '$2', got '$3'"
    printf 'same %s: %s\n' "$1" "$2"
}

# Whole numbers only: a port or a digest may hold 401 by chance. And not a bare
# "unknown", which is what a client says of a flag or of a certificate authority.
REFUSAL='unauthori[sz]ed|authentication required|credential not found|access denied|denied:|forbidden|\b40[13]\b'
REFUSAL+='|no basic auth|insufficient_scope|(invalid|incorrect|bad) (username|credentials)'
ABSENCE='not found|(manifest|blob|name|repository|tag)[ _]unknown|\b404\b'

# must_fail PATTERN WHY COMMAND...: the registry must say no, in words like these.
# Any other failure (no connection, a crash, a timeout) is a failure of the story.
must_fail() {
    local pattern="$1" why="$2" log="$WORK/must-fail.log"
    shift 2
    if "$@" >"$log" 2>&1 </dev/null; then
        cat "$log"
        fail "succeeded, but should not ($why): $*"
    fi
    cat "$log"
    grep -Eiq "$pattern" "$log" || fail "failed for another reason than $why: $*"
}

refused() { must_fail "$REFUSAL" 'missing rights' "$@"; }
gone() { must_fail "$ABSENCE" absence "$@"; }
# Who may not even know of a thing is told that there is none.
hidden() { must_fail "$REFUSAL|$ABSENCE" 'missing rights or absence' "$@"; }

# make_image DIRECTORY [OPTION...]: an OCI layout of random layers, see make_image.py.
# The seed is the story's, so that two stories never share a layer by accident.
make_image() {
    python3 "$E2E/make_image.py" --seed "$STORY" "$@"
}

# digest_of DIRECTORY: of the manifest or index that a layout holds under its one tag.
digest_of() { jq -r '.manifests[0].digest' "$1/index.json"; }

# registry METHOD PATH [CURL-OPTION...]: asks the registry itself, as the user,
# without any client in between.
registry() {
    local method="$1" path="$2"
    shift 2
    "${CURL[@]}" --fail-with-body --user "$SEAWALL_USER:$SEAWALL_PASSWORD" \
        --request "$method" "$@" "$URL$path"
}

ACCEPT_ALL=(
    --header 'Accept: application/vnd.oci.image.index.v1+json'
    --header 'Accept: application/vnd.oci.image.manifest.v1+json'
    --header 'Accept: application/vnd.docker.distribution.manifest.list.v2+json'
    --header 'Accept: application/vnd.docker.distribution.manifest.v2+json'
)

# remote_digest REPOSITORY REFERENCE: of the bytes that the registry serves,
# computed here rather than believed.
remote_digest() {
    local body="$WORK/remote-manifest"
    registry GET "/v2/$1/manifests/$2" "${ACCEPT_ALL[@]}" --output "$body" || return
    printf 'sha256:%s\n' "$(sha256sum <"$body" | cut -d' ' -f1)"
}

# referrer_types REPOSITORY DIGEST: what the referrers API itself says, since the
# clients fall back to tags without a word when a registry does not know it.
referrer_types() {
    registry GET "/v2/$1/referrers/$2" | jq -r '.manifests[].artifactType' | sort
}

# api METHOD PATH [JSON]: the REST API, which wants a session as a browser has it.
api() {
    local jar="$WORK/cookies" headers="$WORK/api-headers" token
    token="$("${CURL[@]}" --fail --cookie-jar "$jar" "$URL/csrf_token" | jq -r .csrf_token)" || return
    "${CURL[@]}" --fail-with-body --cookie "$jar" --cookie-jar "$jar" --dump-header "$headers" \
        --header "X-CSRF-Token: $token" --header 'Content-Type: application/json' \
        --data "$(jq -n --arg u "$SEAWALL_USER" --arg p "$SEAWALL_PASSWORD" '{username: $u, password: $p}')" \
        "$URL/api/v1/signin" >/dev/null || return
    # A sign-in changes the token and says so in its answer.
    token="$(sed -n 's/^x-next-csrf-token: *\([^[:space:]]*\).*/\1/ip' "$headers" | tail -n 1)"
    "${CURL[@]}" --fail-with-body --cookie "$jar" --header "X-CSRF-Token: $token" \
        --header 'Content-Type: application/json' --request "$1" ${3:+--data "$3"} "$URL$2"
}

# The operator's way where the program and its data are at hand, else the API's.
operator() { "$SEAWALL_BIN" "$@" --data "$SEAWALL_DATA"; }
at_hand() { [[ -n "${SEAWALL_BIN:-}" && -n "${SEAWALL_DATA:-}" ]]; }

# make_public REPOSITORY: lets everybody pull it.
make_public() {
    if at_hand; then
        operator repo visibility "$1" public
    else
        api POST "/api/v1/repository/$1/changevisibility" '{"visibility": "public"}' >/dev/null
    fi
}

# make_user NAME: creates an account without any right, and prints its password.
make_user() {
    local password="made-for-$1"
    if at_hand; then
        operator user add "$1" --password-stdin <<<"$password" >&2
        echo "$password"
    else
        api POST /api/v1/superuser/users/ "{\"username\": \"$1\", \"email\": \"$1@example.com\"}" | jq -er .password
    fi
}

# tls_flags PLAIN-FLAG CA-FLAG: what a client needs to reach the registry at all.
# Sets TLS; a CA flag that ends in = takes its value in the same word.
tls_flags() {
    if plain; then
        TLS=("$1")
    elif [[ "$2" == *= ]]; then
        TLS=("$2$SEAWALL_CA")
    else
        TLS=("$2" "$SEAWALL_CA")
    fi
}

# The tools of the containers/image family (skopeo, podman, buildah) share their
# configuration. Its machine-wide files may be missing, or say anything.
containers_home() {
    local config="$XDG_CONFIG_HOME/containers"
    mkdir -p "$config" "$WORK/certs"
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$config/policy.json"
    echo 'unqualified-search-registries = []' >"$config/registries.conf"
    # vfs needs neither a kernel module nor a privilege.
    printf '[storage]\ndriver = "vfs"\nrunroot = "%s"\ngraphroot = "%s"\n' \
        "$WORK/containers-run" "$WORK/containers" >"$config/storage.conf"
    export CONTAINERS_STORAGE_CONF="$config/storage.conf" CONTAINERS_REGISTRIES_CONF="$config/registries.conf"
    export BUILDAH_ISOLATION=chroot
    TLS=(--tls-verify=false)
    if ! plain; then
        cp "$SEAWALL_CA" "$WORK/certs/ca.crt"
        TLS=(--tls-verify=true "--cert-dir=$WORK/certs")
    fi
}
