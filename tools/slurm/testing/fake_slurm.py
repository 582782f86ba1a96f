"""SLURM 22.05 as slurm_launch sees it, for tests without a cluster: sbatch, scontrol, squeue, sacct, scancel and srun.

    slurm = FakeSlurm(folder, make_checkpoint)     # to be used with PATH=slurm.bin
    slurm.play(1, exits=[75, 75], step=10)         # what srun of the slot 1 does
    job = slurm.start()                            # the one job that may start; its batch script is a child process
    slurm.wait(job)

Messages, exit codes and states are those that tests/slurm/cluster.py shows of a real one. Nothing happens by itself:
the test says which job starts, is killed, or is forgotten. A call that the real programs would not understand, and
anything else that a test would not want to overlook, is noted in slurm.misuses().
"""
import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

PROGRAMS = ("sbatch", "scontrol", "squeue", "sacct", "scancel", "srun")
NODES = "node[1-{}]"
UNKNOWN = "slurm_load_jobs error: Invalid job id specified\n"
FINAL = frozenset("BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED TIMEOUT".split())
# Why SLURM ends a running job: its state afterwards (PENDING: it starts again), the reason that scontrol gives while it
# is COMPLETING, and what the job's log says.
NODE_FAILURE = " DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS"
CAUSES = {
    "scancel": ("CANCELLED", "None", ""),
    "time limit": ("TIMEOUT", "TimeLimit", " DUE TO TIME LIMIT"),
    "preemption": ("PREEMPTED", "None", " DUE TO PREEMPTION"),
    "preemption and requeue": ("PENDING", "None", " DUE TO PREEMPTION"),
    "node failure": ("NODE_FAIL", "NodeDown", NODE_FAILURE),
    "node failure and requeue": ("PENDING", "None", NODE_FAILURE),
    "requeue": ("PENDING", "None", " DUE TO JOB REQUEUE"),
}

SBATCH_VALUES = frozenset(
    "account array constraint cpus-per-task dependency gpus-per-node job-name mail-type mail-user mem nodes "
    "ntasks-per-node open-mode output partition qos reservation signal time".split())
SBATCH_FLAGS = frozenset("exclusive no-kill no-requeue parsable requeue".split())
# Variables that win over the script.
SBATCH_VARIABLES = {
    "SBATCH_ACCOUNT": "account", "SBATCH_ARRAY_INX": "array", "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_NO_REQUEUE": "no-requeue", "SBATCH_OPEN_MODE": "open-mode", "SBATCH_PARTITION": "partition",
    "SBATCH_QOS": "qos", "SBATCH_SIGNAL": "signal", "SBATCH_TIMELIMIT": "time"}


