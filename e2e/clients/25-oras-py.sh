#!/usr/bin/env bash
# oras-py, the Python library: push, pull, tags, delete.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story oras-py
python="$SEAWALL_TOOLS/python/bin/python"
[[ -x "$python" ]] || die 'oras-py is not installed; run e2e/setup.sh'
plain || export REQUESTS_CA_BUNDLE="$SEAWALL_CA"
cd "$WORK"
head -c 3000000 /dev/urandom >data.bin

IMAGE="$IMAGE" "$python" - <<'PYTHON'
import filecmp, os, sys
import oras.client

host, user, password = (os.environ["SEAWALL_" + name] for name in ("HOST", "USER", "PASSWORD"))
insecure = os.environ["SEAWALL_SCHEME"] == "http"
image = os.environ["IMAGE"]


def step(text):
    print("\n==", text, flush=True)


def client(password):
    # Basic at once, as scripts do: the library asks for tokens otherwise.
    made = oras.client.OrasClient(hostname=host, insecure=insecure, tls_verify=not insecure, auth_backend=backend)
    made.set_basic_auth(user, password) if password else None
    return made


for backend in ("token", "basic"):
    step("with auth backend " + backend)
    tag = image + ":" + backend

    step("a wrong password and no password are refused")
    for wrong in ("wrong", None):
        try:
            client(wrong).push(files=["data.bin"], target=tag)
        except Exception as error:
            print(type(error).__name__, error)
            if not any(word in str(error).lower() for word in ("401", "403", "unauthorized", "denied", "authenti")):
                sys.exit("failed for another reason than the credentials")
        else:
            sys.exit("should have been refused")

    step("push and pull")
    good = client(password)
    answer = good.push(files=["data.bin"], target=tag)
    print(answer.status_code, answer.headers)
    assert answer.status_code == 201
    pulled = good.pull(target=tag, outdir="pulled-" + backend)
    assert filecmp.cmp(pulled[0], "data.bin", shallow=False)

    step("push in chunks")
    good.push(files=["data.bin"], target=tag + "-chunked", do_chunked=True, chunk_size=1 << 20)
    pulled = good.pull(target=tag + "-chunked", outdir="chunked-" + backend)
    assert filecmp.cmp(pulled[0], "data.bin", shallow=False)

    step("tags, and delete")
    repository = image.split("/", 1)[1]
    assert backend in good.get_tags(image), good.get_tags(image)
    print(good.delete_tags(image, [backend + "-chunked"]))
    assert backend + "-chunked" not in good.get_tags(image)
PYTHON
