"""What tests here share: comparing checkpoints bit for bit, and running programs from the runfiles."""
import glob
import json
import math
import os
import subprocess

from omegaconf import Container, OmegaConf
import torch

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def tensors_of(content, prefix=""):
    """Every tensor in nested dicts and lists, by its path ("optimizer_states/0/state/5/exp_avg"), in order."""
    if isinstance(content, torch.Tensor):
        return {prefix: content}
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(
        content, (list, tuple)) else ()
    found = {}
    for key, value in items:
        found.update(tensors_of(value, f"{prefix}/{key}" if prefix else str(key)))
    return found


def rest_of(content):
    """The same content with None for every tensor; configs as plain containers, interpolations as written."""
    if isinstance(content, torch.Tensor):
        return None
    if isinstance(content, Container):
        return OmegaConf.to_container(content, resolve=False)
    if isinstance(content, dict):
        return {key: rest_of(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return type(content)(rest_of(value) for value in content)
    return content


def compare(expected, found):
    """The differences between two dicts of tensors, a line each: names, dtypes, shapes and every bit."""
    lines = [f"missing: {name}" for name in expected if name not in found]
    lines += [f"unexpected: {name}" for name in found if name not in expected]
    for name, a in expected.items():
        if name not in found:
            continue
        b = found[name]
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            lines.append(f"{name}: {a.dtype} {list(a.shape)} became {b.dtype} {list(b.shape)}")
            continue
        for dimension in range(a.dim()):  # what is repeated in both is looked at once
            if a.numel() and a.stride(dimension) == b.stride(dimension) == 0:
                a, b = a.narrow(dimension, 0, 1), b.narrow(dimension, 0, 1)
        bits = BITS[a.element_size()]
        if not torch.equal(a.view(bits), b.view(bits)):
            differing = a.view(bits) != b.view(bits)
            first = tuple(differing.nonzero()[0].tolist())
            lines.append(f"{name}: {int(differing.sum())} of {a.numel()} elements differ, the first at {list(first)}: "
                         f"{a[first].item()!r} became {b[first].item()!r}")
    return lines


DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
          "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}


def read_safetensors(folder):
    """Every tensor of the safetensors files in a folder, as "FILE/NAME", in the order of their bytes."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            header.pop("__metadata__", None)
            for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
                begin, end = entry["data_offsets"]
                values = torch.frombuffer(bytearray(file.read(end - begin)), dtype=torch.uint8) if end > begin else (
                    torch.empty(0, dtype=torch.uint8))
                assert len(values) == math.prod(entry["shape"]) * DTYPES[entry["dtype"]].itemsize, f"{path}: {name}"
                found[f"{os.path.basename(path)}/{name}"] = values.view(DTYPES[entry["dtype"]]).view(entry["shape"])
    return found


def program(name):
    """The path of a program: "tools/checkpoint"."""
    return os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"], name)


def run(name, *arguments, exit_code=0):
    """Runs a program of ours; returns what it printed. Another exit code is an AssertionError with all of it."""
    command = [program(name), *map(str, arguments)]
    # Our programs find their own libraries: PyTorch's path is not for them.
    environment = {key: value for key, value in os.environ.items() if key not in ("LD_LIBRARY_PATH", "PYTHONPATH")}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == exit_code, f"{command} ended with {result.returncode}:\n{result.stdout}"
    return result.stdout