class Error(Exception):
    """What a program says before it ends."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Store:
    """The controller's state in a folder, which all programs and the test share."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    @contextlib.contextmanager
    def state(self):
        with open(self.path("lock"), "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with open(self.path("state.json"), encoding="utf-8") as file:
                state = json.load(file)
            yield state
            with open(self.path("state.tmp"), "w", encoding="utf-8") as file:
                json.dump(state, file)
            os.rename(self.path("state.tmp"), self.path("state.json"))

    def note(self, **what):
        with open(self.path("calls.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")


def find_jobs(state, name):
    """The jobs that SLURM means by "7" (an array: all of its tasks) or "7_1"."""
    if not re.fullmatch(r"\d+(_\d+)?", name):
        raise Error(1, f"scontrol: error: Invalid job id {name}\n")
    jobs = [job for job in state["jobs"].values() if not job["forgotten"]]
    return [job for job in jobs if name in (job["name"], str(job["array"] or job["id"]))]


def find_job(state, name):
    """One job, by its name or its number: the last task of an array has that of the array."""
    for job in state["jobs"].values():
        if name in (job["name"], str(job["id"])) and not job["forgotten"]:
            return job
    return None


def is_over(job):
    return job["state"] in FINAL


def send(job, *numbers):
    """Signals as SLURM sends them: to the batch script, and to all tasks of its steps."""
    for pid in job["pids"].values():
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def end(job, cause, log=True):
    """SLURM begins to end a running job, which until its processes are gone is COMPLETING."""
    state, reason, due_to = CAUSES[cause]
    job.update(state="COMPLETING", reason=reason, end=state, cause=cause)
    job["restarts"] += state == "PENDING"
    if log:
        with open(job["log"], "a", encoding="utf-8") as file:
            file.write(f"slurmstepd-node1: error: *** JOB {job['id']} ON node1 CANCELLED AT "
                       f"2026-11-23T06:26:44{due_to} ***\n")
    send(job, signal.SIGCONT, signal.SIGTERM)


# ---- sbatch


def words_of_directive(line):
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        return list(lexer)
    except ValueError as error:
        raise Error(1, f"sbatch: fatal: slot.sh: Unmatched quote: {error}\n") from error


def read_options(words, options):
    """Takes --NAME and --NAME=VALUE from the front of `words`; what is left."""
    while words and words[0].startswith("-"):
        name, equals, value = words[0][2:].partition("=")
        if not words[0].startswith("--") or name not in (SBATCH_VALUES if equals else SBATCH_FLAGS):
            raise Error(255, f"sbatch: unrecognized option '{words[0]}'\nTry \"sbatch --help\" for more information\n")
        options[name] = value
        words = words[1:]
    return words


def read_script(text):
    options = {}
    lines = text.split("\n")
    if not lines[0].startswith("#!"):
        raise Error(1, "sbatch: error: This does not look like a batch script.\n")
    if "\r" in text:
        raise Error(1, "sbatch: error: Batch script contains DOS line breaks (\\r\\n)\n")
    for line in lines[1:]:
        if line.startswith("#SBATCH"):
            left = read_options(words_of_directive(line[len("#SBATCH"):]), options)
            if left:
                raise Error(255, f"sbatch: error: Invalid directive found in batch script: {left[0]}\n")
        elif line.strip() and not line.startswith("#"):
            break
    return options


def check_options(options):
    for name, pattern in {
            "nodes": r"[1-9]\d*",
            "ntasks-per-node": "1",
            "time": r"\d+|\d+:\d+|\d+:\d+:\d+|\d+-\d+(:\d+){0,2}",
            "signal": r"B:USR1@\d{1,5}",
            "open-mode": "append",
            "array": r"0-\d+(%\d+)?",
            "dependency": r"afterany:\d+(_\d+)?",
    }.items():
        if name in options and not re.fullmatch(pattern, options[name]):
            raise Error(255, f"sbatch: error: Invalid --{name} specification: {options[name]}\n")


def sbatch(store, arguments):
    from_command_line = {}
    left = read_options(arguments, from_command_line)
    if len(left) != 1:
        raise Error(1, f"sbatch: error: expected one script: {left}\n")
    with open(left[0], encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    options = read_script(text)
    options.update({option: os.environ[name] for name, option in SBATCH_VARIABLES.items() if name in os.environ})
    options.update(from_command_line)
    if "SBATCH_WAIT" in os.environ:
        raise Error(64, "sbatch: the real one now waits for the end of the job\n")
    check_options(options)
    tasks = int(re.split("[-%]", options["array"])[1]) + 1 if "array" in options else None
    with store.state() as state:
        number = state["next"]
        state["next"] += tasks or 1
        for task in range(tasks or 1):
            # The last task of an array has its number.
            job_id = number if tasks is None or task == tasks - 1 else number + task + 1
            script = store.path(f"spool-{job_id}.sh")
            with open(script, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            os.chmod(script, 0o755)
            dependency = options.get("dependency", "afterany:").split(":")[1]
            state["jobs"][str(job_id)] = {
                "id": job_id,
                "name": str(number) if tasks is None else f"{number}_{task}",
                "array": None if tasks is None else number,
                "task": None if tasks is None else task,
                "options": options,
                "script": script,
                "folder": os.getcwd(),
                "environment": dict(os.environ),
                "dependency": dependency,
                "state": "PENDING",
                "reason": "Dependency" if dependency else "Resources",
                "end": None,
                "cause": None,
                "restarts": 0,
                "exit_code": "0:0",
                "pids": {},
                "forgotten": False,
            }
    print(number if "parsable" in options else f"Submitted batch job {number}")


# ---- scontrol, squeue, sacct, scancel


def scontrol(store, arguments):
    if len(arguments) == 4 and arguments[:3] == ["--oneliner", "show", "job"]:
        with store.state() as state:
            jobs = find_jobs(state, arguments[3])
        if not jobs:
            raise Error(1, UNKNOWN)
        for job in jobs:
            array = "" if job["array"] is None else f" ArrayJobId={job['array']} ArrayTaskId={job['task']}"
            print(f"JobId={job['id']}{array} JobName={job['options'].get('job-name', 'sbatch')} UserId=root(0) "
                  f"Nice=0 Account=(null) QOS=(null) JobState={job['state']} Reason={job['reason']} "
                  f"Dependency={'afterany:%s(unfulfilled)' % job['dependency'] if job['dependency'] else '(null)'} "
                  f"Requeue={int('no-requeue' not in job['options'])} Restarts={job['restarts']} BatchFlag=1 Reboot=0 "
                  f"ExitCode={job['exit_code']} RunTime=00:00:01 TimeLimit=UNLIMITED NumNodes=2 "
                  f"Command={job['script']} WorkDir={job['folder']} StdErr=x StdIn=/dev/null StdOut=x Power=")
        return
    if len(arguments) != 2 or arguments[0] != "requeue":
        raise Error(64, f"scontrol: unexpected: {arguments}\n")
    with store.state() as state:
        jobs = find_jobs(state, arguments[1])
        if not jobs:
            raise Error(1, f"Invalid job id specified for job {arguments[1]}\n")
        waiting = [job for job in jobs if job["state"] == "PENDING" or job["end"] == "PENDING"]
        for job in jobs:
            if job in waiting:
                continue
            if is_over(job):
                job.update(state="PENDING", reason="BeginTime", restarts=job["restarts"] + 1)
            else:
                end(job, "requeue")
        if waiting:
            raise Error(1, f"Job is pending execution for job {arguments[1]}\n")


def squeue(store, arguments):
    match = re.fullmatch(r"--noheader --states=all --jobs=(\S+) --format=%T\|%r", " ".join(arguments))
    if not match:
        raise Error(64, f"squeue: unexpected: {arguments}\n")
    with store.state() as state:
        jobs = find_jobs(state, match[1])
    if not jobs:
        raise Error(1, UNKNOWN)
    for job in jobs:
        print(f"{job['state']}|{job['reason']}")


def sacct(store, arguments):
    match = re.fullmatch(r"--noheader --allocations --parsable2 --jobs=(\S+) --format=State,ExitCode",
                         " ".join(arguments))
    if not match:
        raise Error(64, f"sacct: unexpected: {arguments}\n")
    with store.state() as state:
        if not state["accounting"]:
            raise Error(1, "Slurm accounting storage is disabled\n")
        for job in state["jobs"].values():
            if match[1] in (job["name"], str(job["array"])):
                name = {"CANCELLED": "CANCELLED by 1000", "COMPLETING": "RUNNING"}.get(job["state"], job["state"])
                print(f"{name}|{job['exit_code']}")


def scancel(store, arguments):
    number = None
    if arguments[:2] == ["--batch", "--signal=USR1"]:
        number, arguments = signal.SIGUSR1, arguments[2:]
    if not arguments or any(argument.startswith("-") for argument in arguments):
        raise Error(64, f"scancel: unexpected: {arguments}\n")
    with store.state() as state:
        for name in arguments:
            for job in find_jobs(state, name):
                if job["state"] == "PENDING" and number is None:
                    job.update(state="CANCELLED")
                elif job["state"] == "RUNNING" and number is None:
                    end(job, "scancel")
                elif job["state"] == "RUNNING":
                    os.kill(job["pids"]["script"], number)
                elif number is not None:
                    code, why = (228, "Job can not be altered now, try again later") if job["state"] == "PENDING" else (
                        1, "Invalid job id specified")
                    raise Error(code, f"scancel: error: Kill job error on job id {name}: {why}\n")


# ---- srun: the tasks on all nodes, as the test's play for this slot says.


def srun(store, arguments):
    job_id = os.environ["SLURM_JOB_ID"]
    run = arguments[arguments.index("--run_dir") + 1]
    logs = arguments[-1]
    slot = int(re.fullmatch(r".*/slot-(\d{4,})", logs, re.DOTALL)[1])
    nodes = int(next(word for word in arguments if word.startswith("--nodes="))[len("--nodes="):])
    with store.state() as state:
        state["jobs"][job_id]["pids"]["srun"] = os.getpid()
        play = state["plays"].get(f"{slot} {run}") or state["plays"].get(str(slot)) or {}
        make_checkpoint = state["make_checkpoint"]
    if str(nodes) != os.environ["SLURM_JOB_NUM_NODES"]:
        raise Error(1, f"srun: error: Only allocated {os.environ['SLURM_JOB_NUM_NODES']} nodes asked for {nodes}\n")
    if arguments[-2] != "--log_dir" or not os.path.isdir(logs):
        raise Error(64, f"srun: no folder for logs: {logs}\n")
    received = []
    if play.get("until") in ("signal", "USR1"):
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, lambda taken, _: received.append(signal.Signals(taken).name))
    elif play.get("until") != "unprepared":
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    for rank in range(nodes):
        with open(f"{logs}/rank-{rank}.log", "a", encoding="utf-8") as file:
            file.writelines(f"rank {rank} of slot {slot}, line {line}\n" for line in range(1, play.get("lines", 3) + 1))
        print(f"{rank}: train: node {rank} of slot {slot}")
    print(play.get("says", ""), end="", flush=True)

    if "step" in play:
        options = ["--damage"] if play.get("damage") else []
        subprocess.run([make_checkpoint, run, str(play["step"]), *options], check=True)
    store.note(program="srun is ready", slot=slot, run=run)
    while "until" in play:
        if play["until"] == "signal" and received or play["until"] == "USR1" and "SIGUSR1" in received:
            break
        if play["until"] == "release" and os.path.exists(store.path(f"release-{slot}")):
            break
        time.sleep(0.01)
    with store.state() as state:
        if "node failure" in (state["jobs"][job_id]["cause"] or ""):
            print("srun: error: Node failure on node2", flush=True)
    if "saved_step" in play:
        subprocess.run([make_checkpoint, run, str(play["saved_step"])], check=True)
    exits = play.get("exits", [0] * nodes)
    for node, code in enumerate(exits):
        if code is not None:
            with open(f"{logs}/node-{8 * node}.exit", "w", encoding="utf-8") as file:
                file.write(f"{code}\n")
    store.note(program="srun ends", slot=slot, run=run, received=received)
    sys.exit(play.get("code", max(137 if code is None else code for code in exits)))


def main(name, folder):
    """The program `name`, whose command line this process has."""
    store = Store(folder)
    arguments = sys.argv[1:]
    store.note(program=name, arguments=arguments, environment=dict(os.environ), folder=os.getcwd())
    with open(store.path("state.json"), encoding="utf-8") as file:
        failures = json.load(file)["failures"]
    try:
        for pattern, code, text in failures:
            if re.search(pattern, " ".join([name, *arguments])):
                raise Error(code, text)
        {"sbatch": sbatch, "scontrol": scontrol, "squeue": squeue, "sacct": sacct, "scancel": scancel,
         "srun": srun}[name](store, arguments)
    except Error as error:
        sys.stderr.write(str(error))
        if error.code in (64, 255):
            store.note(program="misuse", text=str(error))
        sys.exit(error.code)


# ---- the test's side


class FakeSlurm:
    """A cluster whose jobs start and end when the test says so."""

    def __init__(self, folder, make_checkpoint):
        self.store = Store(folder)
        self.bin = self.store.path("bin")
        self._processes = {}
        os.makedirs(self.bin)
        with open(self.store.path("state.json"), "w", encoding="utf-8") as file:
            json.dump({"next": 1, "jobs": {}, "failures": [], "accounting": False, "plays": {},
                       "make_checkpoint": make_checkpoint}, file)
        # The only folder of PATH: no other SLURM is found, should this machine have one.
        os.symlink("/bin/bash", os.path.join(self.bin, "bash"))
        here = os.path.dirname(os.path.abspath(__file__))
        for name in PROGRAMS:
            path = os.path.join(self.bin, name)
            with open(path, "w", encoding="utf-8") as file:
                # Compiled once for all calls, outside of the sources.
                file.write(f"#!{sys.executable} -SE\nimport sys\n"
                           f"sys.pycache_prefix = {sys.pycache_prefix!r}\nsys.path.insert(0, {here!r})\n"
                           f"import fake_slurm\nfake_slurm.main({name!r}, {folder!r})\n")
            os.chmod(path, 0o755)

    # What SLURM and the run will do.

    def play(self, slot, run="", **what):
        """srun of this slot (of this run, else of any) gives the nodes these exit codes (`exits`, None: it leaves none)
        and itself `code`; makes a checkpoint of `step`, with damage if `damage`; before it ends it waits `until`
        "signal" (USR1 or TERM, then it makes one of `saved_step`), "USR1", "release", "killed", or "unprepared":
        without a handler; it `says` something, and its ranks' logs have so many `lines`."""
        with self.store.state() as state:
            state["plays"][f"{slot} {run}" if run else str(slot)] = what

    def release(self, slot):
        with open(self.store.path(f"release-{slot}"), "w", encoding="utf-8"):
            pass

    def fail(self, pattern, text, code=1):
        """Command lines in which the pattern is found fail so, until mend()."""
        with self.store.state() as state:
            state["failures"].append([pattern, code, text])

    def mend(self):
        with self.store.state() as state:
            state["failures"].clear()

    def keep_accounts(self):
        with self.store.state() as state:
            state["accounting"] = True

    # What was asked of it.

    def calls(self, *programs):
        try:
            with open(self.store.path("calls.jsonl"), encoding="utf-8") as file:
                calls = [json.loads(line) for line in file]
        except FileNotFoundError:
            return []
        return [call for call in calls if not programs or call["program"] in programs]

    def misuses(self):
        return [call["text"] for call in self.calls("misuse")]

    def lines(self, *programs):
        """Their command lines, in order."""
        return [" ".join([call["program"], *call["arguments"]]) for call in self.calls(*(programs or PROGRAMS))
                if "arguments" in call]

    def job(self, name):
        with self.store.state() as state:
            for job in state["jobs"].values():
                if name == job["name"]:
                    return job
        raise KeyError(name)

    def states(self):
        with self.store.state() as state:
            return {job["name"]: job["state"] for job in state["jobs"].values()}

    # What happens.

    def may_start(self):
        with self.store.state() as state:
            found = []
            for job in state["jobs"].values():
                before = find_jobs(state, job["dependency"]) if job["dependency"] else []
                if job["state"] == "PENDING" and all(map(is_over, before)):
                    found.append(job["name"])
            return found

    def start(self, name=None):
        """Starts the job, or the only one that may; its name."""
        if name is None:
            ready = self.may_start()
            if len(ready) != 1:
                raise AssertionError(f"these jobs may start: {ready}; all: {self.states()}")
            name = ready[0]
        with self.store.state() as state:
            job = find_job(state, name)
            options = job["options"]
            output = os.path.join(job["folder"], options["output"])
            if "%" in output.replace(options["output"], "") or "\\" in output:
                raise AssertionError(f"SLURM takes {output} for a pattern, and the job fails")
            for letter, value in (("%j", job["id"]), ("%A", job["array"]), ("%a", job["task"])):
                output = output.replace(letter, str(value))
            environment = self._environment(job)
            with open(output, "a" if options.get("open-mode") == "append" else "w", encoding="utf-8") as log:
                process = subprocess.Popen([job["script"]], cwd=job["folder"], env=environment,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            job.update(state="RUNNING", reason="None", cause=None, log=output, pids={"script": process.pid})
            self._processes[name] = process
        return name

    def _environment(self, job):
        nodes = job["options"].get("nodes", "1")
        environment = dict(job["environment"])
        environment.update({
            "SLURM_JOB_ID": str(job["id"]), "SLURM_JOBID": str(job["id"]), "SLURM_JOB_NUM_NODES": nodes,
            "SLURM_NNODES": nodes, "SLURM_JOB_NODELIST": NODES.format(nodes), "SLURM_NTASKS": nodes,
            "SLURM_NPROCS": nodes, "SLURM_NTASKS_PER_NODE": "1", "SLURM_OPEN_MODE": "a",
            "SLURM_SUBMIT_DIR": job["folder"], "SLURM_CLUSTER_NAME": "cubist_test"})
        if job["restarts"]:
            environment["SLURM_RESTART_COUNT"] = str(job["restarts"])
        if job["array"]:
            environment.update({"SLURM_ARRAY_JOB_ID": str(job["array"]), "SLURM_ARRAY_TASK_ID": str(job["task"])})
        return environment

    def wait(self, name, seconds=60):
        """Waits until the job's processes are gone, and gives it the state that it then has; the script's exit code."""
        code = self._processes.pop(name).wait(seconds)
        with self.store.state() as state:
            job = find_job(state, name)
            if "srun" in job["pids"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(job["pids"]["srun"], signal.SIGKILL)
            job["pids"] = {}
            job["exit_code"] = f"{code}:0" if code >= 0 else f"0:{-code}"
            end_state, job["end"] = job["end"], None
            if end_state == "PENDING":
                job.update(state="PENDING", reason="BeginTime", exit_code="0:0")
            elif end_state is not None:
                job.update(state=end_state)
            else:
                job.update(state="FAILED" if code else "COMPLETED", reason="NonZeroExitCode" if code else "None")
        return code

    def run(self, name=None):
        """Starts a job and waits for it; the exit code of its script."""
        return self.wait(self.start(name))

    def run_all(self):
        """One job after another until none may start."""
        for _ in range(50):
            if not self.may_start():
                return
            self.run()
        raise AssertionError(f"jobs without end: {self.states()}")

    def until_ready(self, slot, run="", seconds=60):
        """Waits until srun of a slot works."""
        self._until(lambda: any(call["slot"] == slot and run in ("", call["run"])
                                for call in self.calls("srun is ready")), seconds)

    def until_says(self, path, text, seconds=60):
        def says():
            with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
                return text in file.read()
            return False

        self._until(says, seconds)

    @staticmethod
    def _until(holds, seconds):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError("waited in vain")
            time.sleep(0.01)

    def script_ends(self, name, seconds=60):
        """Waits until the batch script is gone; to SLURM the job is COMPLETING until wait()."""
        self._processes[name].wait(seconds)

    def warn(self, name):
        """SLURM's signal before the time limit, to the batch script alone."""
        os.kill(self.job(name)["pids"]["script"], signal.SIGUSR1)

    def end(self, name, cause, log=True):
        """SLURM ends a running job for one of CAUSES, with CONT and TERM to all, and says so in its log if `log`."""
        with self.store.state() as state:
            end(find_job(state, name), cause, log)

    def kill(self, name, state):
        """All its processes die at once."""
        with self.store.state() as all_:
            job = find_job(all_, name)
            job.update(state="COMPLETING", end=state)
            if state == "PENDING":
                job["restarts"] += 1
            send(job, signal.SIGKILL)
        self.wait(name)

    def forget(self, name):
        """As SLURM does with ended jobs after MinJobAge; accounting, where there is one, does not."""
        with self.store.state() as state:
            find_job(state, name)["forgotten"] = True

    def stop(self):
        """No process of a job stays."""
        for name in list(self._processes):
            self.kill(name, "CANCELLED")
