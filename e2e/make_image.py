#!/usr/bin/env python3
"""Writes an OCI image layout full of incompressible bytes, without a network.

The same arguments give the same digests, on every machine. Layers are gzip
streams of stored blocks: clients leave a compressed layer as it is, so a digest
that comes back from the registry can be compared with the one made here, and
nothing is lost on compressing what cannot be compressed.

    make_image.py DIR --layers 3 --size 65536 --seed a
    make_image.py DIR --platform linux/amd64 --platform linux/arm64   (an index)
    make_image.py DIR --layers 5 --shared-seed base --shared-layers 4
"""

import argparse
import gzip
import hashlib
import json
import os
import random
import tarfile

CHUNK = 1 << 20
OCI = "application/vnd.oci.image."


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("directory")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--size", type=int, default=64 * 1024, help="bytes of each layer")
    parser.add_argument("--seed", default="seawall")
    parser.add_argument("--shared-seed", default="shared", help="seed of the shared layers")
    parser.add_argument("--shared-layers", type=int, default=0, help="how many of the first layers")
    parser.add_argument("--platform", action="append", help="os/architecture; twice or more: an index")
    parser.add_argument("--index", action="store_true", help="an index even for one platform")
    parser.add_argument("--tag", default="latest")
    return parser.parse_args()


class Noise:
    """A readable file of `size` bytes that depend on the seed only."""

    def __init__(self, seed, size):
        self.random = random.Random(seed)
        self.left = size

    def read(self, size=-1):
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return self.random.randbytes(size)


class Hashing:
    """A writable file that hashes and counts what passes through it."""

    def __init__(self, file):
        self.file, self.hash, self.size = file, hashlib.sha256(), 0

    def write(self, data):
        self.hash.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self):
        self.file.flush()

    @property
    def digest(self):
        return "sha256:" + self.hash.hexdigest()


class Layout:
    def __init__(self, directory):
        self.directory = directory
        self.blobs = os.path.join(directory, "blobs", "sha256")
        os.makedirs(self.blobs, exist_ok=True)
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def write(self, name, document):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            json.dump(document, file)

    def json_blob(self, media_type, document):
        data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.blobs, digest), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    def layer_blob(self, seed, size):
        """Returns the layer's descriptor and the digest of its uncompressed tar."""
        partial = os.path.join(self.blobs, "partial")
        with open(partial, "wb") as file:
            packed = Hashing(file)
            # Fixed name and time: both would otherwise get into the header.
            with gzip.GzipFile("", "wb", compresslevel=0, fileobj=packed, mtime=0) as stream:
                plain = Hashing(stream)
                with tarfile.open(fileobj=plain, mode="w|", bufsize=CHUNK, copybufsize=CHUNK) as tar:
                    entry = tarfile.TarInfo("data/%s.bin" % hashlib.sha256(seed.encode()).hexdigest()[:16])
                    entry.size = size
                    tar.addfile(entry, Noise(seed, size))
        os.replace(partial, os.path.join(self.blobs, packed.digest.removeprefix("sha256:")))
        descriptor = {"mediaType": OCI + "layer.v1.tar+gzip", "digest": packed.digest, "size": packed.size}
        return descriptor, plain.digest


def layer_seeds(args, platform):
    for number in range(args.layers):
        if number < args.shared_layers:
            yield "%s/layer/%d" % (args.shared_seed, number)
        else:
            yield "%s/%s/layer/%d" % (args.seed, platform, number)


def image(layout, args, platform):
    system, architecture = platform.split("/")[:2]
    layers = [layout.layer_blob(seed, args.size) for seed in layer_seeds(args, platform)]
    config = {
        "architecture": architecture,
        "os": system,
        "created": "2000-01-01T00:00:00Z",
        "config": {"Cmd": ["/data"], "Labels": {"seed": args.seed}},
        "rootfs": {"type": "layers", "diff_ids": [plain for _, plain in layers]},
        "history": [{"created": "2000-01-01T00:00:00Z", "created_by": "make_image"} for _ in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI + "manifest.v1+json",
        "config": layout.json_blob(OCI + "config.v1+json", config),
        "layers": [descriptor for descriptor, _ in layers],
    }
    descriptor = layout.json_blob(manifest["mediaType"], manifest)
    return {**descriptor, "platform": {"architecture": architecture, "os": system}}


def main():
    args = arguments()
    platforms = args.platform or ["linux/amd64"]
    layout = Layout(args.directory)
    top = [image(layout, args, platform) for platform in platforms]
    if args.index or len(top) > 1:
        index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": top}
        top = [layout.json_blob(index["mediaType"], index)]
    top[0]["annotations"] = {"org.opencontainers.image.ref.name": args.tag}
    layout.write("index.json", {"schemaVersion": 2, "manifests": top})
    print(top[0]["digest"])


if __name__ == "__main__":
    main()
