"""slurm_launch from outside, on a SLURM that is played (testing/fake_slurm.py): chains of slots with every way that
they can go on and end, and what launch, status, cancel and logs say of them. Arguments: the programs slurm_launch and
make_checkpoint, and a config.

The scripts that are submitted are those of testdata/*.golden. After a deliberate change of them:
    ./bazelw run //tools/slurm:slurm_launch_test -- --update
and review the difference.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "testing"))
import fake_slurm  # pylint: disable=wrong-import-position

PROGRAM, MAKE_CHECKPOINT, CONFIG = (os.path.abspath(path) for path in sys.argv[1:4])
FOLDER = os.environ["TEST_TMPDIR"]
UPDATED = os.environ.get("BUILD_WORKSPACE_DIRECTORY") if "--update" in sys.argv else None

# What belongs to the process that submits, and to no job.
OWN_VARIABLES = {
    "SLURM_JOB_ID": "99", "SLURM_RESTART_COUNT": "3", "SLURM_NTASKS": "7", "SLURMD_NODENAME": "login",
    "BUILD_WORKSPACE_DIRECTORY": "/nowhere", "RUNFILES_DIR": "/nowhere", "RUNFILES_MANIFEST_ONLY": "1",
    "TEST_SRCDIR": "/nowhere", "BAZEL_TEST": "1", "JAVA_RUNFILES": "/nowhere", "PYTHON_RUNFILES": "/nowhere"}
NO_ANSWER = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"


class SlurmTest(unittest.TestCase):
    maxDiff = None
    place = "runs of the test"  # all is quoted

    def setUp(self):
        self.folder = os.path.join(FOLDER, self.place, self.id().split(".", 1)[1])
        self.bundle = self.path("bundle")
        os.makedirs(self.bundle)
        os.symlink(PROGRAM, os.path.join(self.bundle, "slurm_launch"))
        for name in ("train", "train_worker"):
            with open(os.path.join(self.bundle, name), "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\nexit 70\n")
            os.chmod(file.name, 0o755)
        self.slurm = fake_slurm.FakeSlurm(self.path("cluster"), MAKE_CHECKPOINT)
        self.run_folder = self.path("runs", "vae")

    def tearDown(self):
        self.slurm.stop()
        self.assertEqual(self.slurm.misuses(), [])
        shutil.rmtree(self.folder)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8") as file:
            return file.read()

    def environment(self):
        return {**OWN_VARIABLES, "PATH": self.slurm.bin, "HOME": self.folder, "TZ": "UTC",
                "BUILD_WORKING_DIRECTORY": self.folder, "SLURM_CONF": "/etc/slurm.conf", "MINE": "kept"}

    def run_it(self, code, *arguments):
        """Standard output of slurm_launch; standard error is in self.said."""
        done = subprocess.run([PROGRAM, *arguments], env=self.environment(), cwd=self.folder, capture_output=True,
                              stdin=subprocess.DEVNULL, check=False, timeout=120)
        self.said = done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout.decode()}{self.said}")
        return done.stdout.decode()

    def launch(self, *flags, code=0, command="train {} --device cpu --gpus 4 --wname vae".format(CONFIG)):
        return self.run_it(code, "--nodes", "2", "--bundle", self.bundle, "-c", command, *flags)

    @staticmethod
    def job_of(report):
        return report.split("submitted job ")[1].split(":")[0]

    def play(self, slot, **what):
        self.slurm.play(slot, **what)

    def events(self, kind=None, run=None):
        with open(os.path.join(run or self.run_folder, "slurm", "slots.jsonl"), encoding="utf-8") as file:
            events = [json.loads(line) for line in file if line.startswith("{") and line.endswith("}\n")]
        return [event for event in events if kind in (None, event["event"])]

    def ends(self, run=None):
        """(ending, exit code, state, step) of each slot that ended; a later event of a slot corrects an earlier one."""
        last = {event["slot"]: event for event in self.events("ENDED", run)}
        return [(event["ending"], event.get("exit_code"), event.get("state"), event["step"]) for event in last.values()]

    def reason(self, run=None):
        """Why the chain ended, which it did once."""
        ended = self.events("CHAIN_ENDED", run)
        self.assertEqual(len(ended), 1, self.events(run=run))
        return ended[0]["reason"]

    def goes_on(self):
        return not self.events("CHAIN_ENDED")

    def job_log(self, job):
        return self.read("runs", "vae", "slurm", f"job-{job}.log")


class ChainTest(SlurmTest):
    def test_three_slots_to_the_end(self):
        out = self.launch()
        self.assertIn("submitted job 1: 2 nodes, up to 100 slots of 04:00:00\n", out)
        self.assertIn(f"run folder: {self.run_folder}\n", out)
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[75, 75], step=20)
        self.play(3, exits=[0, 0], step=30)
        self.assertEqual(self.slurm.run(), 75)
        self.assertEqual(self.slurm.states(), {"1": "PENDING", "2": "PENDING"})
        self.assertEqual(self.slurm.may_start(), ["1"])
        self.assertEqual(self.slurm.run(), 75)
        self.assertEqual(self.slurm.run(), 0)
        self.assertEqual(self.slurm.states(), {"1": "COMPLETED", "2": "CANCELLED"})
        self.assertEqual(self.ends(), [("PREEMPTION", 75, None, 10), ("PREEMPTION", 75, None, 20),
                                       ("DONE", 0, None, 30)])
        self.assertEqual(self.reason(), "the run is done")
        # The next job waits before work begins, and is asked for once.
        kinds = [line.split(" --")[0] for line in self.slurm.lines("sbatch", "srun", "scontrol", "scancel")]
        self.assertEqual(kinds, ["sbatch", "sbatch", "srun", "scontrol", "scontrol requeue 1", "scontrol", "srun",
                                 "scontrol", "scontrol requeue 1", "scontrol", "srun", "scancel 2"])
        self.assertEqual(self.slurm.lines("sbatch"), ["sbatch --parsable slot.sh",
                                                      "sbatch --parsable --dependency=afterany:1 slot.sh"])
        started = self.events("STARTED")
        self.assertEqual([(event["slot"], event["job"], event.get("restart", 0), event["nodes"], event["node_count"],
                           event["step"]) for event in started],
                         [(1, "1", 0, "node[1-2]", 2, 0), (2, "1", 1, "node[1-2]", 2, 10),
                          (3, "1", 2, "node[1-2]", 2, 20)])
        self.assertEqual(os.readlink(os.path.join(self.run_folder, "logs", "latest")), "slot-0003")
        self.assertEqual(self.read("runs", "vae", "logs", "slot-0002", "launch.log"),
                         "0: train: node 0 of slot 2\n1: train: node 1 of slot 2\n")
        # One log of all times that the job ran.
        self.assertEqual(self.job_log(1).count("of the run goes on from step"), 3)

    def test_srun_gets_its_words(self):
        self.launch()
        self.play(1, exits=[0, 0], step=1)
        self.slurm.run()
        self.assertEqual([call["arguments"] for call in self.slurm.calls("srun")], [[
            "--nodes=2", "--ntasks-per-node=1", "--label", "--kill-on-bad-exit=0", "--cpu-bind=none",
            f"{self.bundle}/train", f"{self.run_folder}/slurm/config.textproto",
            "--run_dir", self.run_folder, "--wname", "vae", "--device", "cpu", "--gpus", "4",
            "--log_dir", f"{self.run_folder}/logs/slot-0001"]])
        self.assertEqual(self.slurm.calls("srun")[0]["folder"], self.folder)

    def test_environment_of_jobs(self):
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[0, 0], step=20)
        self.slurm.run_all()
        for call in self.slurm.calls("sbatch"):
            names = call["environment"]
            own = [name for name in names if name.startswith(("SLURM", "BUILD_", "RUNFILES", "TEST_", "BAZEL", "JAVA",
                                                              "PYTHON"))]
            self.assertEqual(own, ["SLURM_CONF"])
            self.assertEqual((names["MINE"], names["HOME"]), ("kept", self.folder))
            self.assertEqual(call["folder"], f"{self.run_folder}/slurm")
        # srun is in the job.
        self.assertEqual([(call["environment"]["SLURM_JOB_ID"], call["environment"].get("SLURM_RESTART_COUNT"),
                           call["environment"]["MINE"]) for call in self.slurm.calls("srun")],
                         [("1", None, "kept"), ("1", "1", "kept")])

    def test_variables_of_sbatch(self):
        """They would win over the script; a user's defaults count for what it does not say."""
        defaults = {"SBATCH_ACCOUNT": "mine", "SBATCH_PARTITION": "mine", "SBATCH_TIMELIMIT": "5", "SBATCH_WAIT": "1",
                    "SBATCH_ARRAY_INX": "0-1", "SBATCH_NO_REQUEUE": "1", "SBATCH_SIGNAL": "B:USR1@1"}
        done = subprocess.run([PROGRAM, "-n", "2", "--account", "flag", "--bundle", self.bundle, "-c",
                               f"train {CONFIG} --device cpu --wname vae"], env={**self.environment(), **defaults},
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.play(1, exits=[75, 75], step=10)
        self.slurm.run()
        for name in ("1", "2"):
            options = self.slurm.job(name)["options"]
            self.assertEqual([options.get(name) for name in ("account", "partition", "time", "signal", "no-requeue")],
                             ["flag", "mine", "04:00:00", "B:USR1@300", None])
        self.assertEqual(list(self.slurm.states()), ["1", "2"])

    def test_exit_codes_of_nodes(self):
        """Each code by itself and with others; srun tells the highest."""
        for exits, code, ending, goes_on in (
                ([75, 75], 75, "PREEMPTION", True), ([5, 5], 5, "FAILURE", True), ([75, 5], 5, "FAILURE", True),
                ([75, None], 5, "FAILURE", True), ([0, None], 5, "FAILURE", True), ([0, 75], 75, "PREEMPTION", True),
                ([70, 75], 70, "STOPPED", False), ([5, 70], 70, "STOPPED", False), ([2, 2], 2, "STOPPED", False),
                ([3, 5], 3, "STOPPED", False), ([4, 4], 4, "STOPPED", False), ([5, 6], 6, "STOPPED", False),
                ([3, None], 3, "STOPPED", False), ([1, 1], 70, "STOPPED", False), ([0, 0], 0, "DONE", False)):
            with self.subTest(exits=exits):
                self._check_exits(exits, code, ending, goes_on)

    def _check_exits(self, exits, code, ending, goes_on):
        name = "-".join(map(str, exits))
        run = self.path("runs", name)
        self.slurm.play(1, run, exits=exits, step=10)
        out = self.launch(command=f"train {CONFIG} --device cpu --wname {name}")
        job = self.job_of(out)
        self.assertEqual(self.slurm.run(job), 75 if goes_on else code)
        self.assertEqual(self.ends(run), [(ending, code, None, 10)])
        successor = str(int(job) + 1)
        if goes_on:
            self.assertEqual(self.events("CHAIN_ENDED", run), [])
            self.assertEqual((self.slurm.job(job)["state"], self.slurm.job(successor)["state"]), ("PENDING", "PENDING"))
            self.slurm.forget(job)
            self.slurm.forget(successor)
        else:
            self.assertIn(f"exit code {code}" if code else "the run is done", self.reason(run))
            self.assertEqual(self.slurm.job(successor)["state"], "CANCELLED")

    def test_srun_that_fails_by_itself(self):
        """No node came as far as leaving a code."""
        self.launch()
        self.play(1, exits=[None, None], code=1)
        self.assertNotEqual(self.slurm.run(), 0)
        self.assertEqual(self.ends(), [("STOPPED", None, None, 0)])
        self.assertIn("srun ended with exit code 1", self.reason())

    def test_a_job_that_outlives_a_node(self):
        """--no-kill: srun kills the other tasks, and the job itself is left alone."""
        self.launch("--sbatch_option", "--no-kill")
        self.play(1, exits=[None, None], code=137, step=10, says="srun: error: Node failure on node2\n")
        self.assertEqual(self.slurm.run(), 75)
        self.assertEqual(self.ends(), [("FAILURE", None, "NODE_FAIL", 10)])
        self.assertEqual(self.slurm.may_start(), ["1"])

    def test_warning_before_the_limit(self):
        self.launch()
        self.play(1, exits=[75, 75], until="signal", saved_step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.slurm.warn(job)
        self.assertEqual(self.slurm.wait(job), 75)
        self.assertEqual(self.ends(), [("TIME_LIMIT", 75, None, 10)])
        self.assertEqual([event["signal"] for event in self.events("SIGNALLED")], ["USR1"])
        self.assertEqual(self.slurm.calls("srun ends")[0]["received"], ["SIGUSR1"])
        self.assertEqual(self.slurm.job(job)["reason"], "BeginTime")
        self.assertTrue(self.goes_on())

    def test_warning_before_srun_is_ready(self):
        """srun, or train, dies of it: nothing was wrong with the run."""
        self.launch()
        self.play(1, until="unprepared")
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.slurm.warn(job)
        self.assertEqual(self.slurm.wait(job), 75)
        self.assertEqual([end[0] for end in self.ends()], ["TIME_LIMIT"])
        self.assertTrue(self.goes_on())


class KilledSlotTest(SlurmTest):
    """Slots that leave no end: the next job finds out."""

    def kill(self, state, step=10, forget=False, accounting=False):
        if accounting:
            self.slurm.keep_accounts()
        self.launch()
        self.play(1, until="killed", step=step)
        self.play(2, exits=[75, 75], step=step + 10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.slurm.kill(job, state)
        if forget:
            self.slurm.forget(job)
        self.assertEqual(self.ends(), [])

    def check(self, ending, state, next_job="2"):
        """What the successor makes of it."""
        goes_on = ending in ("TIME_LIMIT", "PREEMPTION", "FAILURE")
        code = self.slurm.run("2")
        self.assertEqual(self.ends()[0], (ending, None, state, 10))
        self.assertEqual(len(self.slurm.calls("srun")), 2 if goes_on else 1)
        self.assertEqual(self.goes_on(), goes_on)
        if goes_on:
            self.assertEqual(code, 75)
            self.assertEqual(self.events("STARTED")[1]["job"], "2")
            # It has a successor of its own, and went back into the queue by itself if SLURM says that it may.
            self.assertEqual(self.slurm.states()["3"], "PENDING")
            self.assertEqual(self.slurm.may_start(), [next_job])
        else:
            self.assertNotIn("3", self.slurm.states())

    def test_time_limit(self):
        self.kill("TIMEOUT")
        self.check("TIME_LIMIT", "TIMEOUT")

    def test_preempted(self):
        self.kill("PREEMPTED")
        self.check("PREEMPTION", "PREEMPTED")

    def test_node_fail(self):
        self.kill("NODE_FAIL")
        self.check("FAILURE", "NODE_FAIL")

    def test_boot_fail(self):
        self.kill("BOOT_FAIL")
        self.check("FAILURE", "BOOT_FAIL")

    def test_cancelled(self):
        self.kill("CANCELLED")
        self.check("CANCELLED", "CANCELLED")

    def test_failed(self):
        self.kill("FAILED")
        self.check("STOPPED", "FAILED")

    def test_out_of_memory(self):
        self.kill("OUT_OF_MEMORY")
        self.check("STOPPED", "OUT_OF_MEMORY")

    def test_deadline(self):
        self.kill("DEADLINE")
        self.check("STOPPED", "DEADLINE")

    def test_forgotten_but_accounted(self):
        self.kill("PREEMPTED", forget=True, accounting=True)
        self.check("PREEMPTION", "PREEMPTED")
        self.assertEqual(len(self.slurm.calls("sacct")), 1)

    def test_cancelled_forgotten_but_accounted(self):
        self.kill("CANCELLED", forget=True, accounting=True)
        self.check("CANCELLED", "CANCELLED")

    def test_scontrol_does_not_answer_but_squeue_does(self):
        self.kill("NODE_FAIL")
        self.slurm.fail("^scontrol .*show", NO_ANSWER)
        self.check("FAILURE", "NODE_FAIL")

    def test_forgotten(self):
        self.kill("TIMEOUT", forget=True)
        self.check("FAILURE", None)
        self.assertIn("vanished", self.events("ENDED")[0]["reason"])

    def test_nobody_answers(self):
        """The one slow test: it asks three times, with pauses."""
        self.kill("TIMEOUT")
        self.slurm.fail("^(scontrol .*show|squeue|sacct)", NO_ANSWER)
        self.check("FAILURE", None, next_job="3")
        self.assertEqual(len(self.slurm.calls("sacct")), 6)
        self.assertIn("neither scontrol nor squeue nor sacct", self.job_log(2))

    def test_exit_codes_that_nodes_left_say_more(self):
        """The script was killed when the nodes had ended already."""
        for exits, ending in (([75, 75], "FAILURE"), ([3, 75], "STOPPED"), ([0, 0], "DONE")):
            with self.subTest(exits=exits):
                name = f"ended {exits[0]}"
                run = self.path("runs", name)
                self.slurm.play(1, run, until="killed", step=10)
                self.slurm.play(2, run, exits=[75, 75], step=20)
                out = self.launch(command=f"train {CONFIG} --device cpu --wname '{name}'")
                job = self.slurm.start(self.job_of(out))
                self.slurm.until_ready(1, run)
                for node, code in enumerate(exits):
                    with open(f"{run}/logs/slot-0001/node-{8 * node}.exit", "w", encoding="utf-8") as file:
                        file.write(f"{code}\n")
                self.slurm.kill(job, "NODE_FAIL")
                self.slurm.run(str(int(job) + 1))
                self.assertEqual(self.ends(run)[0], (ending, max(exits) if exits[0] != 3 else 3, "NODE_FAIL", 10))
                self.assertEqual(len(self.events("STARTED", run)), 2 if ending == "FAILURE" else 1)

    def test_the_script_died_and_its_code_is_what_is_known(self):
        self.kill("FAILED")
        with self.slurm.store.state() as state:
            state["jobs"]["1"]["exit_code"] = "6:0"
        self.slurm.run("2")
        self.assertEqual(self.ends()[0], ("STOPPED", 6, "FAILED", 10))

    def test_completed_without_a_word(self):
        """The script says 0 of a run that is done alone."""
        self.kill("COMPLETED")
        with self.slurm.store.state() as state:
            state["jobs"]["1"]["exit_code"] = "0:0"
        self.assertEqual(self.slurm.run("2"), 0)
        self.assertEqual(self.ends(), [("DONE", 0, "COMPLETED", 10)])


class EndedBySlurmTest(SlurmTest):
    """SLURM ends a job and gives it time: CONT and TERM, and KILL later."""

    def start(self, exits=(75, 75), saved_step=10, **what):
        self.play(1, exits=list(exits), until="signal", saved_step=saved_step, **what)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        return job

    def test_time_limit_with_a_save(self):
        self.launch()
        self.play(1, exits=[75, 75], until="USR1", saved_step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.slurm.end(job, "time limit")
        self.slurm.wait(job)
        # SLURM's own to the tasks, and ours to srun, which would kill them at another TERM.
        self.assertEqual(sorted(self.slurm.calls("srun ends")[0]["received"]), ["SIGTERM", "SIGUSR1"])
        self.assertEqual(self.ends(), [("TIME_LIMIT", 75, "TIMEOUT", 10)])
        self.assertEqual([event["signal"] for event in self.events("SIGNALLED")], ["TERM"])
        self.assertEqual(self.slurm.states()["1"], "TIMEOUT")
        self.play(2, exits=[0, 0], step=20)
        self.assertEqual(self.slurm.run(), 0)
        self.assertEqual(self.events("STARTED")[1]["job"], "2")
        self.assertEqual(self.reason(), "the run is done")

    def test_time_limit_and_not_all_nodes_saved_in_time(self):
        """That is no failure of a node, of which only some are allowed."""
        for exits in ([75, None], [5, 75], [5, None]):
            with self.subTest(exits=exits):
                run = self.path("runs", f"exits {exits[0]} {exits[1]}")
                self.slurm.play(1, run, exits=exits, until="signal", saved_step=10)
                out = self.launch(command=f"train {CONFIG} --device cpu --wname '{os.path.basename(run)}'")
                job = self.slurm.start(self.job_of(out))
                self.slurm.until_ready(1, run)
                self.slurm.end(job, "time limit")
                self.slurm.wait(job)
                self.assertEqual([(end[0], end[2]) for end in self.ends(run)], [("TIME_LIMIT", "TIMEOUT")])
                self.assertEqual(self.events("CHAIN_ENDED", run), [])

    def test_scancel_by_hand(self):
        """The run saves, and nothing goes on: not by a requeue, which SLURM would grant, and not by the successor."""
        self.launch()
        job = self.start()
        subprocess.run([os.path.join(self.slurm.bin, "scancel"), job], check=True, env={})
        self.slurm.wait(job)
        self.assertEqual([line for line in self.slurm.lines("scontrol") if "requeue" in line], [])
        self.assertEqual(self.slurm.states(), {"1": "CANCELLED", "2": "CANCELLED"})
        self.assertEqual(self.ends(), [("CANCELLED", 75, "CANCELLED", 10)])
        self.assertEqual(self.reason(), "slot 1: its job was cancelled")

    def scancel(self, job):
        subprocess.run([os.path.join(self.slurm.bin, "scancel"), job], check=True, env={})

    def test_scancel_while_it_waits_to_go_on(self):
        """The job is back in the queue when the user cancels it, and tells nobody."""
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.slurm.run()
        self.assertEqual(self.slurm.may_start(), ["1"])
        self.scancel("1")
        self.assertEqual(self.slurm.run("2"), 75)
        self.assertIn("job 1 was cancelled while it waited", self.reason())
        self.assertEqual(len(self.slurm.calls("srun")), 1)
        self.assertNotIn("3", self.slurm.states())

    def test_scancel_while_it_waits_to_go_on_and_forgotten(self):
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.slurm.run()
        self.scancel("1")
        self.slurm.forget("1")
        self.assertEqual(self.slurm.run("2"), 75)
        self.assertIn("job 1 was cancelled while it waited", self.reason())

    def test_scancel_by_hand_and_killed(self):
        self.launch()
        self.play(1, until="killed", step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.slurm.end(job, "scancel")
        self.slurm.kill(job, "CANCELLED")
        # It was long ago, and only the job's log still says so.
        self.slurm.forget(job)
        self.assertEqual(self.slurm.run(), 75)
        self.assertEqual(self.ends(), [("CANCELLED", None, "CANCELLED", 10)])
        self.assertEqual(self.slurm.may_start(), [])

    def test_scancel_and_the_log_does_not_say_so(self):
        """Then the successor asks, and nothing is requeued before."""
        self.launch()
        job = self.start()
        self.slurm.end(job, "scancel", log=False)
        self.slurm.wait(job)
        self.assertEqual([line for line in self.slurm.lines("scontrol") if "requeue" in line], [])
        self.assertEqual(self.ends(), [])
        self.slurm.run_all()
        self.assertEqual(len(self.slurm.calls("srun")), 1)
        self.assertEqual(self.ends(), [("CANCELLED", 75, "CANCELLED", 10)])

    def test_scancel_of_a_run_that_is_done(self):
        self.launch()
        job = self.start(exits=[0, 0])
        self.slurm.end(job, "scancel")
        self.assertEqual(self.slurm.wait(job), 0)
        self.slurm.run_all()
        self.assertEqual([end[0] for end in self.ends()], ["DONE"])
        self.assertEqual(self.reason(), "the run is done")

    def test_requeued_by_slurm(self):
        """The same job starts again, whose successor still waits."""
        for cause, log, state, ending in (("preemption and requeue", True, "PREEMPTED", "PREEMPTION"),
                                          ("preemption and requeue", False, None, "PREEMPTION"),
                                          ("requeue", True, None, "PREEMPTION"),
                                          ("node failure and requeue", True, "NODE_FAIL", "FAILURE"),
                                          ("node failure and requeue", False, "NODE_FAIL", "FAILURE")):
            with self.subTest(cause=cause, log=log):
                name = f"{cause} {log}"
                run = self.path("runs", name)
                self.slurm.play(1, run, exits=[75, 75], until="signal", saved_step=10)
                self.slurm.play(2, run, exits=[0, 0], step=20)
                out = self.launch(command=f"train {CONFIG} --device cpu --wname '{name}'")
                job = self.slurm.start(self.job_of(out))
                self.slurm.until_ready(1, run)
                self.slurm.end(job, cause, log)
                self.slurm.wait(job)
                self.assertEqual(self.slurm.may_start(), [job])
                self.assertEqual(self.slurm.run(), 0)
                self.assertEqual(self.ends(run), [(ending, 75, state, 10), ("DONE", 0, None, 20)])
        self.assertEqual([line for line in self.slurm.lines("scontrol") if "requeue" in line], [])
        self.assertEqual(len(self.slurm.calls("sbatch")), 2 * 5)
        self.assertEqual(sorted(self.slurm.states().values()), ["CANCELLED"] * 5 + ["COMPLETED"] * 5)

    def test_killed_and_requeued_by_slurm(self):
        """As when the first node loses its power: no TERM, no exit codes."""
        self.launch()
        self.play(1, until="killed", step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.slurm.kill(job, "PENDING")
        self.play(2, exits=[0, 0], step=20)
        self.assertEqual(self.slurm.run("1"), 0)
        self.assertEqual([end[0] for end in self.ends()], ["FAILURE", "DONE"])
        self.assertEqual(self.events("STARTED")[1]["restart"], 1)

    def test_killed_after_term_and_requeued_by_slurm(self):
        self.launch()
        self.play(1, until="killed", step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.slurm.end(job, "requeue")
        self.slurm.until_says(os.path.join(self.run_folder, "slurm", "slots.jsonl"), "TERM")
        self.slurm.kill(job, "PENDING")
        self.play(2, exits=[0, 0], step=20)
        self.slurm.run("1")
        self.assertEqual([end[0] for end in self.ends()], ["PREEMPTION", "DONE"])

    def test_not_requeued_by_slurm(self):
        """The successor goes on."""
        for cause, log, state, ending in (("preemption", True, "PREEMPTED", "PREEMPTION"),
                                          ("preemption", False, "PREEMPTED", "PREEMPTION"),
                                          ("node failure", True, "NODE_FAIL", "FAILURE"),
                                          ("node failure", False, "NODE_FAIL", "FAILURE"),
                                          ("time limit", False, "TIMEOUT", "TIME_LIMIT")):
            with self.subTest(cause=cause, log=log):
                name = f"{cause} {log}"
                run = self.path("runs", name)
                self.slurm.play(1, run, exits=[75, 75], until="signal", saved_step=10)
                self.slurm.play(2, run, exits=[0, 0], step=20)
                out = self.launch(command=f"train {CONFIG} --device cpu --wname '{name}'")
                job = self.slurm.start(self.job_of(out))
                self.slurm.until_ready(1, run)
                self.slurm.end(job, cause, log)
                self.slurm.wait(job)
                self.assertEqual(self.slurm.may_start(), [str(int(job) + 1)])
                self.assertEqual(self.slurm.run(), 0)
                self.assertEqual(self.ends(run), [(ending, 75, state, 10), ("DONE", 0, None, 20)])

    def test_node_failure_that_one_node_did_not_survive(self):
        self.launch()
        job = self.start(exits=[5, None])
        self.slurm.end(job, "node failure")
        self.slurm.wait(job)
        self.play(2, exits=[0, 0], step=20)
        self.slurm.run_all()
        self.assertEqual([end[0] for end in self.ends()], ["FAILURE", "DONE"])

    def test_preempted_with_grace_time(self):
        """Tasks alone are told."""
        self.launch()
        job = self.start()
        os.kill(self.slurm.job(job)["pids"]["srun"], signal.SIGTERM)
        self.assertEqual(self.slurm.wait(job), 75)
        self.assertEqual(self.ends(), [("PREEMPTION", 75, None, 10)])
        self.assertEqual(self.slurm.may_start(), ["1"])

    def test_the_end_of_the_last_slot_is_recorded_though_no_job_follows(self):
        self.launch("-i", "1")
        job = self.start()
        self.slurm.end(job, "preemption", log=False)
        self.slurm.wait(job)
        self.assertEqual([end[0] for end in self.ends()], ["PREEMPTION"])
        self.assertIn("all 1 slot of -i are used", self.reason())

    def test_a_bug_is_a_bug_also_at_the_time_limit(self):
        self.launch()
        job = self.start(exits=[70, 75])
        self.slurm.end(job, "time limit")
        self.slurm.wait(job)
        self.slurm.run_all()
        self.assertEqual(self.ends(), [("STOPPED", 70, "TIMEOUT", 10)])
        self.assertEqual(len(self.slurm.calls("srun")), 1)


class RefusalTest(SlurmTest):
    """What a cluster does not allow."""

    REQUEUE = ("^scontrol requeue", "Requested operation is presently disabled for job 1\n")
    SUBMIT = ("^sbatch .*dependency", "sbatch: error: Batch job submission failed: Access/permission denied\n")

    def test_no_requeue(self):
        self.launch()
        self.slurm.fail(*self.REQUEUE)
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[75, 75], step=20)
        self.play(3, exits=[0, 0], step=30)
        self.assertEqual(self.slurm.run(), 75)
        self.assertIn("presently disabled for job 1; the next job goes on instead", self.job_log(1))
        self.assertEqual(self.slurm.states()["1"], "FAILED")
        self.slurm.run_all()
        self.assertEqual([event["job"] for event in self.events("STARTED")], ["1", "2", "3"])
        self.assertEqual([(event["job"], event.get("after")) for event in self.events("SUBMITTED")],
                         [("1", None), ("2", "1"), ("3", "2"), ("4", "3")])
        self.assertEqual(self.slurm.states()["4"], "CANCELLED")
        self.assertEqual(self.reason(), "the run is done")

    def test_no_submission_by_jobs(self):
        self.launch()
        self.slurm.fail(*self.SUBMIT)
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[0, 0], step=20)
        self.assertEqual(self.slurm.run(), 75)
        self.assertIn("warning: no job follows if this one is killed: ", self.job_log(1))
        self.assertIn("Access/permission denied", self.job_log(1))
        self.assertEqual(self.slurm.run(), 0)
        self.assertEqual(self.slurm.states(), {"1": "COMPLETED"})

    def test_neither(self):
        self.launch()
        self.slurm.fail(*self.REQUEUE)
        self.slurm.fail("^sbatch", "sbatch: error: Access/permission denied\n")
        self.play(1, exits=[75, 75], step=10)
        self.assertEqual(self.slurm.run(), 75)
        self.assertIn("cannot be requeued", self.reason())
        self.assertEqual(self.slurm.may_start(), [])

    def test_submission_is_possible_later(self):
        """The successor was refused (a limit on jobs), and so is the requeue: it is tried again."""
        self.launch()
        self.slurm.fail(*self.REQUEUE)
        self.slurm.fail(*self.SUBMIT)
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[0, 0], step=20)
        self.assertEqual(self.slurm.run(), 75)
        self.assertEqual(self.slurm.lines("sbatch")[-1], "sbatch --parsable slot.sh")
        self.assertEqual(self.slurm.run("2"), 0)

    def test_refused_at_launch_leaves_nothing(self):
        self.slurm.fail("^sbatch", "sbatch: error: Batch job submission failed: Invalid account\n")
        self.launch(code=2)
        self.assertIn("Invalid account", self.said)
        self.assertFalse(os.path.exists(self.run_folder))
        # Of a run that was there the ledger says so, and it can be launched again.
        self.slurm.mend()
        self.launch()
        self.play(1, exits=[2, 2], step=10)
        self.slurm.run()
        self.slurm.fail("^sbatch", "sbatch: error: Batch job submission failed: Invalid qos\n")
        self.launch(code=2)
        self.assertIn("Invalid qos", self.events("CHAIN_ENDED")[-1]["reason"])
        self.slurm.mend()
        self.launch()
        self.assertEqual(self.slurm.may_start(), ["3"])

    def test_without_slurm(self):
        os.remove(os.path.join(self.slurm.bin, "sbatch"))
        self.launch(code=2)
        self.assertIn("cannot execute sbatch", self.said)
        self.assertFalse(os.path.exists(self.run_folder))


class LimitsTest(SlurmTest):
    def test_two_slots_without_progress(self):
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[75, 75])
        self.play(3, exits=[75, 75])
        self.slurm.run()
        self.slurm.run()
        self.assertTrue(self.goes_on())
        self.assertEqual(self.slurm.run(), 75)
        self.assertIn("two slots in a row brought no new checkpoint", self.reason())
        self.assertEqual(self.slurm.states(), {"1": "FAILED", "2": "CANCELLED"})

    def test_a_damaged_checkpoint_is_no_progress(self):
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[75, 75], step=20, damage=True)
        self.play(3, exits=[75, 75], step=30, damage=True)
        for _ in range(3):
            self.slurm.run()
        # What was saved is read when the next slot begins.
        self.assertEqual(self.slurm.run(), 75)
        self.assertEqual(len(self.slurm.calls("srun")), 3)
        self.assertEqual([end[3] for end in self.ends()], [10, 10, 10])
        self.assertIn("the newest is of step 10", self.reason())
        self.assertIn("no progress is counted for a checkpoint that does not verify", self.job_log(1))
        self.assertIn("model.safetensors", self.job_log(1))

    def test_max_preemptions(self):
        self.launch("--max_preemptions", "1")
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[75, 75], step=20)
        self.slurm.run_all()
        self.assertEqual(len(self.ends()), 2)
        self.assertIn("2 slots preempted, and max_preemptions is 1", self.reason())

    def test_max_failures(self):
        self.launch("--max_failures", "0")
        self.play(1, exits=[5, 75], step=10)
        self.slurm.run_all()
        self.assertIn("max_failures is 0", self.reason())
        self.assertEqual(self.slurm.job("1")["exit_code"], "5:0")

    def test_iterations_are_used_up(self):
        self.launch("-i", "2")
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[75, 75], step=20)
        self.slurm.run_all()
        self.assertIn("all 2 slots of -i are used; the run is at step 20", self.reason())
        # The first slot's successor was needed, the second's is not.
        self.assertEqual(len(self.slurm.calls("sbatch")), 2)
        self.assertEqual(self.slurm.states(), {"1": "FAILED", "2": "CANCELLED"})

    def test_the_only_slot_has_no_successor(self):
        self.launch("-i", "1")
        self.play(1, exits=[0, 0], step=10)
        self.assertEqual(self.slurm.run(), 0)
        self.assertEqual(len(self.slurm.calls("sbatch")), 1)
        self.assertEqual(self.slurm.calls("scancel"), [])

    def test_launched_again_it_counts_anew(self):
        self.launch("-i", "1")
        self.play(1, exits=[75, 75], step=10)
        self.slurm.run_all()
        self.assertIn("all 1 slot of -i are used", self.reason())
        self.launch("-i", "2")
        self.play(2, exits=[75, 75], step=20)
        self.play(3, exits=[75, 75], step=30)
        self.slurm.run_all()
        self.assertEqual([event["slot"] for event in self.events("STARTED")], [1, 2, 3])
        self.assertEqual(len(self.events("CHAIN_ENDED")), 2)
        self.assertIn("all 2 slots of -i are used", self.events("CHAIN_ENDED")[1]["reason"])


