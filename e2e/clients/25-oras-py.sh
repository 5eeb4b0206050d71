#!/usr/bin/env bash
# oras-py, the Python library: push whole and in chunks, pull, tags, delete.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
story oras-py
python="$SEAWALL_TOOLS/python/bin/python"
[[ -x "$python" ]] || die 'oras-py is not installed; run e2e/setup.sh'
plain || export REQUESTS_CA_BUNDLE="$SEAWALL_CA"
cd "$WORK"
head -c 3000000 /dev/urandom >data.bin

IMAGE="$IMAGE" "$python" - <<'PYTHON'
import filecmp, os, sys, time
import oras.client

time.sleep = lambda seconds: None  # it repeats refusals too, with growing pauses

host, user, password = (os.environ["SEAWALL_" + name] for name in ("HOST", "USER", "PASSWORD"))
insecure = os.environ["SEAWALL_SCHEME"] == "http"
image = os.environ["IMAGE"]


def step(text):
    print("\n==", text, flush=True)


def client(backend, password):
    made = oras.client.OrasClient(hostname=host, insecure=insecure, tls_verify=True, auth_backend=backend)
    if password:  # not by login(), which looks for a docker daemon
        made.auth.set_basic_auth(user, password)
    return made


def refused(act):
    try:
        act()
    except Exception as error:
        print(type(error).__name__, error)
        words = ("401", "403", "unauthorized", "denied", "authenticat")
        if not any(word in str(error).lower() for word in words):
            sys.exit("failed for another reason than the credentials")
    else:
        sys.exit("should have been refused")


# The library never widens a token that it has, so its token backend can pull
# but hardly push; with the basic backend it shows the password at each request.
basic, token = client("basic", password), client("token", password)

step("a wrong password is refused")
refused(lambda: client("basic", "wrong").push(files=["data.bin"], target=image + ":1.0"))
refused(lambda: client("token", "wrong").pull(target=image + ":1.0"))

step("push and pull")
answer = basic.push(files=["data.bin"], target=image + ":1.0")
assert answer.status_code == 201, answer
for name, puller in (("basic", basic), ("token", token)):
    pulled = puller.pull(target=image + ":1.0", outdir="pulled-" + name)
    assert filecmp.cmp(pulled[0], "data.bin", shallow=False)

step("push in chunks")
os.truncate("data.bin", 2500000)  # other bytes than those that are there already
basic.push(files=["data.bin"], target=image + ":chunked", do_chunked=True, chunk_size=1 << 20)
pulled = basic.pull(target=image + ":chunked", outdir="chunked")
assert filecmp.cmp(pulled[0], "data.bin", shallow=False)

step("without credentials")
refused(lambda: client("token", None).pull(target=image + ":1.0"))

step("tags, and delete")
assert sorted(basic.get_tags(image)) == ["1.0", "chunked"], basic.get_tags(image)
basic.delete_tags(image, ["chunked"])
assert basic.get_tags(image) == ["1.0"], basic.get_tags(image)
PYTHON
