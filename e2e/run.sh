#!/usr/bin/env bash
# Proves a built Seawall from outside: real clients, and the OCI conformance program.
#
#   SEAWALL_BIN=target/release/seawall e2e/run.sh               everything
#   … e2e/run.sh '*-skopeo' '3*'                                some stories
#   … e2e/run.sh conformance                                    once per database
#   … e2e/run.sh --scheme https '*-docker'                      one scheme only
#
# The stories run over plain HTTP and then over TLS, each time against a fresh
# server. SEAWALL_EXTERNAL=host:port uses a running server instead, with
# SEAWALL_SCHEME, SEAWALL_CA, SEAWALL_USER and SEAWALL_PASSWORD describing it.
# SEAWALL_E2E_LOGS=DIR keeps the logs.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SELF="$E2E/run.sh"
ARGUMENTS=("$@")
SCHEMES=(http https)
if [[ "${1:-}" == --scheme ]]; then
    SCHEMES=("${2:?http or https}")
    shift 2
fi
GLOBS=("$@")
((${#GLOBS[@]})) || GLOBS=('*')
PASSED=0 FAILED=0

chosen() {
    local glob
    for glob in "${GLOBS[@]}"; do
        # shellcheck disable=SC2053 # a glob is what is wanted here
        [[ "$1" == $glob ]] && return
    done
    return 1
}

# ---- the server ------------------------------------------------------------

make_certificate() {
    CERTIFICATE="$WORK/cert.pem" KEY="$WORK/key.pem"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
        -keyout "$KEY" -out "$CERTIFICATE" 2>/dev/null
}

# The one place that knows Seawall's configuration.
write_config() { # write_config ADDRESS SCHEME [DATABASE-URL]
    echo 'listeners:'
    echo "  - address: $1"
    [[ "$2" == http ]] || echo "    tls: {certificate_file: $CERTIFICATE, key_file: $KEY}"
    [[ -z "${3:-}" ]] || echo "database: {url: \"$3\"}"
}

ready() { "${PROBE[@]}" "$SEAWALL_SCHEME://$SEAWALL_HOST/health/ready"; }

ready_or_gone() { ready || is_gone "$SERVER"; }

# A panic that a story did not notice is one all the same.
server_is_well() {
    ready || { echo 'the server is not ready any more'; return 1; }
    ! grep -n 'panicked at' "$SERVER_LOG"
}

not_started() { # not_started NAME LOG
    ((FAILED += 1))
    printf 'FAIL  server %s did not start\n' "$1"
    tail -n 30 "$2" | sed 's/^/      | /'
    stop_all
}

# start_server NAME SCHEME [DATABASE-URL]: exports what a story needs to know.
start_server() {
    local name="$1" scheme="$2" directory="$WORK/server-$1"
    mkdir "$directory"
    PROBE=(curl --silent --fail --max-time 2 --output /dev/null)
    export SEAWALL_SCHEME="$scheme" SEAWALL_USER=admin SEAWALL_DATA="$directory/data"
    SEAWALL_HOST="127.0.0.1:$(free_port)"
    export SEAWALL_HOST
    if [[ "$scheme" == https ]]; then
        export SEAWALL_CA="$CERTIFICATE"
        PROBE+=(--cacert "$CERTIFICATE")
    else
        unset SEAWALL_CA
    fi
    write_config "$SEAWALL_HOST" "$scheme" "${3:-}" >"$directory/config.yaml"
    export SEAWALL_CONFIG="$directory/config.yaml" # for the operator's commands
    SERVER_LOG="$WORK/server-$name.log"
    # The embedded database migrates itself; on a server somebody has to want it.
    if [[ -n "${3:-}" ]] && ! timeout 120 "$SEAWALL_BIN" migrate apply --data "$SEAWALL_DATA" \
        --config "$directory/config.yaml" >"$LOGS/migrate-$name.log" 2>&1; then
        not_started "$name" "$LOGS/migrate-$name.log"
        return 1
    fi
    background "server-$name" "$SEAWALL_BIN" serve --data "$SEAWALL_DATA" \
        --config "$directory/config.yaml"
    SERVER="${BACKGROUND_PIDS[-1]}"
    if ! wait_until 60 ready_or_gone || ! ready; then
        not_started "$name" "$SERVER_LOG"
        return 1
    fi
    SEAWALL_PASSWORD="$(cat "$SEAWALL_DATA/admin-password")" || return
    export SEAWALL_PASSWORD
}

stop_server() {
    report "server $1 is well" server_is_well
    stop_all
    [[ "$LOGS" == "$WORK"/* ]] || cp "$SERVER_LOG" "$LOGS/"
    rm -rf "$WORK/server-$1"
}

# ---- the report ------------------------------------------------------------

# report NAME COMMAND...: one line for it, and the end of its log when it fails.
report() {
    local name="$1" log="$LOGS/${1// /-}.log" started=$SECONDS status=0
    shift
    # In the background, so that a signal to this script is heard at once.
    "$@" >"$log" 2>&1 </dev/null &
    BACKGROUND_PIDS+=("$!")
    wait "$!" || status=$?
    unset 'BACKGROUND_PIDS[-1]'
    if ((status == 0)); then
        ((PASSED += 1))
        printf 'PASS  %-40s %4d s\n' "$name" $((SECONDS - started))
    else
        ((FAILED += 1))
        printf 'FAIL  %-40s %4d s  (status %d)\n' "$name" $((SECONDS - started)) "$status"
        tail -n 40 "$log" | sed 's/^/      | /'
        [[ -z "${SERVER_LOG:-}" ]] || tail -n 10 "$SERVER_LOG" | cut -c1-500 | sed 's/^/ server | /'
    fi
}

# A story may say "# Time limit: 400 s" and "# Only over: http" in its head.
head_of() { sed -n "s/^# $2: \([a-z0-9]*\).*/\1/p" "$1" | head -n 1; }

run_stories() {
    local file name limit only
    for file in "$E2E"/clients/*.sh; do
        name="$(basename "$file" .sh)"
        chosen "$name" || continue
        only="$(head_of "$file" 'Only over')"
        [[ -z "$only" || "$only" == "$SEAWALL_SCHEME" ]] || continue
        limit="$(head_of "$file" 'Time limit')"
        report "$name $SEAWALL_SCHEME" timeout --kill-after=30 "${limit:-180}" bash "$file"
    done
}

any_story() {
    local file
    for file in "$E2E"/clients/*.sh; do
        chosen "$(basename "$file" .sh)" && return
    done
    return 1
}

# A choice that chooses nothing is a mistake, not a success.
check_globs() {
    local glob GLOBS=("${GLOBS[@]}")
    for glob in "${GLOBS[@]}"; do
        GLOBS=("$glob")
        any_story || chosen conformance || die "nothing is called $glob"
    done
}

run_conformance() { # run_conformance NAME
    report "conformance $1 $SEAWALL_SCHEME" timeout --kill-after=30 600 \
        "$E2E/conformance.sh" "$SEAWALL_SCHEME://$SEAWALL_HOST" "$SEAWALL_USER" "${SEAWALL_CA:-}"
}

# An empty database beside the given one, so that no run sees the last one's rows.
fresh_database() {
    local url="$1" name="conformance_$$"
    if [[ "$url" == postgres* ]]; then
        psql --quiet "$url" --command "CREATE DATABASE $name" || return
    else
        [[ "$url" =~ ^mysql://([^:]+):([^@]+)@([^:/]+):([0-9]+)/ ]] || die "not understood: the MySQL URL"
        MYSQL_PWD="${BASH_REMATCH[2]}" mariadb --no-defaults --protocol=tcp --user="${BASH_REMATCH[1]}" \
            --host="${BASH_REMATCH[3]}" --port="${BASH_REMATCH[4]}" \
            --execute "CREATE DATABASE $name CHARACTER SET utf8mb4" || return
    fi
    echo "${url%/*}/$name"
}

conformance_on() { # conformance_on NAME SCHEME [DATABASE-URL]
    start_server "$1" "$2" "${3:-}" || return 0 # which has been counted
    run_conformance "$1"
    stop_server "$1"
}

# ---- the whole -------------------------------------------------------------

external() {
    export SEAWALL_HOST="$SEAWALL_EXTERNAL" SEAWALL_SCHEME="${SEAWALL_SCHEME:-http}"
    export SEAWALL_BIN="${SEAWALL_BIN:-}" SEAWALL_DATA="${SEAWALL_DATA:-}"
    run_stories
    ! chosen conformance || run_conformance external
}

everything() {
    local scheme postgres mariadb
    SEAWALL_BIN="$(realpath -e "${SEAWALL_BIN:?the path of the program}")"
    export SEAWALL_BIN
    make_certificate
    for scheme in "${SCHEMES[@]}"; do
        any_story || break
        start_server "$scheme" "$scheme" || continue
        run_stories
        stop_server "$scheme"
    done
    chosen conformance || return 0
    for scheme in "${SCHEMES[@]}"; do
        conformance_on sqlite "$scheme"
    done
    # Assigned first: an argument that could not be made would be an empty one,
    # which means SQLite.
    postgres="$(fresh_database "$SEAWALL_TEST_POSTGRES")"
    mariadb="$(fresh_database "$SEAWALL_TEST_MYSQL")"
    conformance_on postgres "${SCHEMES[0]}" "$postgres"
    conformance_on mariadb "${SCHEMES[0]}" "$mariadb"
}

check_globs
# Conformance wants every database; without them this script runs itself inside.
if [[ -z "${SEAWALL_EXTERNAL:-}" && -z "${SEAWALL_TEST_POSTGRES:-}" ]] && chosen conformance; then
    SEAWALL_TEST_FSYNC="${SEAWALL_TEST_FSYNC:-0}" \
        exec "$E2E/servers.sh" run -- "$SELF" "${ARGUMENTS[@]}"
fi

make_work
LOGS="${SEAWALL_E2E_LOGS:-$WORK/logs}"
mkdir -p "$LOGS"
if [[ -n "${SEAWALL_EXTERNAL:-}" ]]; then external; else everything; fi
printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
((FAILED == 0 && PASSED > 0))
