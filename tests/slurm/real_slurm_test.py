"""What cluster.py promises, on a real SLURM."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
import unittest

import cluster
from cluster import Cluster

# A job on both nodes; each task leaves a process in a session of its own, and nobody follows SIGTERM.
STUBBORN_JOB = """#!/bin/bash
trap '' TERM
srun --ntasks-per-node=1 bash -c 'trap "" TERM; setsid sleep 1000 & sleep 1000'
"""


def processes_that_name(folder):
  """Command lines of all processes whose command line or environment names the folder, by process number."""
  found = {}
  for entry in pathlib.Path("/proc").iterdir():
    if entry.name.isdigit() and int(entry.name) != os.getpid():
      try:
        command = (entry / "cmdline").read_bytes()
        if os.fsencode(folder) in command + (entry / "environ").read_bytes():
          found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
      except OSError:
        pass
  return found


class ClusterTest(unittest.TestCase):

  def assert_gone(self, folder):
    self.assertEqual(processes_that_name(folder), {})
    self.assertFalse(pathlib.Path(folder).exists())

  def wait_for_stubborn_job(self, running):
    """Until both tasks of STUBBORN_JOB have started their process; returns all processes of the cluster."""
    job = running.submit(STUBBORN_JOB, "--nodes=2")
    running.wait("both tasks run", lambda: list(processes_that_name(running.folder).values()).count("sleep 1000 ") == 4)
    return job

  def test_runs_a_job_on_two_nodes(self):
    with Cluster() as running:
      job = running.submit(
          "#!/bin/bash\nsrun --ntasks-per-node=1 --label bash -c 'echo $SLURM_NODEID of $SLURM_STEP_NODELIST'\nexit 75\n",
          "--nodes=2", "--gpus-per-node=8")
      self.assertEqual(running.wait_for_state(job, "FAILED"), "FAILED")
      self.assertEqual(running.job(job)["ExitCode"], "75:0")
      said = (running.folder / f"job-{job}.log").read_text().splitlines()
      self.assertEqual(sorted(said), ["0: 0 of 127.0.0.[1-2]", "1: 1 of 127.0.0.[1-2]"])
      with self.assertRaisesRegex(RuntimeError, f"job {job} ended as FAILED, not RUNNING"):
        running.wait_for_state(job, "RUNNING")
      with self.assertRaisesRegex(TimeoutError, "after 0 s not: never(?s:.*)FAILED"):
        running.wait("never", lambda: False, seconds=0)
      with self.assertRaisesRegex(RuntimeError, "no-such-partition"):
        running.submit("#!/bin/bash\n", "--partition=no-such-partition")
      self.assertIsNone(running.state("4242"))
      self.assertEqual(running.jobs(), [])
      folder = running.folder
    self.assert_gone(folder)

  def test_a_job_requeues_itself_while_another_waits_for_its_end(self):
    with Cluster() as running:
      first = running.submit(
          "#!/bin/bash\necho \"${SLURM_RESTART_COUNT:-0}\"\n"
          "if ((SLURM_RESTART_COUNT < 2)); then scontrol requeue \"${SLURM_JOB_ID}\"; exit 75; fi\n",
          "--nodes=2", "--requeue", "--open-mode=append")
      second = running.submit(f"#!/bin/bash\nscontrol --oneliner show job {first}\n", f"--dependency=afterany:{first}")
      running.wait_for_state(second, "COMPLETED")
      said = (running.folder / f"job-{first}.log").read_text().splitlines()
      self.assertEqual([line for line in said if not line.startswith("slurmstepd")], ["0", "1", "2"])
      self.assertRegex((running.folder / f"job-{second}.log").read_text(), "JobState=COMPLETED .* Restarts=2 ")

  def test_a_node_goes_down_and_comes_back(self):
    with Cluster(kill_wait=2) as running:
      job = self.wait_for_stubborn_job(running)
      running.set_node_down(cluster.NODES[1])
      running.wait_for_state(job, "PENDING")
      running.wait("it waits for the node", lambda: running.job(job)["Reason"] not in ("None", "BeginTime"))
      self.assertEqual(running.job(job)["Restarts"], "1")
      running.resume_node(cluster.NODES[1])
      running.wait_for_state(job, "RUNNING")
      running.command("scancel", job)
      running.wait_for_state(job, "CANCELLED")
      running.wait_for_idle_nodes()

  def test_stop_ends_everything(self):
    running = Cluster()
    running.start()
    self.wait_for_stubborn_job(running)
    found = processes_that_name(running.folder)
    for pid, command in running.processes():
      self.assertIn(pid, found, command)
    # munged, slurmctld and its helper, two slurmd, the job's and the step's slurmstepd, ...
    self.assertGreater(len(running.processes()), 12)
    running.stop()
    self.assert_gone(running.folder)
    running.stop()

  def test_a_killed_test_leaves_nothing(self):
    program = textwrap.dedent("""
        import os, signal, sys
        from cluster import Cluster
        running = Cluster()
        running.start()
        job = running.submit(sys.argv[1], "--nodes=2")
        running.wait_for_state(job, "RUNNING")
        print(running.folder, flush=True)
        os.kill(os.getpid(), int(sys.argv[2]))
        """)
    for number in (signal.SIGKILL, signal.SIGTERM):
      ended = subprocess.run([sys.executable, "-c", program, STUBBORN_JOB, str(int(number))],
                             cwd=os.path.dirname(cluster.__file__), stdout=subprocess.PIPE, text=True)
      self.assertEqual(ended.returncode, -number)
      folder = ended.stdout.strip()
      self.assertTrue(folder.startswith("/tmp/slurm-"), folder)
      deadline = time.monotonic() + 60
      while pathlib.Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
      self.assert_gone(folder)

  def test_says_what_is_missing(self):
    path = os.environ["PATH"]
    os.environ["PATH"] = "/nowhere"
    try:
      with self.assertRaisesRegex(RuntimeError, "there is no sbatch: CUBIST_PACKAGES=slurm ./bazelw"):
        Cluster().start()
    finally:
      os.environ["PATH"] = path


if __name__ == "__main__":
  unittest.main()
