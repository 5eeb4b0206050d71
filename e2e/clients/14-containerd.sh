#!/usr/bin/env bash
# containerd: a daemon of its own, spoken to with ctr; import, push, pull.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story containerd containerd ctr
[[ $EUID -eq 0 ]] || fail 'containerd needs root'

cat >"$WORK/config.toml" <<TOML
version = 2
root = "$WORK/containerd"
state = "$WORK/containerd-run"
# The first wants a network, the second writes to /opt.
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$WORK/containerd.sock"
[ttrpc]
  address = "$WORK/containerd.ttrpc"
TOML
background containerd containerd --config "$WORK/config.toml"
ctr() { command ctr --address "$WORK/containerd.sock" --timeout 60s "$@"; }
wait_until 60 ctr version || { tail -n 30 "$WORK/containerd.log"; fail 'the daemon did not start'; }

mkdir -p "$WORK/hosts/$SEAWALL_HOST"
{
    printf 'server = "%s"\n[host."%s"]\n' "$URL" "$URL"
    plain || printf '  ca = "%s"\n' "$SEAWALL_CA"
} >"$WORK/hosts/$SEAWALL_HOST/hosts.toml"
REACH=(--hosts-dir "$WORK/hosts")
SIGNED_IN=("${REACH[@]}" --user "$SEAWALL_USER:$SEAWALL_PASSWORD")

wanted="$(make_image "$WORK/image" --layers 3)"
tar -C "$WORK/image" -cf "$WORK/image.tar" .
ctr images import --no-unpack --base-name "$IMAGE" "$WORK/image.tar"

# ctr reads what it pushes from its daemon, and under load that stream at times ends in the middle
# of a message: ctr then hangs up, having sent nothing of that blob. Only this is tried again.
push() {
    local attempt
    for attempt in 1 2 3; do
        ctr images push "${SIGNED_IN[@]}" "$1" >"$WORK/push.log" 2>&1 && return
        cat "$WORK/push.log"
        grep -q 'failed to copy: rpc error: code = Internal desc = unexpected EOF' "$WORK/push.log" ||
            return 1
        note "ctr could not read from its own daemon (attempt $attempt)"
    done
    return 1
}

step 'a wrong password is refused'
refused ctr images push "${REACH[@]}" --user "$SEAWALL_USER:wrong" "$IMAGE:latest"

step 'nobody is refused'
refused ctr images push "${REACH[@]}" "$IMAGE:latest"

step 'push'
push "$IMAGE:latest"
same 'digest in the registry' "$wanted" "$(remote_digest "$REPO" latest)"

step 'pull what is gone here'
ctr images rm --sync "$IMAGE:latest"
ctr images pull "${SIGNED_IN[@]}" --snapshotter native "$IMAGE:latest"
ctr images ls | grep -F "$wanted"
ctr images rm --sync "$IMAGE:latest"
ctr images pull "${SIGNED_IN[@]}" --snapshotter native "$IMAGE@$wanted"

step 'an index with every platform'
wanted="$(make_image "$WORK/index" --platform linux/amd64 --platform linux/arm64 --tag multi)"
tar -C "$WORK/index" -cf "$WORK/index.tar" .
ctr images import --no-unpack --all-platforms --base-name "$IMAGE" "$WORK/index.tar"
push "$IMAGE:multi"
same 'digest of the index' "$wanted" "$(remote_digest "$REPO" multi)"
ctr images rm --sync "$IMAGE:multi"
ctr content fetch --all-platforms "${SIGNED_IN[@]}" "$IMAGE:multi" >/dev/null
ctr images export --all-platforms "$WORK/export.tar" "$IMAGE:multi"
