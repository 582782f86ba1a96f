"""Looks into a bundle by binutils and by what the dynamic loader wrote.

Arguments: libtorch.lock, the bundle, and, if LibTorch is in it, the files that LD_DEBUG=libs left of one training run by it.
"""
import os
import re
import subprocess
import sys

# The libraries of glibc, and of NVIDIA's driver.
OF_THE_MACHINE = re.compile(
    r"(ld-linux-x86-64|lib(c|m|dl|rt|pthread|util|resolv|mvec|anl|nss_\w+))\.so\.\d+|libcuda\.so\.1|libnvidia-.*")
# Plugins that LibTorch's libraries load only where the node has what they need (MPI, InfiniBand).
PLUGINS = re.compile(r"libcufile_rdma\.so.*|nvshmem_(bootstrap|transport)_\w+\.so.*")

lock, bundle = (os.path.abspath(path) for path in sys.argv[1:3])
traces = sys.argv[3:]
failures = []


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(bundle) for name in names)
elves = [path for path in files if is_elf(path)]
libraries = set(os.listdir(os.path.join(bundle, "lib")))
newest, unresolved, unpatched = (0, 0), set(), set()
for path in elves:
    name = os.path.basename(path)
    text = subprocess.check_output(["readelf", "--wide", "--dynamic", path], text=True)
    needs = re.findall(r"\(NEEDED\) +Shared library: \[(.+)\]", text)
    for needed in needs:
        if needed not in libraries and not OF_THE_MACHINE.fullmatch(needed):
            unresolved.add((name, needed))
            if not (PLUGINS if traces else re.compile("train_worker")).fullmatch(name):
                failures.append(f"{name} needs {needed}, which is not in lib/")
    for folder in ":".join(re.findall(r"\((?:RPATH|RUNPATH)\) +Library (?:rpath|runpath): \[(.*)\]", text)).split(":"):
        if folder and not folder.startswith(("$ORIGIN", "${ORIGIN}")):
            failures.append(f"{name} looks for libraries in {folder}")
    if os.path.dirname(path) == bundle and "(RPATH)              Library rpath: [$ORIGIN/lib]" not in text:
        unpatched.add(name)
        if any(not OF_THE_MACHINE.fullmatch(needed) for needed in needs):
            failures.append(f"{name}: DT_RPATH is not $ORIGIN/lib")
    text = subprocess.check_output(["objdump", "--private-headers", path], text=True)
    newest = max([newest] + [tuple(map(int, found)) for found in re.findall(r" GLIBC_(\d+)\.(\d+)", text)])
for name in libraries:
    if OF_THE_MACHINE.fullmatch(name):
        failures.append(f"{name} is the machine's, and in lib/")

# Nothing of where it was built and made.
marks = [b"/execroot/", b"bazel-out", b"/_solib_", os.path.dirname(bundle).encode()]
for path in files:
    with open(path, "rb") as file:
        tail = b""
        for piece in iter(lambda: file.read(1 << 24), b""):
            failures += [f"{path} holds {mark.decode()}" for mark in marks if mark in tail + piece]
            tail = piece[-256:]

# What the loader found: all it tried that is there.
loaded = set()
for trace in traces:
    with open(trace, errors="replace") as file:
        loaded.update(path for path in re.findall(r"trying file=(\S+)", file.read()) if os.path.exists(path))
inside = {os.path.normpath(path) for path in loaded if os.path.normpath(path).startswith(bundle + "/lib/")}
for path in loaded:
    if os.path.normpath(path) not in inside and not OF_THE_MACHINE.fullmatch(os.path.basename(path)):
        failures.append(f"{path} was loaded from outside of the bundle")
for name in ("libtorch_cpu.so", "libstdc++.so.6", "libzip.so.4") if traces else ():
    if os.path.join(bundle, "lib", name) not in inside:
        failures.append(f"{name} of the bundle was not loaded: the traces show nothing")

with open(os.path.join(bundle, "MANIFEST")) as file:
    manifest = file.read()
with open(lock) as file:
    version = re.search(r"^torch==(\S+)", file.read(), re.M).group(1)
if not re.search(rf"(LibTorch, of|Python package) torch {re.escape(version)}\+cu\d+[.,]", manifest):
    failures.append(f"MANIFEST does not name torch {version}")
if "It needs glibc %d.%d or newer" % newest not in manifest:
    failures.append("MANIFEST does not name glibc %d.%d" % newest)
machine = tuple(map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")))
if not (2, 30) < newest <= machine:
    failures.append(f"glibc {newest} is needed, and this machine has {machine}")
if unpatched != {"wandb-core"}:
    failures.append(f"without DT_RPATH $ORIGIN/lib: {sorted(unpatched)}")
for path in ("LICENSE", "LICENSE.wandb", "NOTICE", "configs/recipes/common.textproto",
             "configs/quickstart/vae.textproto"):
    if not os.path.isfile(os.path.join(bundle, path)):
        failures.append(f"{path} is missing")

print(f"{len(elves)} programs and libraries, {len(inside)} libraries loaded, glibc {newest}, "
      f"{len(unresolved)} needs left to the machine")
if len(elves) < 150 or (traces and len(inside) < 30):
    failures.append("too few of them: the test looks in the wrong place")
sys.exit("\n".join(failures[:40]) or 0)
