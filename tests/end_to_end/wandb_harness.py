"""What the tests of train with Weights & Biases share: a server, runs of tiny.textproto, and comparisons."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

RUNFILES = pathlib.Path(os.environ.get("RUNFILES_DIR") or os.environ["TEST_SRCDIR"]) / "cubist"
sys.path.insert(0, str(RUNFILES / "tools/wandb/testing"))
from loopback import Loopback  # noqa: E402

TRAIN = RUNFILES / "tools/train"
TINY = RUNFILES / "tests/end_to_end/tiny.textproto"
WORK = pathlib.Path(os.environ["TEST_TMPDIR"]) / "work"
STEPS = 12
# Of time alone.
TIMING = ("time", "samples_per_second", "data_wait")


class WandbTestCase(unittest.TestCase):
    """Each test has a server of its own; all share the folder and the data in it."""
    finish_minutes = 2  # enough for a machine that has other things to do

    @classmethod
    def setUpClass(cls):
        WORK.mkdir(exist_ok=True)
        os.environ["BUILD_WORKING_DIRECTORY"] = str(WORK)

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[-1]
        self.server = Loopback(WORK / "servers" / self.name)

    def tearDown(self):
        self.server.kill()

    def environment(self, **more):
        return {**self.server.environment(WORK), **more}

    def command(self, run, *flags, logger="wandb"):
        return [str(TRAIN), str(TINY), "--wname", run, "--max_steps", str(STEPS), "--logger_type", logger,
                "--set", "logging.wandb.finish_minutes=%g" % self.finish_minutes,
                "--set", "logging.wandb.grace_seconds=6", "--set", "logging.wandb.upload_interval_hours=0", *flags]

    def train(self, run, *flags, code=0, logger="wandb", environment=None):
        """Trains to the end; what it said."""
        done = subprocess.run(self.command(run, *flags, logger=logger), cwd=WORK, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=environment or self.environment())
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def start(self, run, *flags, environment=None):
        """A training that goes on while the test does; its output comes by wait_for() and rest()."""
        return subprocess.Popen(self.command(run, *flags), cwd=WORK, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=environment or self.environment())

    def wait_for(self, process, text):
        """Reads lines up to one with `text`."""
        said = ""
        for line in process.stdout:
            said += line
            if text in line:
                return said
        self.fail("it ended before it said %r: %s" % (text, said))

    def rest(self, process, code=0):
        said = process.stdout.read()
        process.wait()
        process.stdout.close()
        self.assertEqual(process.returncode, code, said)
        return said

    def alone(self):
        """A run that logs nowhere, made once."""
        if not (WORK / "runs/alone").exists():
            self.train("alone", logger="none")
        return "alone"

    def assert_same_training(self, run, other=None, step=STEPS):
        """Tensors, moments and averages are equal, bit for bit, and so are the numbers in metrics.jsonl."""
        other = other or self.alone()
        folders = [WORK / "runs" / r / "checkpoints" / ("step-%09d" % step) for r in (run, other)]
        a, b = ({path.name: path.read_bytes() for path in folder.glob("*.safetensors")} for folder in folders)
        self.assertGreaterEqual(len(a), 3)
        self.assertEqual(a, b)
        self.assertEqual(self.rows(run), self.rows(other))

    def rows(self, run):
        rows = [json.loads(line) for line in (WORK / "runs" / run / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if key not in TIMING} for row in rows]

    def identity(self, run):
        return json.loads((WORK / "runs" / run / "wandb_run.json").read_text())

    def seen(self, run):
        """What the server has of it."""
        return self.server.run(self.identity(run)["id"])

    def assert_complete(self, run):
        """The server has every row of it."""
        history = [row for row in self.seen(run)["history"] if not any(key.startswith("img/") for key in row)]
        wanted = []
        for row in self.rows(run):
            row["trainer/global_step"] = row.pop("step")
            del row["split"]
            wanted.append(row)
        got = [{key: value for key, value in row.items() if key not in TIMING and not key.startswith("_")}
               for row in history]
        self.assertEqual(got, wanted)
        self.assertEqual(self.server.state()["unknown"], [])
