"""Writes a corpus of pickles that run code when Python loads them, as all files that may hold one: plain and zipped
checkpoints as train --init_from takes them, tensors of torch.save (.pth), and NumPy's arrays of objects (.npy, .npz).

Arguments: the folder to make, and the marker file that each of them tries to make. Every pickle is first loaded here,
in a child process and with another marker, to see that it does run code: a payload that is none proves nothing.
"""
import builtins
import io
import os
import pickle
import runpy
import subprocess
import sys
import zipfile

folder, marker = sys.argv[1:]
probe = os.path.join(os.path.dirname(folder), "probe")


class Calls:
    """Pickled as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self):
        return (self.function, self.arguments) if self.state is None else (self.function, self.arguments, self.state)


def payloads(path):
    """name -> an object whose pickle makes the file `path` when it is loaded."""
    code = f"open({path!r}, 'w').close()"
    touch = Calls(os.system, f"touch {path}")
    yield "os_system", touch
    yield "subprocess_popen", Calls(subprocess.Popen, ["touch", path])
    yield "subprocess_call", Calls(subprocess.check_call, ["touch", path])
    yield "eval", Calls(builtins.eval, f"open({path!r}, 'w').close()")
    yield "exec", Calls(builtins.exec, code)
    yield "open", Calls(builtins.open, path, "w")
    yield "spawn", Calls(os.spawnlp, os.P_WAIT, "touch", "touch", path)
    yield "compile", Calls(builtins.exec, Calls(builtins.compile, code, "x", "exec"))
    yield "getattr", Calls(builtins.list, Calls(builtins.map, Calls(getattr, Calls(__import__, "os"), "system"),
                                                [f"touch {path}"]))
    yield "in_list", [1, 2, touch]
    yield "in_dict_value", {"state_dict": {"unet.weight": touch}, "epoch": 3}
    yield "in_dict_key", {("a", touch): 1}
    yield "in_state", Calls(dict, state={"x": touch})
    yield "as_state_dict", {"state_dict": touch}
    yield "beside_state_dict", {"state_dict": {}, "callbacks": {"x": touch}}
    yield "list_then_call", Calls(list, [touch])
    yield "apply", Calls(runpy.run_path, path + ".py")


def hand_made(path):
    """Opcodes that no pickler of today writes, and tricks to hide a call."""
    command = f"touch {path}".encode()
    yield "inst", b"(S'" + command + b"'\nios\nsystem\n."
    yield "obj", b"(cos\nsystem\nS'" + command + b"'\no."
    yield "reduce_0", b"cos\nsystem\n(S'" + command + b"'\ntR."
    yield "posix", b"cposix\nsystem\n(S'" + command + b"'\ntR."
    yield "stack_global", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(command)]) + command + b"\x85R."
    yield "popped", b"\x80\x02cos\nsystem\nX" + len(command).to_bytes(4, "little") + command + b"\x85R0}."
    yield "before_error", b"\x80\x02cos\nsystem\nX" + len(command).to_bytes(4, "little") + command + b"\x85R"
    yield "two_pickles", b"\x80\x02}.cos\nsystem\n(S'" + command + b"'\ntR."


def all_pickles(path):
    for name, payload in payloads(path):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            try:
                yield f"{name}_protocol{protocol}", pickle.dumps(payload, protocol)
            except (TypeError, pickle.PicklingError):
                pass
    yield from hand_made(path)


def runs_code(bytes_, wanted):
    if os.path.exists(wanted):
        os.remove(wanted)
    load = "import io, pickle, sys\nstream = io.BytesIO(sys.stdin.buffer.read())\n" \
           "while stream.tell() < len(stream.getvalue()):\n    pickle.load(stream)\n"
    subprocess.run([sys.executable, "-c", load], input=bytes_, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return os.path.exists(wanted)


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, bytes_ in members.items():
            archive.writestr(name, bytes_)
    return stream.getvalue()


def object_array(bytes_):
    """What numpy.load(allow_pickle=True) unpickles: an array of one object."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes_


for place in (marker, probe):
    with open(place + ".py", "w") as script:
        script.write(f"open({place!r}, 'w').close()")
real = {name for name, bytes_ in all_pickles(probe) if runs_code(bytes_, probe)}
os.makedirs(folder)
harmless = []
for name, bytes_ in all_pickles(marker):
    if name not in real:
        harmless.append(name)
        continue
    torch = zipped({"archive/data.pkl": bytes_, "archive/byteorder": "little", "archive/version": "3\n"})
    array = object_array(bytes_)
    for extension, content in ((".plain.ckpt", bytes_), (".zip.ckpt", torch), (".pkl", bytes_), (".pth", torch),
                               (".npy", array), (".npz", zipped({"a.npy": array}))):
        with open(os.path.join(folder, name + extension), "wb") as file:
            file.write(content)
print(f"{len(real)} pickles run code in Python; these do not: {harmless}")
