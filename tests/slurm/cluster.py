"""A real SLURM on this one machine, for tests: munged, slurmctld and two slurmd, everything in one temporary folder.

    with Cluster() as cluster:
        job = cluster.submit("#!/bin/bash\nsrun --ntasks-per-node=1 hostname\n", "--nodes=2")
        state = cluster.wait_for_state(job, "COMPLETED")

Needs the Debian packages of third_party/debian/slurm_packages.lock; uses no systemd, no control groups, no /etc/slurm and
no munged of the machine. The user who runs it, root or not, is SlurmUser and runs the jobs.

SLURM looks at time limits every 30 s only: a limit of one minute ends a job after 60 to 90 s, and a warning by
--signal=B:USR1@SECONDS comes up to 30 s early.

No process stays. The daemons are children of a supervisor (this file as a program), which is a session of its own and
the reaper of all orphans below it: steps, tasks and what they left behind. It ends them all, and removes the folder, as
soon as its standard input is closed: by `stop`, or by the end of the test in whatever way, SIGKILL included. (At a timeout
Bazel kills all of them, the supervisor too; then the folder stays.)
"""

import ctypes
import getpass
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# Names that resolve without a name server, as the first node of a step is where the ranks meet; and a list of nodes with
# brackets, "127.0.0.[1-2]".
NODES = ("127.0.0.1", "127.0.0.2")
GPUS_PER_NODE = 8  # only counted: there are none
PARTITION = "test"
ENDED = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED TIMEOUT".split())

_CONFIGURATION = """
ClusterName=cubist_test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire={requeue_delay}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
JobRequeue=1
ReturnToService=1
MailProg=/bin/true
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
SchedulerParameters={scheduler}
KillWait={kill_wait}
{more}
"""


class Cluster:
  """A running SLURM from `start` (or `with`) to `stop`.

  requeue_delay: seconds that a requeued job waits at least (cred_expire: 5 or more; SLURM's default is 120).
  kill_wait: seconds from SIGTERM to SIGKILL, at the time limit or when a job is cancelled (SLURM's default is 30).
  settings: further lines for slurm.conf.

  While it runs: `folder` holds everything, `environment` is what a process needs to talk to this SLURM.
  """

  def __init__(self, requeue_delay=5, kill_wait=30, settings=()):
    self.folder = None
    self.environment = None
    self._requeue_delay = requeue_delay
    self._kill_wait = kill_wait
    self._settings = settings
    self._supervisor = None

  def __enter__(self):
    self.start()
    return self

  def __exit__(self, error_type, error, trace):
    if error_type is not None:
      print(self.logs(), file=sys.stderr)
    self.stop()

  def start(self):
    """Returns when both nodes are idle. Raises RuntimeError if SLURM is not installed; TimeoutError, and prints the daemons'
    logs, if it does not come up."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    for program in ("munged", "slurmctld", "slurmd", "sbatch"):
      if shutil.which(program, path=path) is None:
        raise RuntimeError(f"there is no {program}: CUBIST_PACKAGES=slurm ./bazelw installs SLURM")
    # Not TEST_TMPDIR: the path of a Unix socket has 107 bytes at most.
    self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    self.environment = {name: value for name, value in os.environ.items()
                        if not name.startswith(("SLURM", "SBATCH_", "SRUN_", "SCANCEL_", "SQUEUE_", "SINFO_"))}
    self.environment["SLURM_CONF"] = str(self.folder / "slurm.conf")
    self.environment["PATH"] = path
    self.folder.chmod(0o755)  # munged wants its socket's folder open to all
    (self.folder / "state").mkdir()
    _write_private(self.folder / "munge.key", os.urandom(128))
    (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    for number in range(GPUS_PER_NODE):
      (self.folder / f"gpu{number}").symlink_to("/dev/null")  # it must be a device
    (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-{GPUS_PER_NODE - 1}]\n")
    host = socket.gethostname().partition(".")[0]
    ports = _free_ports(1 + len(NODES))
    lines = [
        f"NodeName={node} NodeAddr={node} NodeHostname={host} Port={port} CPUs=16 RealMemory=64000"
        f" Gres=gpu:{GPUS_PER_NODE} State=UNKNOWN" for node, port in zip(NODES, ports[1:])
    ]
    lines.append(f"PartitionName={PARTITION} Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=EXCLUSIVE State=UP")
    (self.folder / "slurm.conf").write_text(
        _CONFIGURATION.format(
            folder=self.folder, host=host, user=getpass.getuser(), controller_port=ports[0],
            requeue_delay=self._requeue_delay, kill_wait=self._kill_wait,
            scheduler="sched_interval=2,bf_interval=2,batch_sched_delay=0",
            more="\n".join([*lines, *self._settings])))
    self._supervisor = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), str(self.folder)], stdin=subprocess.PIPE, env=self.environment,
        cwd="/", start_new_session=True)
    try:
      self.wait("both nodes are idle", self._nodes_are_idle, 60)
    except BaseException:
      print(self.logs(), file=sys.stderr)
      self.stop()
      raise

  def stop(self):
    """Ends every process of the cluster and of its jobs, and removes the folder. May be called again."""
    if self._supervisor is not None:
      self._supervisor.stdin.close()
      self._supervisor.wait()
      self._supervisor = None

  def command(self, *words, check=True, cwd=None, input=None):
    """Runs a SLURM command (or any other, with SLURM_CONF set); returns a subprocess.CompletedProcess with texts.

    Raises RuntimeError with what it said if it fails and `check` is true.
    """
    done = subprocess.run([str(word) for word in words], env=self.environment, cwd=cwd or self.folder, input=input,
                          stdin=None if input is not None else subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if check and done.returncode != 0:
      raise RuntimeError(f"{words}: exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done

  def submit(self, script, *options, cwd=None):
    """Submits a script's text; returns the job's number, a string. Its output is in job-<number>.log in `cwd`."""
    return self.command("sbatch", "--parsable", "--output=job-%j.log", *options, cwd=cwd,
                        input=script).stdout.strip().partition(";")[0]

  def job(self, job):
    """What scontrol says of a job, as a dict (JobState, Reason, Restarts, ExitCode, ...); None if it knows no such job."""
    said = self.command("scontrol", "--oneliner", "show", "job", job, check=False)
    if said.returncode != 0:
      if "Invalid job id" in said.stdout + said.stderr:
        return None
      raise RuntimeError(f"scontrol show job {job}: {said.stdout}{said.stderr}")
    return dict(re.findall(r"(?:^|\s)([A-Za-z:/]+)=(\S*)", said.stdout))

  def state(self, job):
    """JobState, or None if SLURM knows no such job (any longer: an ended one is forgotten after 300 s)."""
    found = self.job(job)
    return None if found is None else found["JobState"]

  def jobs(self):
    """The numbers of all jobs that have not ended."""
    return self.command("squeue", "--noheader", "--format=%A").stdout.split()

  def wait(self, what, condition, seconds=120):
    """Waits until condition() is true, and returns its value. Raises TimeoutError, with the queue."""
    deadline = time.monotonic() + seconds
    while True:
      value = condition()
      if value:
        return value
      if time.monotonic() > deadline:
        queue = self.command("squeue", "--states=all", "--long", check=False)
        raise TimeoutError(f"after {seconds} s not: {what}\n{queue.stdout}{queue.stderr}")
      time.sleep(0.2)

  def wait_for_state(self, job, *states, seconds=120):
    """Waits until the job is in one of these states; returns it. Raises RuntimeError if it ended in another one."""

    def reached():
      state = self.state(job)
      if state in ENDED and state not in states:
        raise RuntimeError(f"job {job} ended as {state}, not {' or '.join(states)}")
      return state if state in states else None

    return self.wait(f"job {job} is {' or '.join(states)}", reached, seconds)

  def set_node_down(self, node):
    self.command("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

  def resume_node(self, node):
    self.command("scontrol", "update", f"nodename={node}", "state=resume")

  def wait_for_idle_nodes(self, seconds=60):
    self.wait("both nodes are idle", self._nodes_are_idle, seconds)

  def processes(self):
    """Every process of the cluster, its jobs included, but the supervisor: pairs of number and command line."""
    return [(pid, _command_line(pid)) for pid in _descendants(self._supervisor.pid)]

  def logs(self, lines=60):
    """The ends of the logs of all daemons and of the jobs that were submitted in the cluster's folder."""
    parts = []
    # A daemon writes to standard error what it has to say before it has opened its log.
    early = [file for file in self.folder.glob("*.stderr") if not file.with_suffix(".log").exists()]
    for file in sorted([*early, *self.folder.glob("*.log")]):
      text = file.read_text(errors="replace").splitlines()[-lines:]
      parts.append("\n".join([f"--- {file.name}", *text]))
    return "\n".join(parts)

  def _nodes_are_idle(self):
    said = self.command("sinfo", "--Node", "--noheader", f"--partition={PARTITION}", "--format=%T", check=False)
    return said.stdout.split() == ["idle"] * len(NODES)


