"""A training as Weights & Biases has it: online, offline and resumed."""
import base64
import hashlib
import json
import signal
import subprocess
import unittest

from wandb_harness import RUNFILES, STEPS, WORK, WandbTestCase

SYNC = RUNFILES / "tools/wandb_sync"


class WandbTest(WandbTestCase):

    def assert_same_files(self, artifact, checkpoint):
        """The server has the files of the checkpoint in this folder."""
        blobs = self.server.state()["blobs"]
        prefix = "artifact/%s/" % artifact["id"]
        uploaded = {name[len(prefix):]: blob["md5"] for name, blob in blobs.items() if name.startswith(prefix)}
        uploaded.pop("wandb_manifest.json", None)
        files = {str(path.relative_to(checkpoint)): base64.b64encode(hashlib.md5(path.read_bytes()).digest()).decode()
                 for path in checkpoint.rglob("*") if path.is_file()}
        self.assertEqual(uploaded, files)

    def test_online(self):
        said = self.train("online", "--wandb_entity", "team", "--wandb_project", "roads", "--set",
                          "logging.wandb.name=\"waymo_wds/\"", "--set", "logging.wandb.tags=[\"small\"]")
        self.assert_same_training("online")
        self.assert_complete("online")
        run, identity = self.seen("online"), self.identity("online")
        self.assertEqual((run["entity"], run["project"], run["displayName"]), ("team", "roads", "waymo_wds/online"))
        self.assertEqual(identity, {"entity": "team", "project": "roads", "id": run["name"],
                                    "name": "waymo_wds/online"})
        self.assertIn("/team/roads/runs/" + run["name"], said)
        self.assertEqual((run["exit_code"], run["tags"]), (0, ["small"]))
        self.assertEqual(run["config"]["training/max_steps"]["value"], STEPS)
        pictures = {row["trainer/global_step"]: row for row in run["history"] if "img/sample_train" in row}
        self.assertEqual(sorted(pictures), [4, 8, 12])
        shown = pictures[4]["img/sample_train"]
        self.assertEqual(self.server.state()["blobs"]["run/team/roads/%s/%s" % (run["name"], shown["path"])]["size"],
                         shown["size"])
        self.assertTrue(any("done: step 12" in line for line in run["output"].values()), run["output"])
        newest = self.server.state()["artifacts"][-1]
        self.assertTrue({"last", "latest", "step-12"} <= set(newest["aliases"]), newest)
        self.assertEqual(json.loads(newest["metadata"])["step"], 12)
        self.assert_same_files(newest, WORK / "runs/online/checkpoints/step-000000012")
        aliases = [alias for artifact in self.server.state()["artifacts"] for alias in artifact["aliases"]]
        self.assertEqual(len(aliases), len(set(aliases)))
        self.assertIn("best", aliases)

    def test_offline_and_uploaded_later(self):
        said = self.train("offline", environment=self.environment(WANDB_MODE="offline", WANDB_API_KEY=""))
        self.assert_same_training("offline")
        self.assertEqual(self.server.state()["runs"], [])
        self.assertIn("wandb_sync uploads it", said)
        subprocess.run([str(SYNC), "runs/offline"], cwd=WORK, env=self.environment(), check=True)
        self.assert_complete("offline")
        self.assertEqual(self.seen("offline")["exit_code"], 0)
        (artifact,) = self.server.state()["artifacts"]
        self.assertEqual(artifact["state"], "COMMITTED")
        self.assert_same_files(artifact, WORK / "runs/offline/checkpoints/step-000000012")

    def test_the_same_run_goes_on(self):
        ids = set()
        for step in ("step 3/", "step 7/"):
            process = self.start("resumed")
            self.wait_for(process, step)
            process.send_signal(signal.SIGTERM)
            self.rest(process, code=75)
            ids.add(self.identity("resumed")["id"])
            run = self.seen("resumed")
            self.assertEqual((run["exit_code"], run["preempting"]), (75, True))
        # The checkpoint knows it, too.
        (WORK / "runs/resumed/wandb_run.json").unlink()
        self.train("resumed")
        ids.add(self.identity("resumed")["id"])
        self.assertEqual(len(ids), 1)
        self.assert_same_training("resumed")
        self.assert_complete("resumed")
        self.assertEqual(len(self.server.state()["runs"]), 1)
        self.assertEqual(self.seen("resumed")["exit_code"], 0)

    def test_a_run_goes_on_where_it_was(self):
        process = self.start("where", "--wandb_entity", "team", "--wandb_project", "roads")
        self.wait_for(process, "step 3/")
        process.send_signal(signal.SIGTERM)
        self.rest(process, code=75)
        said = self.train("where", environment=self.environment(WANDB_ENTITY="others", WANDB_PROJECT="streets"))
        self.assertNotIn("was logged as", said)
        (run,) = self.server.state()["runs"]
        self.assertEqual((run["entity"], run["project"]), ("team", "roads"))
        self.assert_complete("where")
        # Who asks for another place gets it, and is told.
        said = self.train("where", "--wandb_project", "streets")
        self.assertIn("this run was logged as team/roads/" + run["name"], said)
        self.assertEqual(len(self.server.state()["runs"]), 2)

    def test_offline_in_parts(self):
        offline = self.environment(WANDB_MODE="offline")
        process = self.start("parts", environment=offline)
        self.wait_for(process, "step 5/")
        process.send_signal(signal.SIGTERM)
        self.rest(process, code=75)
        self.train("parts", environment=offline)
        subprocess.run([str(SYNC), "runs/parts"], cwd=WORK, env=self.environment(), check=True)
        self.assert_complete("parts")
        self.assertEqual(len(self.server.state()["runs"]), 1)

    def test_another_run_from_its_checkpoint_is_another_run(self):
        self.train("first")
        self.train("second", "--resume_from", "runs/first:8")
        self.assertNotEqual(self.identity("first")["id"], self.identity("second")["id"])
        self.assertEqual(len(self.server.state()["runs"]), 2)

    def test_disabled(self):
        said = self.train("disabled", environment=self.environment(WANDB_MODE="disabled"))
        self.assertEqual(self.server.state()["runs"], [])
        self.assertNotIn("Biases", said)
        self.assertFalse((WORK / "runs/disabled/wandb").exists())

    def test_system_metrics(self):
        self.train("system", "--set", "logging.wandb.system_metrics=true")
        self.assertTrue(any("system.memory_percent" in row for row in self.seen("system")["events"]),
                        self.seen("system")["events"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
