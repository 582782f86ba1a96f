"""loopback_server.py as a process of a test in Python."""
import json
import os
import pathlib
import subprocess
import sys
import time

SERVER = pathlib.Path(__file__).with_name("loopback_server.py")
KEY = "k" * 40


class Loopback:
    """A server in `folder`, which is new."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port, self.process = None, None
        self.start()

    def start(self):
        """Also after kill(): at the same address, and it knows nothing."""
        (self.folder / "port").unlink(missing_ok=True)
        (self.folder / "state.json").unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, str(SERVER), str(self.folder)] + [self.port] * bool(self.port))
        while not (self.folder / "port").exists():
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.01)
        self.port = (self.folder / "port").read_text()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def faults(self, *lines):
        """Each "NAME ACTION [COUNT]" as loopback_server.py has them, from the next request on."""
        (self.folder / "faults").write_text("".join(line + "\n" for line in lines))

    def environment(self, home):
        """That of a program which is to log in there."""
        return dict(os.environ, HOME=str(home), WANDB_API_KEY=KEY, WANDB_BASE_URL="http://127.0.0.1:" + self.port)

    def state(self):
        path = self.folder / "state.json"
        return json.loads(path.read_text()) if path.exists() else {"runs": [], "artifacts": [], "unknown": []}

    def run(self, name):
        """The run of this id; None if there is none."""
        return next((run for run in self.state()["runs"] if run["name"] == name), None)
