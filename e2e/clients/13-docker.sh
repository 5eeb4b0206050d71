#!/usr/bin/env bash
# docker: a daemon of its own; build, push, pull, an index, by tag and by digest.
#
# The daemon is given nothing to do with the network or with the firewall, keeps
# everything below $WORK, and copies files (vfs), which works in every sandbox.
# It never verifies the certificate of a registry on 127.0.0.0/8: that range is
# "insecure" for it, which cannot be switched off. Over TLS it still speaks TLS.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story docker dockerd docker containerd skopeo
[[ $EUID -eq 0 ]] || fail 'the docker daemon needs root'
export DOCKER_HOST="unix://$WORK/docker.sock"
plain || export SSL_CERT_FILE="$SEAWALL_CA"
# The client that belongs to the daemon, should another one come first.
[[ ! -x /usr/bin/docker ]] || docker() { /usr/bin/docker "$@"; }

echo '{}' >"$WORK/daemon.json" # the machine's own is none of our business
background dockerd dockerd --config-file "$WORK/daemon.json" \
    --data-root "$WORK/docker" --exec-root "$WORK/docker-run" --pidfile "$WORK/docker.pid" \
    --host "$DOCKER_HOST" --storage-driver vfs \
    --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false
wait_until 60 docker version || { tail -n 30 "$WORK/dockerd.log"; fail 'the daemon did not start'; }

step 'a wrong password is refused'
refused docker login --username "$SEAWALL_USER" --password wrong "$SEAWALL_HOST"

step 'load, log in and push'
make_image "$WORK/image" --layers 3
containers_home
skopeo copy "oci:$WORK/image:latest" "docker-archive:$WORK/image.tar:$IMAGE:1.0"
docker load --input "$WORK/image.tar"
id="$(docker image inspect --format '{{.Id}}' "$IMAGE:1.0")"
docker login --username "$SEAWALL_USER" --password-stdin "$SEAWALL_HOST" <<<"$SEAWALL_PASSWORD"
docker push "$IMAGE:1.0" | tee "$WORK/push.log"
digest="$(grep -Eo 'sha256:[0-9a-f]{64}' "$WORK/push.log" | tail -n 1)"
same 'digest in the registry' "$digest" "$(remote_digest "$REPO" 1.0)"

step 'pull what is gone here, by tag and by digest'
docker image rm --force "$id"
docker pull "$IMAGE:1.0"
same 'image id' "$id" "$(docker image inspect --format '{{.Id}}' "$IMAGE:1.0")"
docker image rm --force "$id"
docker pull "$IMAGE@$digest"
same 'image id' "$id" "$(docker image inspect --format '{{.Id}}' "$IMAGE@$digest")"

step 'build upon it and push the new layer only'
mkdir "$WORK/context"
date >"$WORK/context/more"
printf 'FROM %s\nCOPY more /more\n' "$IMAGE@$digest" >"$WORK/context/Dockerfile"
DOCKER_BUILDKIT=0 docker build --tag "$IMAGE:2.0" "$WORK/context"
docker push "$IMAGE:2.0" | tee "$WORK/push.log"
same 'layers that were there' 3 "$(grep -c 'Layer already exists' "$WORK/push.log")"

step 'into another repository: the layers are mounted'
docker tag "$IMAGE:2.0" "$IMAGE-copy:2.0"
docker push "$IMAGE-copy:2.0" | tee "$WORK/push.log"
same 'layers that were mounted' 4 "$(grep -c 'Mounted from' "$WORK/push.log")"

step 'all tags at once'
docker tag "$IMAGE:2.0" "$IMAGE:3.0"
docker push --all-tags "$IMAGE"
docker image rm --force "$(docker image inspect --format '{{.Id}}' "$IMAGE:2.0")"
docker pull --all-tags "$IMAGE"
docker image inspect "$IMAGE:3.0" >/dev/null

# `docker manifest push` knows http only for a registry that it deems insecure.
if plain; then
    step 'a manifest list'
    docker manifest create --insecure "$IMAGE:list" "$IMAGE:1.0" "$IMAGE:2.0"
    docker manifest push --insecure "$IMAGE:list"
    same entries 2 "$(docker manifest inspect --insecure "$IMAGE:list" | jq '.manifests | length')"
    docker pull "$IMAGE:list"
fi

step 'log out'
docker logout "$SEAWALL_HOST"
started=$SECONDS
refused docker push "$IMAGE:2.0"
# It gives up at once only if the challenge says error="insufficient_scope".
((SECONDS - started < 20)) || fail "it tried for $((SECONDS - started)) s before it gave up"
