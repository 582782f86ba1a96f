"""slurm_launch on a real SLURM (cluster.py): what becomes of runs whose slots end in every way.

Arguments: tests by name; none: all. Works in TEST_TMPDIR. The jobs run from the bundle that slurm_launch makes; nothing in
their environment names Bazel's folders.
"""

import filecmp
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

import cluster as slurm

RUNFILES = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
slurm_launch, train, tiny, faulty_worker = (os.path.join(RUNFILES, path) for path in (
    "tools/slurm_launch", "tools/train", "tests/end_to_end/tiny.textproto", "tests/fault_injection/faulty_worker"))
CPU = "--device cpu --set logging.picture_interval_steps=100000 --set validation.interval_steps=100000"


def processes_of(run, name=""):
  """Numbers of the processes whose command line names the run's folder, and begins with a program of this name."""
  found = []
  for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
      with open(path, "rb") as file:
        words = file.read().decode(errors="replace").split("\0")
    except OSError:
      continue  # it has ended
    program = os.path.basename(words[0])
    if any(word.endswith("/" + run) for word in words) and program.startswith(name):
      found.append(int(path.split("/")[2]))
  return found


def read(path):
  """The text of a file; empty if there is none."""
  if not os.path.exists(path):
    return ""
  with open(path) as file:
    return file.read()


def events(run):
  return [json.loads(line) for line in read(f"runs/{run}/slurm/slots.jsonl").splitlines()]


def ends(run):
  """How the slots ended, in their order: (ending, exit code or None)."""
  return [(event["ending"], event.get("exit_code")) for event in events(run) if event["event"] == "ENDED"]


def newest_step(run):
  folders = [name for name in glob.glob(f"runs/{run}/checkpoints/step-*") if os.path.exists(name + "/MANIFEST")]
  return max((int(name.rpartition("-")[2]) for name in folders), default=0)


