#!/bin/bash
# How fast a large checkpoint is converted, beside `cp` and `sync` of the same file in the same run; checks first that the
# conversion is right. Needs three times the size in free space.
#   bazel run -c opt //tools/interchange:conversion_bench -- FOLDER [GIGABYTES] [TENSOR_MEGABYTES]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
exec python3 - "${here}/make_large_checkpoint" "${here}/../checkpoint" "$@" <<'PYTHON'
import os
import shutil
import statistics
import subprocess
import sys
import time

PAIRS = 3
maker, checkpoint, folder = sys.argv[1:4]
gigabytes = sys.argv[4] if len(sys.argv) > 4 else "12"
megabytes = sys.argv[5] if len(sys.argv) > 5 else "256"
folder = os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", "."), folder, "conversion_bench")
os.makedirs(folder)
path = lambda name: os.path.join(folder, name)


def run(*command):
    """Seconds and peak memory in MB."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, command
    return time.monotonic() - begin, usage.ru_maxrss * 1024 / 1e6


def remove(name):
    shutil.rmtree(path(name), ignore_errors=True)
    if os.path.exists(path(name)):
        os.remove(path(name))


def warm(name):
    size = 0
    for root, _, files in os.walk(path(name)) if os.path.isdir(path(name)) else [("", [], [path(name)])]:
        for file in files:
            with open(os.path.join(root, file), "rb") as source:
                while block := source.read(1 << 24):
                    size += len(block)
    return size


def copy(source):
    if os.path.isdir(source):
        seconds = run("cp", "-r", "--reflink=never", source, path("copy"))[0]
        seconds += run("sync", *[os.path.join(r, f) for r, _, fs in os.walk(path("copy")) for f in fs])[0]
    else:
        seconds = run("cp", "--reflink=never", source, path("copy"))[0] + run("sync", path("copy"))[0]
    remove("copy")
    return seconds


try:
    run(maker, path("source.ckpt"), gigabytes, megabytes)
    for source, target in (("source.ckpt", "ours"), ("source.ckpt", "target.safetensors"), ("ours", "target.ckpt")):
        if source == "ours":
            run(checkpoint, "convert", path("source.ckpt"), path("ours"))
            remove("source.ckpt")
        # In turn, so that a machine that changes its speed changes it for both; the first pair only warms up.
        pairs = []
        for pair in range(1 + PAIRS):
            size = warm(source)
            copied = copy(path(source))
            warm(source)
            converted, memory = run(checkpoint, "convert", path(source), path(target))
            if pair == 0:
                run(checkpoint, "diff", path(source), path(target))
            else:
                pairs.append((copied, converted))
            remove(target)
        copied, converted = (statistics.median(times) for times in zip(*pairs))
        ratio = statistics.median(copied / converted for copied, converted in pairs)
        print(f"{source} to {target}, {size / 1e9:.1f} GB in tensors of {megabytes} MB, medians of {PAIRS}: cp and sync "
              f"{size / copied / 1e9:.2f} GB/s, convert {size / converted / 1e9:.2f} GB/s, {ratio:.2f} of cp's speed; "
              f"peak memory {memory:.0f} MB", flush=True)
finally:
    shutil.rmtree(folder)
PYTHON