def _write_private(path, data):
  with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
    file.write(data)


def _free_ports(count):
  sockets = [socket.socket() for _ in range(count)]
  try:
    for one in sockets:
      one.bind(("", 0))
    return [one.getsockname()[1] for one in sockets]
  finally:
    for one in sockets:
      one.close()


def _descendants(root):
  """All processes below `root`, by /proc."""
  children = {}
  for entry in os.listdir("/proc"):
    if entry.isdigit():
      try:
        # After the name in parentheses, which may hold anything: state, parent, ...
        stat = pathlib.Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2].split()
      except OSError:
        continue
      if stat[0] != "Z":
        children.setdefault(int(stat[1]), []).append(int(entry))
  found, queue = [], [root]
  while queue:
    below = children.get(queue.pop(), [])
    found += below
    queue += below
  return found


def _command_line(pid):
  try:
    return pathlib.Path("/proc", str(pid), "cmdline").read_text(errors="replace").replace("\0", " ").strip()
  except OSError:
    return ""


def _supervise(folder):
  """Runs the daemons until standard input is closed; then ends them with everything below, and removes the folder."""
  for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: None)  # not SIG_IGN: the daemons and jobs would inherit that
  pr_set_child_subreaper = 36
  if ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0) != 0:
    raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")

  def start(name, *words):
    with open(folder / f"{name}.stderr", "wb") as out:
      subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder)

  def reap(*_):
    try:
      while os.waitpid(-1, os.WNOHANG)[0]:
        pass
    except ChildProcessError:
      pass

  try:
    start("munged", "munged", "--foreground", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket",
          f"--pid-file={folder}/munge.pid", f"--seed-file={folder}/munge.seed")
    deadline = time.monotonic() + 30
    while not (folder / "munge.socket").exists() and time.monotonic() < deadline:
      time.sleep(0.02)
    start("slurmctld", "slurmctld", "-D")
    for node in NODES:
      start(f"slurmd-{node}", "slurmd", "-D", "-N", node)
    signal.signal(signal.SIGCHLD, reap)
    sys.stdin.buffer.read()
  finally:
    while True:
      below = _descendants(os.getpid())
      if not below:
        break
      for pid in below:
        try:
          os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
          pass
      time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
  _supervise(pathlib.Path(sys.argv[1]))
