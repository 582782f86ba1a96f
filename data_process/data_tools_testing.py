"""What the tests of generate_metadata_csv and inspect share: a data set to damage, and running a program."""
import ctypes
import os
import re
import shutil
import signal
import subprocess
import time

RUNFILES = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
CLIPS = ["10061305430875486848_1080_000_1100_000", "13679757109245957439_4167_170_4187_170", "ab-c", "b.c", "d e", "ü"]
FRAMES = 5


def new_folder(name):
    folder = os.path.join(os.environ["TEST_TMPDIR"], name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def data_set(name, clips=CLIPS, frames=FRAMES):
    """A folder with every kind of file for these clips; made once, then copied."""
    template = os.path.join(os.environ["TEST_TMPDIR"], "template-%d-%d" % (len(clips), frames))
    if not os.path.exists(template):
        maker = os.path.join(RUNFILES, "data_process/inspection/make_test_data")
        subprocess.run([maker, template, str(frames)] + clips, check=True)
    folder = os.path.join(os.environ["TEST_TMPDIR"], name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    return folder


def content(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def wait_for_signal_handlers(child):
    """Until a program catches SIGINT and SIGTERM, or has ended; at most a minute."""
    wanted = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGTERM - 1)
    end = time.monotonic() + 60
    while child.poll() is None:
        caught = int(re.search(rb"SigCgt:\t([0-9a-f]+)", content(f"/proc/{child.pid}/status")).group(1), 16)
        if caught & wanted == wanted:
            return
        if time.monotonic() > end:
            raise AssertionError("the program catches no signals")
        time.sleep(0.001)


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.said = out + err


def drop_root():
    """From the next exec on, file modes bind root as they bind anybody."""
    library = ctypes.CDLL(None, use_errno=True)
    drop_bounding_capability, dac_override, dac_read_search = 24, 1, 2
    for capability in (dac_override, dac_read_search):
        library.prctl(drop_bounding_capability, capability, 0, 0, 0)


def run(program, *arguments, cwd=None):
    """Runs a program of data_process as from the folder `cwd`."""
    environment = dict(os.environ)
    if cwd:
        environment["BUILD_WORKING_DIRECTORY"] = cwd
    done = subprocess.run([os.path.join(RUNFILES, "data_process", program)] + [os.fsencode(a) for a in arguments],
                          env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=drop_root)
    return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