class CancelTest(SlurmTest):
    def test_waiting(self):
        self.launch()
        self.assertEqual(self.run_it(0, "cancel", "vae"), "cancelled job 1\n")
        self.assertEqual(self.slurm.states(), {"1": "CANCELLED"})
        self.assertEqual(self.reason(), "cancelled by slurm_launch cancel")
        self.run_it(2, "cancel", "vae")
        self.assertIn(f"SLURM has no job of the run in {self.run_folder}", self.said)

    def test_running(self):
        self.launch()
        self.play(1, exits=[75, 75], until="signal", saved_step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        out = self.run_it(0, "cancel", self.run_folder)
        self.assertEqual(out, "cancelled job 2\nasked job 1 to save and end; with --now it is killed instead\n")
        self.assertEqual(self.slurm.wait(job), 75)
        self.assertEqual(self.ends(), [("CANCELLED", 75, None, 10)])
        self.assertEqual(self.reason(), "slot 1: cancelled by slurm_launch cancel")
        self.assertEqual(self.slurm.states(), {"1": "FAILED", "2": "CANCELLED"})

    def test_between_slots(self):
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.slurm.run()
        self.assertEqual(self.run_it(0, "cancel", "vae"), "cancelled job 1, 2\n")
        self.assertEqual(self.slurm.may_start(), [])

    def test_while_it_goes_back_into_the_queue(self):
        """scancel's signal comes too late, and when the job starts again it ends."""
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        job = self.slurm.start()
        self.slurm.script_ends(job)
        self.assertEqual(self.slurm.states(), {"1": "COMPLETING", "2": "PENDING"})
        self.run_it(0, "cancel", "vae")
        self.slurm.wait(job)
        self.slurm.run_all()
        self.assertEqual(len(self.slurm.calls("srun")), 1)
        self.assertIn("cancelled", self.events("CHAIN_ENDED")[-1]["reason"])

    def test_now(self):
        self.launch()
        self.play(1, exits=[75, 75], until="signal", saved_step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.assertEqual(self.run_it(0, "cancel", "vae", "--now"), "cancelled job 1, 2\n")
        self.slurm.wait(job)
        self.assertEqual(self.slurm.states(), {"1": "CANCELLED", "2": "CANCELLED"})
        self.assertEqual(self.events("CHAIN_ENDED")[0]["reason"], "cancelled by slurm_launch cancel")
        # It had the time to save, and the ledger has the slot's end.
        self.assertEqual([(end[0], end[3]) for end in self.ends()], [("CANCELLED", 10)])

    def test_a_job_that_started_meanwhile_ends(self):
        """scancel came too late for it: the ledger tells it."""
        self.launch()
        self.slurm.fail("^scancel", "scancel: error: Kill job error on job id 1: Unable to contact controller\n")
        self.run_it(2, "cancel", "vae")
        self.assertEqual(self.slurm.run(), 75)
        self.assertEqual(self.slurm.calls("srun"), [])
        self.assertIn("cancelled", self.reason())

    def test_successor_cancelled_by_hand(self):
        """The next slot asks for another one."""
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[75, 75], step=20)
        self.slurm.run()
        subprocess.run([os.path.join(self.slurm.bin, "scancel"), "2"], check=True, env={})
        self.slurm.run("1")
        self.assertEqual(self.slurm.states(), {"1": "PENDING", "2": "CANCELLED", "3": "PENDING"})
        self.assertEqual(self.slurm.job("3")["dependency"], "1")

    def test_slurm_does_not_answer(self):
        self.launch()
        self.slurm.fail("^(scontrol|squeue|sacct)", NO_ANSWER)
        self.run_it(5, "cancel", "vae")
        self.assertEqual(self.events("CANCEL_REQUESTED"), [])

    def test_unknown_run(self):
        self.run_it(2, "cancel", "nothing")
        self.assertIn("there is no run that slurm_launch submitted in", self.said)


class LaunchTest(SlurmTest):
    def test_again_while_queued(self):
        self.launch()
        self.launch(code=2)
        self.assertIn(f"the run in {self.run_folder} is in the queue already: job 1 is PENDING", self.said)
        self.assertEqual(self.slurm.states(), {"1": "PENDING"})
        self.assertEqual(len(self.events("LAUNCHED")), 1)

    def test_again_while_running(self):
        self.launch()
        self.play(1, until="killed", step=10)
        self.slurm.start()
        self.slurm.until_ready(1)
        self.launch(code=2)
        self.assertIn("job 1 is RUNNING", self.said)

    def test_again_while_a_job_that_was_cancelled_still_ends(self):
        self.launch()
        self.play(1, exits=[75, 75], until="release", saved_step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        self.run_it(0, "cancel", "vae", "--now")
        self.launch(code=2)
        self.assertIn("is still ending (COMPLETING): launch it again when", self.said)
        self.slurm.release(1)
        self.slurm.wait(job)
        self.launch()
        self.assertEqual(self.slurm.may_start(), ["3"])

    def test_a_slot_knows_its_chain(self):
        """Should the run be launched again while it ends nonetheless."""
        self.launch()
        self.play(1, exits=[75, 75], until="signal", saved_step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        ended = {"event": "CHAIN_ENDED", "time": self.events()[-1]["time"], "reason": "of a test"}
        with open(os.path.join(self.run_folder, "slurm", "slots.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(ended) + "\n" + json.dumps(self.events("LAUNCHED")[0]) + "\n")
        self.slurm.end(job, "scancel")
        self.assertEqual(self.slurm.wait(job), 75)
        self.assertEqual(self.ends(), [("CANCELLED", 75, "CANCELLED", 10)])
        self.assertEqual(self.reason(), "of a test")
        self.assertIn("  gone  slot 0 of 100", self.run_it(0, "status", "vae"))

    def test_again_when_slurm_does_not_answer(self):
        self.launch()
        self.slurm.fail("^(scontrol|squeue|sacct)", NO_ANSWER)
        self.launch(code=5)
        self.assertEqual(len(self.slurm.calls("sbatch")), 1)

    def test_again_when_all_jobs_are_gone(self):
        """Cancelled by hand while they waited."""
        self.launch()
        subprocess.run([os.path.join(self.slurm.bin, "scancel"), "1"], check=True, env={})
        self.launch()
        self.assertEqual(self.slurm.states(), {"1": "CANCELLED", "2": "PENDING"})

    def test_done(self):
        self.launch()
        self.play(1, exits=[0, 0], step=360)
        self.slurm.run()
        out = self.launch()
        self.assertEqual(out, f"nothing to do: {self.run_folder} is done, at step 360 of 360\n")
        self.assertEqual(len(self.slurm.calls("sbatch")), 2)

    def test_another_config(self):
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.slurm.run()
        self.run_it(0, "cancel", "vae")
        self.launch(command=f"train {CONFIG} --device cpu --wname vae --set voxel_vae.base_channels=32", code=2)
        self.assertIn("was started with another config", self.said)
        self.assertIn("base_channels", self.said)

    def test_dry_run(self):
        before = sorted(os.listdir(self.folder))
        out = self.launch("--dry_run")
        self.assertIn(f"cd '{self.run_folder}/slurm' && sbatch --parsable slot.sh\n", out)
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        self.assertEqual(self.slurm.calls(), [])

    def test_injections_are_refused(self):
        for flags in (["--account", "a\n#SBATCH --nodes=9"], ["--partition", "a\n#SBATCH --nodes=9"],
                      ["--qos", "a\nb"], ["--constraint", "a\rb"], ["--memory", "1G\n"], ["--mail_user", "a\nb"],
                      ["--time_limit", "04:00:00\n#SBATCH --nodes=9"], ["--sbatch_option", "--reservation=a\nb"],
                      ["--sbatch_option", "--wrap=touch marker"], ["--sbatch_option", "touch marker"],
                      ["--environment", "A B=c"], ["--environment", "A;touch marker=c"], ["--environment", "A"]):
            with self.subTest(flags=flags):
                self.launch(*flags, code=2)
                self.assertEqual((os.path.exists(self.run_folder), self.slurm.calls()), (False, []))

    def test_several_gpus_are_refused(self):
        self.launch(command=f"train {CONFIG} --gpus 2 --wname vae", code=2)
        self.assertIn("this version trains on one GPU, not on ", self.said)
        self.assertEqual((os.path.exists(self.run_folder), self.slurm.calls()), (False, []))

    def test_folders_that_slurm_takes_for_patterns(self):
        """--output would not be found, and the job fail without a word."""
        for name in ("100%", "a\\b"):
            with self.subTest(name=name):
                self.launch(command=f"train {CONFIG} --device cpu --run_dir '{self.folder}/{name}'", code=2)
                self.assertIn(name, self.said)
                self.assertEqual(self.slurm.calls(), [])


class SlotTest(SlurmTest):
    def slot(self, code, environment=None):
        """The batch script's line, called by hand."""
        environment = {"PATH": self.slurm.bin, **(environment or {})}
        done = subprocess.run([f"{self.bundle}/slurm_launch", "slot", self.run_folder, "--", "srun"],
                              env=environment, capture_output=True, check=False, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return (done.stdout + done.stderr).decode()

    def test_outside_of_a_job(self):
        self.launch()
        self.assertIn("there is no SLURM_JOB_ID", self.slot(2))

    def test_a_successor_that_was_not_cancelled_ends_at_once(self):
        self.launch()
        self.slurm.fail("^scancel", "scancel: error: Unable to contact slurm controller (connect failure)\n", 8)
        self.play(1, exits=[0, 0], step=10)
        self.assertEqual(self.slurm.run(), 0)
        self.assertEqual(self.slurm.run("2"), 0)
        self.assertIn("nothing to do, the chain has ended: the run is done", self.job_log(2))
        self.assertEqual(len(self.slurm.calls("srun")), 1)
        self.assertEqual(self.slurm.may_start(), [])

    def test_two_at_once(self):
        """A job that somebody submitted by hand waits for the one that runs."""
        self.launch()
        self.play(1, exits=[75, 75], until="release", step=10)
        self.play(2, exits=[75, 75], step=20)
        self.slurm.start()
        self.slurm.until_ready(1)
        subprocess.run([os.path.join(self.slurm.bin, "sbatch"), "slot.sh"], check=True, stdout=subprocess.DEVNULL,
                       cwd=os.path.join(self.run_folder, "slurm"),
                       env={"PATH": self.slurm.bin})
        self.slurm.start("3")
        self.slurm.release(1)
        self.slurm.wait("1")
        self.slurm.wait("3")
        order = [call["program"] for call in self.slurm.calls("srun", "srun ends")]
        self.assertEqual(order, ["srun", "srun ends", "srun", "srun ends"])
        self.assertEqual([event["job"] for event in self.events("STARTED")], ["1", "3"])
        self.assertEqual([end[3] for end in self.ends()], [10, 20])

    def test_ledger_torn_by_a_crash(self):
        path = os.path.join(self.run_folder, "slurm", "slots.jsonl")
        self.launch()
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[0, 0], step=20)
        self.slurm.run()
        with open(path, "r+", encoding="utf-8") as file:
            text = file.read()
            lines = text.splitlines(keepends=True)
            self.assertIn('"ENDED"', lines[-2])
            file.truncate(len(text) - len(lines[-1]) - 30)
        self.assertEqual(self.slurm.run(), 0)
        self.assertEqual([(end[0], end[3]) for end in self.ends()], [("PREEMPTION", 10), ("DONE", 20)])
        self.assertEqual(self.reason(), "the run is done")

    def test_work_that_cannot_start_ends_the_chain(self):
        """A full disk, a folder that is in the way: no jobs without end that each submit the next."""
        self.launch()
        with open(os.path.join(self.run_folder, "logs"), "w", encoding="utf-8"):
            pass
        self.assertEqual(self.slurm.run(), 6)
        self.slurm.run_all()
        self.assertLessEqual(len(self.slurm.calls("sbatch")), 2)

    def test_a_ledger_that_cannot_be_written_does_not_keep_the_run_from_saving(self):
        path = os.path.join(self.run_folder, "slurm", "slots.jsonl")
        self.launch()
        self.play(1, exits=[75, 75], until="signal", saved_step=10)
        job = self.slurm.start()
        self.slurm.until_ready(1)
        os.rename(path, path + ".away")
        os.mkdir(path)
        self.slurm.warn(job)
        self.slurm.wait(job)
        self.assertEqual(self.slurm.calls("srun ends")[0]["received"], ["SIGUSR1"])
        self.assertTrue(os.path.isdir(os.path.join(self.run_folder, "checkpoints", "step-000000010")))
        os.rmdir(path)
        os.rename(path + ".away", path)
        self.play(2, exits=[0, 0], step=20)
        self.slurm.run("2")
        self.assertEqual([end[0] for end in self.ends()], ["PREEMPTION", "DONE"])

    def test_without_srun(self):
        self.launch()
        os.remove(os.path.join(self.slurm.bin, "srun"))
        self.assertEqual(self.slurm.run(), 2)
        self.slurm.run_all()
        self.assertLessEqual(len(self.slurm.calls("sbatch")), 2)
        self.assertIn("CHAIN_ENDED", self.events()[-1]["event"])


class SweepTest(SlurmTest):
    def setUp(self):
        super().setUp()
        self.runs = [self.path("runs", f"vae_initial={rate}") for rate in ("1e-4", "3e-4", "1e-3")]

    def launch_sweep(self, *flags, code=0):
        return self.launch("--sweep", "learning_rate.initial=1e-4", "--sweep", "learning_rate.initial=3e-4",
                           "--sweep", "learning_rate.initial=1e-3", *flags, code=code)

    def test_array(self):
        out = self.launch_sweep()
        self.assertIn("submitted job 1, an array of 3 runs: ", out)
        self.assertEqual(list(self.slurm.states()), ["1_0", "1_1", "1_2"])
        for run in self.runs:
            self.slurm.play(1, run, exits=[75, 75], step=10)
            self.slurm.play(2, run, exits=[0, 0], step=20)
        # The last task's number is that of the array: it must not be requeued, waited for or cancelled as a whole.
        tasks = ["1_0", "1_1", "1_2"]
        for task in tasks:
            self.slurm.start(task)
        for task in tasks:
            self.assertEqual(self.slurm.wait(task), 75)
        requeues = sorted(line for line in self.slurm.lines("scontrol") if "requeue" in line)
        self.assertEqual(requeues, [f"scontrol requeue {task}" for task in tasks])
        self.assertEqual(self.slurm.may_start(), tasks)
        waiting = sorted(line.split("afterany:")[1] for line in self.slurm.lines("sbatch")[1:])
        self.assertEqual(waiting, [f"{task} slot.sh" for task in tasks])
        self.assertEqual(self.slurm.run("1_2"), 0)
        # Its successor alone is cancelled.
        self.assertEqual(sorted(self.slurm.states().values()),
                         ["CANCELLED", "COMPLETED", "PENDING", "PENDING", "PENDING", "PENDING"])
        for task in ("1_0", "1_1"):
            self.assertEqual(self.slurm.run(task), 0)
        self.assertEqual(self.slurm.may_start(), [])
        for task, run in zip(tasks, self.runs):
            self.assertEqual([end[0] for end in self.ends(run)], ["PREEMPTION", "DONE"])
            self.assertEqual({event["job"] for event in self.events("STARTED", run)}, {task})
            with open(os.path.join(run, "slurm", "config.textproto"), encoding="utf-8") as file:
                rate = float(file.read().split("initial: ")[1].split()[0])
            self.assertEqual(rate, float(run.split("=")[1]))

    def test_a_task_that_was_killed_goes_on_in_its_successor(self):
        self.launch_sweep()
        for run in self.runs:
            self.slurm.play(1, run, until="killed", step=10)
            self.slurm.play(2, run, exits=[0, 0], step=20)
        self.slurm.start("1_2")
        self.slurm.until_ready(1)
        self.slurm.kill("1_2", "TIMEOUT")
        self.assertEqual(self.slurm.may_start(), ["1_0", "1_1", "4"])
        self.assertEqual(self.slurm.run("4"), 0)
        self.assertEqual(self.ends(self.runs[2]), [("TIME_LIMIT", None, "TIMEOUT", 10), ("DONE", 0, None, 20)])

    def test_cancel_one_run(self):
        self.launch_sweep()
        self.assertEqual(self.run_it(0, "cancel", self.runs[1]), "cancelled job 1_1\n")
        self.assertEqual(self.slurm.states(), {"1_0": "PENDING", "1_1": "CANCELLED", "1_2": "PENDING"})

    def test_refused_leaves_nothing(self):
        self.slurm.fail("^sbatch", "sbatch: error: Batch job submission failed: Invalid account\n")
        self.launch_sweep(code=2)
        self.assertEqual(os.listdir(self.path("runs")) if os.path.exists(self.path("runs")) else [], [])

    def test_runs_that_are_done_are_left_out(self):
        self.launch_sweep()
        for run in self.runs:
            self.slurm.play(1, run, exits=[75, 75] if run == self.runs[1] else [0, 0], step=10)
        self.slurm.play(1, self.runs[0], exits=[0, 0], step=360)
        for task in ("1_0", "1_1", "1_2"):
            self.slurm.run(task)
        self.run_it(0, "cancel", self.runs[1])
        out = self.launch_sweep()
        self.assertIn(f"nothing to do: {self.runs[0]} is done", out)
        self.assertIn("an array of 2 runs", out)


class HostileNamesTest(SlurmTest):
    NAMES = ("with space", "it's", 'a "b"', "$(touch marker)", "`touch marker`", "a;touch marker", "a\nb",
             "&|<>*?[x]~#!", "-n", "\u00e4\u00f6")

    def test_run_folders(self):
        for name in self.NAMES:
            with self.subTest(name=name):
                parent = self.path(name)
                run = os.path.join(parent, name)
                quoted = run.replace("'", "'\\''")
                self.slurm.play(1, run, exits=[75, 75], step=10)
                self.slurm.play(2, run, exits=[0, 0], step=20)
                out = self.launch(command=f"train {CONFIG} --device cpu --run_dir '{quoted}'")
                job = self.job_of(out)
                self.assertEqual(self.slurm.run(job), 75)
                self.assertEqual(self.slurm.run(job), 0)
                arguments = self.slurm.calls("srun")[-1]["arguments"]
                self.assertEqual(arguments[arguments.index("--run_dir") + 1], run)
                self.assertIn(f"{run}/slurm/config.textproto", arguments)
                self.assertEqual(arguments[-1], f"{run}/logs/slot-0002")
                self.assertEqual(self.reason(run), "the run is done")
        self._no_markers()

    def test_working_folder_and_bundle(self):
        name = "work 'of' \"$(touch marker)\" \u00e4"
        work = self.path(name)
        bundle = os.path.join(work, "programs")
        os.makedirs(work)
        shutil.copytree(self.bundle, bundle, symlinks=True)
        self.play(1, exits=[0, 0], step=20)
        command = ["-n", "2", "--bundle", bundle, "-c", f"train {CONFIG} --device cpu --wname vae"]
        done = subprocess.run([PROGRAM, *command], env={**self.environment(), "BUILD_WORKING_DIRECTORY": work},
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.slurm.run(), 0)
        call = self.slurm.calls("srun")[0]
        self.assertEqual(call["folder"], work)
        self.assertIn(f"{bundle}/train", call["arguments"])
        self._no_markers()

    def test_environment(self):
        flags, values = [], {}
        for i, name in enumerate((*self.NAMES, "", "a=b", "%j", "\\", "'\n#SBATCH --nodes=9\n'")):
            values[f"VALUE_{i}"] = name
            flags += ["--environment", f"VALUE_{i}={name}"]
        self.launch(*flags)
        self.play(1, exits=[75, 75], step=10)
        self.play(2, exits=[0, 0], step=20)
        self.slurm.run_all()
        for call in self.slurm.calls("srun"):
            self.assertEqual({name: call["environment"][name] for name in values}, values)
        self.assertEqual(self.slurm.job("1")["options"]["nodes"], "2")
        self._no_markers()

    def test_overrides_and_flags(self):
        value = "a 'b' \"c\" $(touch marker) `touch marker` \\ \u00e4"
        quoted = value.replace("'", "'\\''")
        self.launch(command=f"train {CONFIG} --device cpu --wname vae --set data.data_root='{quoted}' "
                            f"--init_from '{quoted}'")
        self.play(1, exits=[0, 0], step=10)
        self.slurm.run()
        arguments = self.slurm.calls("srun")[0]["arguments"]
        self.assertEqual(arguments[arguments.index("--init_from") + 1], value)
        # Into the frozen config, as its text has it.
        text = self.read("runs", "vae", "slurm", "config.textproto")
        line = next(line for line in text.splitlines() if "data_root" in line)
        root = line.split(": ", 1)[1].strip()[1:-1].encode().decode("unicode_escape").encode("latin-1").decode()
        self.assertEqual(root, value)
        self._no_markers()

    def test_shell_in_the_command_is_refused(self):
        for command in (f"train {CONFIG} --wname $(touch marker)", f"train {CONFIG}; touch marker",
                        f"train {CONFIG} --wname \"`touch marker`\"", f"train {CONFIG} --wname a\ntouch marker",
                        f"train {CONFIG} > marker", f"train {CONFIG} --wname 'a"):
            with self.subTest(command=command):
                self.launch(command=command, code=2)
                self.assertEqual(self.slurm.calls(), [])
        self._no_markers()

    def _no_markers(self):
        for folder, _, names in os.walk(self.folder):
            self.assertNotIn("marker", names, folder)


class StatusTest(SlurmTest):
    """Of a ledger with times that are known."""

    # 2026-01-01 00:00 UTC
    BEGIN = 1767225600

    def rewrite_times(self):
        """The slots as if each had begun 5 hours after the one before it, and lasted 4; the last of them 30 minutes."""
        path = os.path.join(self.run_folder, "slurm", "slots.jsonl")
        events = self.events()
        last = max([event.get("slot", 0) for event in events])
        for event in events:
            slot = event.get("slot", 1)
            event["time"] = self.BEGIN + 5 * 3600 * (slot - 1)
            if event["event"] == "ENDED":
                event["time"] += 1800 if slot == last else 4 * 3600
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)

    def test_waiting(self):
        self.launch("--gpus_per_node", "8")
        self.assertEqual(self.run_it(0, "status", "vae"), (
            f"{self.run_folder}  waiting (Resources)  slot 0 of 100  step 0 of 360\n"
            "slot  job       started               time  steps            end\n"
            "job 1: PENDING (Resources)\n"
            "0:00 used on 2 nodes (0.0 GPU hours)\n"
            "slots to go: not known before one has ended\n"))

    def test_slots_hours_and_estimate(self):
        self.launch("--gpus_per_node", "8", "--max_failures", "3")
        self.play(1, exits=[75, 75], step=40)
        self.play(2, exits=[75, None], step=80)
        self.slurm.run()
        self.slurm.run()
        self.rewrite_times()
        # 80 steps in 4.5 hours; 280 to go; slots of 4 hours less the warning.
        self.assertEqual(self.run_it(0, "status", self.run_folder), (
            f"{self.run_folder}  waiting (BeginTime)  slot 2 of 100  step 80 of 360\n"
            "slot  job       started               time  steps            end\n"
            "   1  1         2026-01-01 00:00   4:00:00  0 -> 40          preempted, and saved (exit code 75)\n"
            "   2  1.1       2026-01-01 05:00     30:00  40 -> 80         a rank was lost (exit code 5)\n"
            "job 1: PENDING (BeginTime)\n"
            "job 2: PENDING (Dependency)\n"
            "4:30:00 used on 2 nodes (72.0 GPU hours)\n"
            "about 5 slots to go (15:45:00 at 18 steps an hour)\n"))

    def test_done(self):
        self.launch()
        self.play(1, exits=[75, 75], step=40)
        self.play(2, exits=[0, 0], step=360)
        self.slurm.run_all()
        self.rewrite_times()
        self.assertEqual(self.run_it(0, "status", "vae"), (
            f"{self.run_folder}  done  slot 2 of 100  step 360 of 360\n"
            "slot  job       started               time  steps            end\n"
            "   1  1         2026-01-01 00:00   4:00:00  0 -> 40          preempted, and saved (exit code 75)\n"
            "   2  1.1       2026-01-01 05:00     30:00  40 -> 360        the run is done (exit code 0)\n"
            "      ended: the run is done\n"
            "4:30:00 used on 2 nodes\n"))
        # Of what has ended SLURM is not asked.
        asked = len(self.slurm.calls())
        self.run_it(0, "status")
        self.assertEqual(len(self.slurm.calls()), asked)

    def test_running_and_all_runs(self):
        self.launch()
        self.play(1, until="killed", step=40)
        self.slurm.start()
        self.slurm.until_ready(1)
        self.launch(command=f"train {CONFIG} --device cpu --wname other")
        lines = self.run_it(0, "status").splitlines()
        self.assertEqual(lines, [f"{self.path('runs', 'other')}  waiting (Resources)  slot 0 of 100  step 0 of 360",
                                 f"{self.run_folder}  running  slot 1 of 100  step 40 of 360"])
        both = self.run_it(0, "status", "vae", "other")
        self.assertIn("0 -> ...         running\n", both)
        self.assertIn("job 1: RUNNING\n", both)
        self.assertIn("\n\n", both)

    def test_jobs_that_are_gone(self):
        self.launch()
        self.play(1, until="killed", step=40)
        self.slurm.start()
        self.slurm.until_ready(1)
        self.slurm.kill("1", "NODE_FAIL")
        subprocess.run([os.path.join(self.slurm.bin, "scancel"), "2"], check=True, env={})
        out = self.run_it(0, "status", "vae")
        self.assertIn("  gone  slot 1 of 100  step 40 of 360\n", out)
        self.assertIn("no end is recorded", out)
        self.assertIn("launch it again to go on", out)

    def test_slurm_does_not_answer(self):
        self.launch()
        self.slurm.fail("^(scontrol|squeue|sacct)", NO_ANSWER)
        out = self.run_it(0, "status", "vae")
        self.assertIn("  unknown  slot 0", out)
        self.assertIn("neither scontrol nor squeue nor sacct says what became of job 1\n", out)

    def test_nothing_launched(self):
        self.assertEqual(self.run_it(0, "status"), f"no run in {self.path('runs')} was launched by slurm_launch\n")
        self.run_it(2, "status", "vae")

    def test_jobs_of_slots_that_are_over_are_not_asked_for(self):
        """A chain of a hundred jobs would be as many questions."""
        self.slurm.fail("^scontrol requeue", "disabled\n")
        self.launch()
        for slot in range(1, 5):
            self.play(slot, exits=[75, 75], step=10 * slot)
            self.slurm.run()
        before = len(self.slurm.calls("scontrol", "squeue", "sacct"))
        self.assertIn("waiting", self.run_it(0, "status", "vae"))
        self.assertLessEqual(len(self.slurm.calls("scontrol", "squeue", "sacct")) - before, 2)


class LogsTest(SlurmTest):
    def two_slots(self):
        self.launch()
        self.play(1, exits=[75, 75], step=10, lines=100)
        self.play(2, exits=[0, 0], step=20)
        self.slurm.run_all()

    def test_end_of_a_log(self):
        self.two_slots()
        self.assertEqual(self.run_it(0, "logs", "vae"), "".join(f"rank 0 of slot 2, line {i}\n" for i in range(1, 4)))
        self.assertEqual(self.said, f"==> {self.run_folder}/logs/slot-0002/rank-0.log <==\n")
        self.assertEqual(self.run_it(0, "logs", "vae", "--slot", "1", "--rank", "1", "--lines", "2"),
                         "rank 1 of slot 1, line 99\nrank 1 of slot 1, line 100\n")
        self.assertEqual(len(self.run_it(0, "logs", "vae", "--slot", "1").splitlines()), 40)
        self.assertEqual(self.run_it(0, "logs", "vae", "--lines", "0"), "")
        self.assertEqual(self.run_it(0, "logs", "vae", "--launch"),
                         "0: train: node 0 of slot 2\n1: train: node 1 of slot 2\n")

    def test_what_there_is_not(self):
        self.launch()
        self.run_it(2, "logs", "vae")
        self.assertIn("no slot of the run in", self.said)
        self.play(1, exits=[0, 0], step=20)
        self.slurm.run()
        self.run_it(2, "logs", "vae", "--rank", "7")
        self.assertIn("rank-0.log, rank-1.log", self.said)
        self.run_it(2, "logs", "vae", "--slot", "2")
        self.assertIn("job-*.log", self.said)
        self.run_it(2, "logs", "vae", "--rank", "1", "--launch")
        self.run_it(2, "logs", "vae", "--slot", "0")

    def test_follow(self):
        self.launch()
        follower = subprocess.Popen([PROGRAM, "logs", "vae", "--follow"], env=self.environment(), cwd=self.folder,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.play(1, exits=[75, 75], step=10, until="release")
        self.play(2, exits=[0, 0], step=20, until="release")
        for slot in (1, 2):
            self.slurm.start("1")
            self.slurm.until_ready(slot)
            self.assertEqual(follower.stdout.readline().decode(), f"rank 0 of slot {slot}, line 1\n")
            self.assertEqual(follower.stdout.readline().decode(), f"rank 0 of slot {slot}, line 2\n")
            self.assertEqual(follower.stdout.readline().decode(), f"rank 0 of slot {slot}, line 3\n")
            self.slurm.release(slot)
            self.slurm.wait("1")
        out, said = follower.communicate(timeout=60)
        self.assertEqual((out, follower.returncode), (b"", 0))
        self.assertEqual(said.decode(), "".join(f"==> {self.run_folder}/logs/slot-000{slot}/rank-0.log <==\n"
                                                for slot in (1, 2)) + "the chain has ended: the run is done\n")

    def test_follow_ends_with_a_signal(self):
        self.launch()
        self.play(1, until="killed", step=10)
        self.slurm.start()
        self.slurm.until_ready(1)
        with subprocess.Popen([PROGRAM, "logs", "vae", "-f"], env=self.environment(), cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as follower:
            for _ in range(3):
                follower.stdout.readline()
            with open(os.path.join(self.run_folder, "logs", "slot-0001", "rank-0.log"), "a", encoding="utf-8") as file:
                file.write("one more\n")
            self.assertEqual(follower.stdout.readline(), b"one more\n")
            follower.send_signal(signal.SIGINT)
            self.assertEqual(follower.wait(60), 0)


class GoldenTest(SlurmTest):
    place = "golden"

    def check(self, name, script):
        with open(script, encoding="utf-8") as file:
            text = file.read().replace(self.bundle, "/opt/cubist").replace(self.folder, "/work")
        if UPDATED:
            with open(os.path.join(UPDATED, "tools/slurm/testdata", f"{name}.golden"), "w", encoding="utf-8") as file:
                file.write(text)
            return
        with open(os.path.join(HERE, "testdata", f"{name}.golden"), encoding="utf-8") as file:
            self.assertEqual(text, file.read())
        # It can be read by a shell, and by sbatch.
        subprocess.run(["bash", "-n", script], check=True)
        self.assertEqual(len(self.slurm.calls("sbatch")), 1)

    def script(self, name="vae"):
        return self.path("runs", name, "slurm", "slot.sh")

    def test_plain(self):
        self.launch()
        self.check("plain", self.script())

    def test_all_options(self):
        self.launch("--gpus_per_node", "8", "--account", "lab one", "--partition", "batch,long", "--qos", "high",
                    "--constraint", "a100&\"nvme\"", "--time_limit", "1-00:00:00", "--warning_seconds", "600",
                    "--cpus_per_task", "96", "--memory", "0", "--no_exclusive", "--sbatch_option",
                    "--reservation=week 3", "--sbatch_option", "--no-kill", "--environment", "NCCL_DEBUG=WARN",
                    "--environment", "PROMPT=it's $(touch marker)", "--mail_user", "a@example.org", "--mail_type", "FAIL",
                    command=f"train {CONFIG} --gpus 8 --device cpu --wname vae --profile_steps 3:5 --allow_fallback")
        self.check("all_options", self.script())

    def test_pyxis(self):
        self.launch("--gpus_per_node", "8", "--container_image", "/images/cubist 1.sqsh", "--container_mount", "/data",
                    "--container_mount", "/scratch:/tmp:rw")
        self.check("pyxis", self.script())

    def test_apptainer(self):
        self.launch("--gpus_per_node", "8", "--container_image", "/images/cubist 1.sif", "--container_mount",
                    "/scratch:/tmp", "--container_runtime", "apptainer")
        self.check("apptainer", self.script())

    def test_sweep(self):
        self.launch("--sweep", "learning_rate.initial=1e-4 training.seed=1", "--sweep", "learning_rate.initial=3e-4",
                    "--sweep_parallel", "1")
        self.check("sweep", self.path("runs", "quickstart_vae_sweep", "sweep.sh"))


if __name__ == "__main__":
    if UPDATED:
        unittest.main(argv=sys.argv[:1] + ["GoldenTest"])
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
