"""F15: no network and no login at Weights & Biases, and all that can go wrong there: the same training, bit for bit."""
import os
import pathlib
import signal
import subprocess
import unittest

from wandb_harness import RUNFILES, STEPS, WORK, WandbTestCase

SYNC = RUNFILES / "tools/wandb_sync"


class F15WandbTest(WandbTestCase):
    finish_minutes = 0.05  # what does not get through in that time never will

    def warnings(self, said):
        return [line for line in said.splitlines() if line.startswith("warning: Weights & Biases")]

    def sync(self, run):
        done = subprocess.run([str(SYNC), "runs/" + run], cwd=WORK, env=self.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def core_of(self, front):
        """The process number of the wandb-core below the process `front`."""
        below = [front]
        for pid in below:
            for children in pathlib.Path("/proc/%d/task" % pid).glob("*/children"):
                below += [int(child) for child in children.read_text().split()]
        (core,) = [pid for pid in below if pathlib.Path("/proc/%d/comm" % pid).read_text().strip() == "wandb-core"]
        return core

    def test_refused_when_it_starts(self):
        for action in ("401", "403", "404", "500", "silence"):
            with self.subTest(action):
                run = "refused_" + action
                self.server.faults("* " + action)
                said = self.train(run)
                self.assert_same_training(run)
                self.assertEqual(len(self.warnings(said)), 1, said)
                self.assertIn("the run goes on offline, and wandb_sync uploads it", said)
                self.server.faults()
                self.sync(run)
                self.assert_complete(run)

    def test_no_server_at_all(self):
        self.server.kill()
        said = self.train("no_server")
        self.assert_same_training("no_server")
        self.assertEqual(len(self.warnings(said)), 1, said)
        self.server.start()
        self.sync("no_server")
        self.assert_complete("no_server")

    def test_what_is_uploaded_is_refused(self):
        for name, action in (("file_stream", "401"), ("file_stream", "404"), ("file_stream", "500"), ("PUT", "403"),
                             ("CreateArtifact", "403"), ("CreateArtifact", "500")):
            with self.subTest(name + " " + action):
                run = "uploads_%s_%s" % (name, action)
                self.server.faults("%s %s" % (name, action))
                said = self.train(run)
                self.assert_same_training(run)
                # Each kind of trouble once.
                self.assertEqual(len(self.warnings(said)), len(set(self.warnings(said))), said)
                self.assertGreater(len(self.warnings(said)), 0, said)

    def test_pictures_alone_are_refused(self):
        self.server.faults("PUT 403")
        said = self.train("pictures", "--set", "logging.wandb.upload_checkpoints=false")
        self.assert_same_training("pictures")
        self.assertIn("files could not be uploaded", said)
        self.assertEqual(self.seen("pictures")["files"], [])
        self.server.faults()
        self.sync("pictures")
        self.assertGreater(len([name for name in self.seen("pictures")["files"] if name.endswith(".png")]), 5)
        # All rows are there; those from before are there twice.
        steps = {row["trainer/global_step"] for row in self.seen("pictures")["history"]}
        self.assertEqual(steps, {row["step"] for row in self.rows("pictures")})

    def test_the_server_dies_in_the_middle(self):
        for name in ("file_stream", "CreateArtifactFiles", "PUT"):
            with self.subTest(name):
                run = "dies_" + name
                self.server.faults(name + " die 1")
                said = self.train(run)
                self.assert_same_training(run)
                self.assertIn("wandb_sync", said)
                self.server.kill()
                self.server.faults()
                self.server.start()
                self.sync(run)
                self.assert_complete(run)

    def test_wandb_core_is_killed_or_hangs(self):
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
            with self.subTest(number.name):
                run = "core_" + number.name
                process = self.start(run)
                said = self.wait_for(process, "step 3/")
                core = self.core_of(process.pid)
                os.kill(core, number)
                said += self.rest(process)
                self.assert_same_training(run)
                if number != signal.SIGSTOP:
                    self.assertIn("starting it again", said)
                self.assertFalse(pathlib.Path("/proc/%d" % core).exists())

    def test_a_folder_that_cannot_be(self):
        (WORK / "file").write_text("in the way")
        said = self.train("no_folder", environment=self.environment(WANDB_DIR=str(WORK / "file")))
        self.assert_same_training("no_folder")
        self.assertIn(str(WORK / "file"), said)

    def test_a_stop_ends_in_time_whatever_the_server_does(self):
        self.server.faults("file_stream silence", "PUT silence")
        process = self.start("stopped", "--set", "logging.wandb.grace_seconds=2")
        self.wait_for(process, "step 5/")
        process.send_signal(signal.SIGTERM)
        self.rest(process, code=75)
        self.server.faults()
        self.train("stopped")
        self.assert_same_training("stopped")

    def test_without_a_key_it_says_what_to_do(self):
        environment = self.environment()
        del environment["WANDB_API_KEY"]
        said = self.train("no_key", code=2, environment=environment)
        for way in ("WANDB_API_KEY", "~/.netrc", "--logger_type none", "WANDB_MODE=offline"):
            self.assertIn(way, said)
        self.assertFalse((WORK / "runs/no_key").exists())
        # The second way.
        self.train("no_key", environment=dict(environment, WANDB_MODE="offline"))
        self.assert_same_training("no_key")

    def test_a_second_rank_changes_nothing(self):
        self.server.faults("file_stream 500")
        self.train("two_alone", "--gpus", "2", "--device", "cpu", logger="none")
        self.train("two", "--gpus", "2", "--device", "cpu")
        self.assert_same_training("two", "two_alone", STEPS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
