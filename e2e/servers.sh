#!/usr/bin/env bash
# Runs a command with a PostgreSQL and a MariaDB of its own.
#
#   e2e/servers.sh run -- cargo test
#
# The command finds SEAWALL_TEST_POSTGRES and SEAWALL_TEST_MYSQL in its
# environment: URLs of an account that may create databases, with an empty
# database `seawall` to begin with. Both servers listen on 127.0.0.1 only, on
# free ports, and end with the command, however it ends.
#
# SEAWALL_TEST_FSYNC=0 gives up durability for speed: right for tests of
# behaviour, wrong for tests of what survives a crash.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CONNECTIONS=200
ACCOUNT=seawall
SECRET="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"

# The servers refuse to run as root; as root they get the user of their package.
server_user() {
    if id "$1" >/dev/null 2>&1; then echo "$1"; else echo nobody; fi
}

# as USER COMMAND...: no-op for an ordinary user, who is unprivileged already.
as() {
    local user="$1"
    shift
    if [[ $EUID -ne 0 ]]; then
        "$@"
    else
        setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
    fi
}

# serve USER NAME COMMAND...: `background`, as another user. Both in one setpriv,
# because the kernel forgets the death signal when the user changes after it.
serve() {
    local user="$1"
    shift
    if [[ $EUID -eq 0 ]]; then
        local name="$1"
        shift
        set -- "$name" setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups \
            --pdeathsig TERM "$@"
    fi
    background "$@"
}

private_directory() {
    mkdir -p "$1"
    [[ $EUID -ne 0 ]] || chown "$2" "$1"
    chmod 700 "$1"
}

# Reads its content from the standard input.
private_file() {
    (umask 077 && cat >"$1")
    [[ $EUID -ne 0 ]] || chown "$2" "$1"
}

durable() { [[ "${SEAWALL_TEST_FSYNC:-1}" != 0 ]]; }

start_postgres() {
    local bin data="$WORK/postgres" user port options=()
    bin="$(find /usr/lib/postgresql/*/bin -name postgres 2>/dev/null | sort --version-sort | tail -n 1)"
    [[ -n "$bin" ]] || die "PostgreSQL is not installed; run e2e/setup.sh base"
    bin="${bin%/postgres}"
    user="$(server_user postgres)"
    port="$(free_port)"
    durable || options=(-c fsync=off -c synchronous_commit=off -c full_page_writes=off)
    private_directory "$data" "$user"
    private_file "$data/secret" "$user" <<<"$SECRET"
    as "$user" "$bin/initdb" --pgdata "$data/db" --username "$ACCOUNT" --auth scram-sha-256 \
        --pwfile "$data/secret" --encoding UTF8 --locale C --no-sync >"$WORK/initdb.log"
    serve "$user" postgres "$bin/postgres" -D "$data/db" -p "$port" -k "$data" \
        -c listen_addresses=127.0.0.1 -c "max_connections=$CONNECTIONS" "${options[@]}"
    export PGPASSWORD="$SECRET"
    wait_until 60 "$bin/psql" -h 127.0.0.1 -p "$port" -U "$ACCOUNT" -d postgres -c 'CREATE DATABASE seawall' ||
        { tail -n 20 "$WORK/postgres.log" >&2; die "PostgreSQL did not start"; }
    unset PGPASSWORD
    export SEAWALL_TEST_POSTGRES="postgres://$ACCOUNT:$SECRET@127.0.0.1:$port/seawall"
}

start_mariadb() {
    local data="$WORK/mariadb" user port options=()
    need mariadbd mariadb-install-db mariadb-admin
    user="$(server_user mysql)"
    port="$(free_port)"
    durable || options=(--debug-no-sync --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0)
    private_directory "$data" "$user"
    as "$user" mariadb-install-db --no-defaults --datadir="$data/db" --skip-test-db \
        --auth-root-authentication-method=normal >"$WORK/mariadb-install-db.log" 2>&1
    # root keeps no password but only answers on the socket, in a directory
    # that nobody else may enter.
    private_file "$data/init.sql" "$user" <<SQL
DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';
CREATE USER '$ACCOUNT'@'127.0.0.1' IDENTIFIED BY '$SECRET';
GRANT ALL ON *.* TO '$ACCOUNT'@'127.0.0.1' WITH GRANT OPTION;
CREATE DATABASE seawall CHARACTER SET utf8mb4;
SQL
    serve "$user" mariadb mariadbd --no-defaults --datadir="$data/db" --port="$port" \
        --socket="$data/socket" --pid-file="$data/pid" --bind-address=127.0.0.1 \
        --skip-name-resolve --max-connections="$CONNECTIONS" --init-file="$data/init.sql" "${options[@]}"
    wait_until 60 mariadb-admin --no-defaults --protocol=tcp --host=127.0.0.1 --port="$port" \
        --user="$ACCOUNT" --password="$SECRET" ping ||
        { tail -n 20 "$WORK/mariadb.log" >&2; die "MariaDB did not start"; }
    export SEAWALL_TEST_MYSQL="mysql://$ACCOUNT:$SECRET@127.0.0.1:$port/seawall"
}

[[ "${1:-}" == run && "${2:-}" == -- && $# -gt 2 ]] || die "usage: e2e/servers.sh run -- COMMAND..."
shift 2
make_work
chmod 711 "$WORK" # the servers' users must be able to pass through
start_postgres
start_mariadb
"$@"