class TrainingTest(unittest.TestCase):

  @classmethod
  def setUpClass(cls):
    cls.cluster = slurm.Cluster(requeue_delay=5, kill_wait=5)
    cls.cluster.start()
    cls.addClassCleanup(cls.cluster.stop)
    # The data first: it is not what is tested here.
    subprocess.run([train, tiny, *CPU.split(), "--wname", "data", "--max_steps", "1"], check=True,
                   stdout=subprocess.DEVNULL)

  def tearDown(self):
    # No job of one test in the next one.
    jobs = self.cluster.jobs()
    if jobs:
      self.cluster.command("scancel", *jobs)
      self.cluster.wait("no job is left", lambda: not self.cluster.jobs())

  def launch(self, run, arguments="", *options, nodes=2, minutes=10):
    words = [slurm_launch, "--nodes", str(nodes), "--time_limit", str(minutes), "--warning_seconds", "20", *options,
             "--command", f"train {tiny} {CPU} --wname {run} {arguments}"]
    done = self.cluster.command(*words, cwd=os.getcwd())
    self.assertIn("submitted job ", done.stdout)
    return done.stdout.split("submitted job ")[1].split(":")[0].split(",")[0]

  def wait_for_chain(self, run, seconds=120):
    """The reason for which a run's chain ended; no job of it is left then."""
    reason = self.cluster.wait(
        f"the chain of {run} ends",
        lambda: next((e["reason"] for e in events(run) if e["event"] == "CHAIN_ENDED"), None), seconds)
    self.cluster.wait("no job is left", lambda: not self.cluster.jobs(), 60)
    return reason

  def wait_for_step(self, run, step, seconds=60):
    self.cluster.wait(f"{run} is at step {step}", lambda: newest_step(run) >= step, seconds)

  def status(self, run):
    return self.cluster.command(slurm_launch, "status", run, cwd=os.getcwd()).stdout

  def assert_same_run(self, left, right, step):
    """Tensors, moments and averages of a checkpoint, and all that was logged on the way, are equal bit for bit."""
    folders = [f"runs/{run}/checkpoints/step-{step:09}" for run in (left, right)]
    names = [sorted(os.path.basename(path) for path in glob.glob(f"{folder}/*.safetensors")) for folder in folders]
    self.assertEqual(*names)
    self.assertGreaterEqual(len(names[0]), 3)
    for name in names[0]:
      self.assertTrue(filecmp.cmp(f"{folders[0]}/{name}", f"{folders[1]}/{name}", shallow=False), name)
    rows = []
    for run in (left, right):
      with open(f"runs/{run}/metrics.jsonl") as file:
        all_rows = [json.loads(line) for line in file]
      rows.append({row["step"]: {name: value for name, value in row.items() if "loss" in name or "metric" in name}
                   for row in all_rows if row["split"] == "train"})
      self.assertEqual(len(rows[-1]), sum(row["split"] == "train" for row in all_rows), "a step was logged twice")
    self.assertEqual(sorted(rows[0]), list(range(1, step + 1)))
    self.assertEqual(rows[0], rows[1])

  def programs_with_faults(self, folder):
    """A folder of programs whose worker does what CUBIST_TEST_FAULTS says."""
    os.makedirs(folder)
    os.symlink(os.path.realpath(slurm_launch), f"{folder}/slurm_launch")
    os.symlink(os.path.realpath(faulty_worker), f"{folder}/train_worker")
    shutil.copy(train, f"{folder}/train")  # it looks for its worker beside its real path
    return folder

  def test_a_run_that_is_cut_by_its_time_limit_is_the_uninterrupted_one(self):
    # Slowed down to two steps a second, so that it is cut three times on any machine: the warning comes at most 40 s
    # after a slot has begun.
    steps = 260
    programs = self.programs_with_faults("slowed")
    job = self.launch("cut", f"--max_steps {steps}", "--iterations", "60", "--bundle", programs, "--environment",
                      "CUBIST_TEST_FAULTS=slow:250", minutes=1)
    self.assertEqual(self.wait_for_chain("cut", 900), "the run is done")
    self.assertEqual(ends("cut")[-1], ("DONE", 0))
    self.assertGreaterEqual(len(ends("cut")), 4, "it should have been cut three times")
    self.assertEqual(set(ends("cut")[:-1]), {("TIME_LIMIT", 75)})
    # The same job, requeued; the successor was submitted before work began, and cancelled at the end.
    self.assertEqual({event["job"] for event in events("cut") if event["event"] == "STARTED"}, {job})
    kinds = [event["event"] for event in events("cut")]
    self.assertEqual(kinds[:4], ["LAUNCHED", "SUBMITTED", "SUBMITTED", "STARTED"])
    self.assertEqual(kinds.count("SUBMITTED"), 2)
    self.assertEqual(self.cluster.state(job), "COMPLETED")
    self.assertEqual(self.cluster.state(events("cut")[2]["job"]), "CANCELLED")
    subprocess.run([train, tiny, *CPU.split(), "--wname", "alone", "--gpus", "2", "--max_steps", str(steps)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    self.assert_same_run("alone", "cut", steps)
    self.assertIn("done", self.status("cut"))
    print(f"{steps} steps in {len(ends('cut'))} slots", flush=True)

  def test_a_swallowed_signal(self):
    """No rank hears the warning nor SIGTERM: the job that waited for the end of this one goes on."""
    step = 3
    job = self.launch("swallowed", f"--max_steps 10 --set checkpoints.interval_steps={step}", "--bundle",
                      self.programs_with_faults("deaf"),
                      "--environment", f"CUBIST_TEST_FAULTS=hang_saved:{step}", minutes=1)
    self.cluster.wait_for_state(job, "TIMEOUT", seconds=180)
    self.assertEqual(self.wait_for_chain("swallowed"), "the run is done")
    self.assertEqual(ends("swallowed"), [("TIME_LIMIT", None), ("DONE", 0)])
    started = [event for event in events("swallowed") if event["event"] == "STARTED"]
    self.assertNotEqual(started[1]["job"], job)
    self.assertEqual(started[1]["step"], step)
    self.assertIn("USR1", [event.get("signal") for event in events("swallowed")])

  def test_scancel_ends_the_chain(self):
    job = self.launch("scancelled", "--max_steps 100000 --set checkpoints.interval_steps=5")
    self.wait_for_step("scancelled", 5)
    self.cluster.command("scancel", job)
    self.assertIn("its job was cancelled", self.wait_for_chain("scancelled"))
    self.assertEqual(ends("scancelled"), [("CANCELLED", 75)])
    self.assertEqual(self.cluster.state(job), "CANCELLED")

  def test_scancel_of_a_job_that_waits_to_go_on(self):
    job = self.launch("put_back", "--max_steps 100000 --set checkpoints.interval_steps=5")
    self.wait_for_step("put_back", 5)
    self.cluster.command("scancel", "--batch", "--signal=USR1", job)
    self.cluster.wait_for_state(job, "PENDING", seconds=60)
    self.cluster.command("scancel", job)
    self.assertIn(f"job {job} was cancelled while it waited", self.wait_for_chain("put_back"))
    self.assertEqual(ends("put_back"), [("TIME_LIMIT", 75)])

  def test_cancel_saves(self):
    job = self.launch("cancelled", "--max_steps 100000 --set checkpoints.interval_steps=100000")
    self.cluster.wait("it trains", lambda: read("runs/cancelled/metrics.jsonl"), 60)
    self.cluster.command(slurm_launch, "cancel", "cancelled", cwd=os.getcwd())
    self.assertIn("cancelled by slurm_launch cancel", self.wait_for_chain("cancelled"))
    self.assertEqual(ends("cancelled"), [("CANCELLED", 75)])
    self.assertGreater(newest_step("cancelled"), 0)
    # Launched again it goes on.
    step = newest_step("cancelled")
    self.launch("cancelled", f"--max_steps {step + 2} --set checkpoints.interval_steps=100000")
    self.cluster.wait("it is done", lambda: ends("cancelled")[-1] == ("DONE", 0), 60)

  def test_a_node_that_is_set_down(self):
    job = self.launch("down", "--max_steps 400 --set checkpoints.interval_steps=5")
    self.wait_for_step("down", 5)
    self.cluster.set_node_down(slurm.NODES[1])
    self.cluster.wait_for_state(job, "PENDING", seconds=60)
    self.cluster.resume_node(slurm.NODES[1])
    self.assertEqual(self.wait_for_chain("down", 240), "the run is done")
    self.assertEqual(ends("down")[0][0], "FAILURE")
    self.assertEqual(ends("down")[-1], ("DONE", 0))
    started = [event for event in events("down") if event["event"] == "STARTED"]
    self.assertEqual((started[1]["job"], started[1]["restart"]), (job, 1))

  def test_a_crash_is_not_requeued(self):
    job = self.launch("crash", "--max_steps 100000 --set checkpoints.interval_steps=5")
    self.wait_for_step("crash", 5)
    os.kill(processes_of("crash", "train_worker")[0], signal.SIGSEGV)
    self.assertIn("a bug in Cubist (exit code 70)", self.wait_for_chain("crash"))
    self.assertEqual(ends("crash"), [("STOPPED", 70)])
    self.assertEqual(self.cluster.state(job), "FAILED")
    self.assertEqual(self.cluster.job(job)["ExitCode"], "70:0")

  def lose_a_rank(self, run, step):
    """Ends a rank as the kernel does that is out of memory."""
    self.wait_for_step(run, step)
    workers = self.cluster.wait("it trains", lambda: processes_of(run, "train_worker"))
    os.kill(workers[0], signal.SIGKILL)

  def test_caps(self):
    every = "--max_steps 100000 --set checkpoints.interval_steps=2 --set training.peer_deadline_seconds=5"
    self.launch("failures", every, "--max_failures", "0")
    self.lose_a_rank("failures", 2)
    self.assertIn("1 slot lost a node or a rank, and max_failures is 0", self.wait_for_chain("failures"))
    self.assertEqual(ends("failures"), [("FAILURE", 5)])

    self.launch("iterations", every, "--iterations", "1")
    self.lose_a_rank("iterations", 2)
    self.assertIn("all 1 slot of -i are used", self.wait_for_chain("iterations"))
    self.assertNotIn("after", {name for event in events("iterations") for name in event}, "a successor of the last slot")

    self.launch("preemptions", every, "--max_preemptions", "0")
    self.wait_for_step("preemptions", 2)
    for pid in processes_of("preemptions", "train_worker"):
      os.kill(pid, signal.SIGTERM)
    self.assertIn("1 slot preempted, and max_preemptions is 0", self.wait_for_chain("preemptions"))

  def test_two_slots_without_progress(self):
    self.launch("stuck", "--max_steps 100000 --set checkpoints.interval_steps=100000 "
                "--set training.peer_deadline_seconds=5")
    for slot in (1, 2):
      self.cluster.wait("it trains", lambda: "step 1/" in read(f"runs/stuck/logs/slot-{slot:04}/rank-0.log"), 60)
      self.lose_a_rank("stuck", 0)
      self.cluster.wait("the slot has ended", lambda: len(ends("stuck")) == slot, 60)
    self.assertIn("two slots in a row brought no new checkpoint", self.wait_for_chain("stuck"))
    self.assertEqual(ends("stuck"), [("FAILURE", 5)] * 2)

  def test_a_sweep_is_an_array(self):
    """The task with the highest number, whose own number is the array's, is requeued without the others."""
    array = self.launch("lr", "--max_steps 150 --gpus 2 --set checkpoints.interval_steps=2 "
                        "--set training.peer_deadline_seconds=5", "--sweep", "learning_rate.initial=1e-3", "--sweep",
                        "learning_rate.initial=2e-3", nodes=1)
    first, last = "lr_initial=1e-3", "lr_initial=2e-3"
    self.lose_a_rank(last, 2)
    self.assertEqual(self.wait_for_chain(first), "the run is done")
    self.assertEqual(self.wait_for_chain(last), "the run is done")
    self.assertEqual(ends(first), [("DONE", 0)])
    self.assertEqual(ends(last), [("FAILURE", 5), ("DONE", 0)])
    self.assertEqual([event["job"] for event in events(last) if event["event"] == "STARTED"], [f"{array}_1"] * 2)
    self.assertEqual((newest_step(first), newest_step(last)), (150, 150))

  def test_an_odd_name(self):
    self.launch("'it is $(touch marker) \"so\" ; & #1'", "--max_steps 2")
    run = "it is $(touch marker) \"so\" ; & #1"
    self.assertEqual(self.wait_for_chain(run), "the run is done")
    self.assertEqual(newest_step(run), 2)
    self.assertFalse(glob.glob("**/marker", recursive=True))

  def test_jobs_run_from_the_bundle_alone(self):
    self.launch("bundled", "--max_steps 100000 --set checkpoints.interval_steps=5")
    self.wait_for_step("bundled", 5)
    bundle = os.path.realpath("runs/bundles") + "/cubist-"
    for pid in processes_of("bundled", "train_worker"):
      names = {entry.partition("=")[0] for entry in read(f"/proc/{pid}/environ").split("\0")}
      self.assertFalse(names & {"RUNFILES_DIR", "RUNFILES_MANIFEST_FILE", "TEST_SRCDIR", "BUILD_WORKING_DIRECTORY"})
      files = {line.split(maxsplit=5)[5] for line in read(f"/proc/{pid}/maps").splitlines() if "/" in line}
      libraries = {path for path in files if ".so" in path or path.endswith("train_worker")}
      self.assertGreater(len(libraries), 10)
      glibc = re.compile(r"/(usr/)?lib(64|/x86_64-linux-gnu)/(ld-linux-x86-64|lib(c|m|dl|rt|pthread|resolv|util|nss_\w+))\.so[.\d]*")
      for path in libraries:
        self.assertTrue(path.startswith(bundle) or glibc.fullmatch(path), path)
    self.cluster.command(slurm_launch, "cancel", "--now", "bundled", cwd=os.getcwd())
    self.wait_for_chain("bundled")


if __name__ == "__main__":
  os.chdir(os.environ["TEST_TMPDIR"])
  unittest.main(argv=[sys.argv[0], "--verbose", *sys.argv[1:]])
