"""R6, R7, R12 and fault F24 on the sources and the object code of our programs. Argument: the runfiles of the workspace."""
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.abspath(sys.argv.pop())
sys.path.insert(0, os.path.join(ROOT, "tests/state_census"))
import census  # noqa: E402
import cpp_state  # noqa: E402

# What starts programs, or runs code that is not in the program.
EXECUTES = {"system", "popen", "dlopen", "dlmopen", "dlsym", "execl", "execle", "execlp", "execv", "execve", "execvp",
            "execvpe", "fexecve", "posix_spawn", "posix_spawnp", "vfork", "wordexp"}
# Random numbers of the process, or of the machine.
GLOBAL_RANDOM = {"rand", "srand", "srandom", "drand48", "random_device", "mt19937", "mt19937_64",
                 "default_random_engine", "random_shuffle", "getrandom", "manual_seed", "randn", "randn_like", "rand_like",
                 "randint", "randperm", "bernoulli", "bernoulli_", "multinomial", "normal_", "uniform_", "dropout"}


def sources():
    found = sorted(census.sources(ROOT))
    assert len(found) > 100, "the sources are not where this test looks"
    return found


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


class SourcesTest(unittest.TestCase):
    def named(self, words):
        for path in sources():
            for token in cpp_state.tokens(read(path)):
                if token.text in words:
                    yield f"{path}:{token.line}: {token.text}"

    def test_R06_nothing_starts_programs_but_the_launcher_its_workers_and_wandb_core(self):
        found = list(self.named(EXECUTES))
        self.assertEqual([re.sub(":[0-9]+:", ":", place) for place in found],
                         ["tools/training/launch/launcher.cc: execve", "tools/wandb/core_process.cc: posix_spawn"],
                         found)

    def test_R06_object_code_asks_for_nothing_that_executes(self):
        libraries = [os.path.join(folder, name) for folder, _, names in os.walk(ROOT, followlinks=False)
                     for name in names if name.endswith(".a")]
        self.assertGreater(len(libraries), 50, "the libraries are not where this test looks")
        found = set()
        for library in libraries:
            for line in subprocess.check_output(["nm", "--undefined-only", library], text=True).splitlines():
                symbol = line.split()[-1] if line.strip() else ""
                if symbol in EXECUTES:
                    found.add((os.path.relpath(library, ROOT), symbol))
        self.assertEqual(sorted((os.path.basename(library), symbol) for library, symbol in found),
                         [("libcore_process.a", "posix_spawn"), ("liblauncher.a", "execve"),
                          # CUB's way to the GPU's driver.
                          ("librow_groups_cuda.a", "dlopen"), ("librow_groups_cuda.a", "dlsym")])

    def test_R07_no_path_of_a_machine_and_no_organisation_in_sources(self):
        literal = re.compile(r'"(?:/(?:home|mnt|lustre|root|opt|usr|var|scratch|nfs|workspace)\b[^"]*|'
                             r'[^"]*(?:wandb\.ai|api\.wandb|nv-tlabs|nvidia-|entity=)[^"]*)"')
        found = [f"{path}: {match.group()}" for path in sources()
                 for match in literal.finditer(re.sub(r"(?<!:)//[^\n]*", "", read(path)))]
        # The service's own address, where WANDB_BASE_URL names no other; whose run it is, is in no source.
        self.assertEqual({place.split(":")[0] for place in found}, {"tools/wandb/credentials.cc"}, found)
        self.assertEqual([place for place in found if "entity" in place], [])

    def test_R07_places_and_names_are_flags(self):
        help_text = subprocess.check_output([os.path.join(ROOT, "tools/train"), "--help"], text=True)
        for flag in ("--data_root", "--assets_root", "--run_dir", "--wname", "--init_from", "--resume_from", "--logger_type"):
            self.assertRegex(help_text, rf"(?m)^\s+{flag}\b")

    def test_R12_no_random_numbers_of_the_process(self):
        # Names of runs at Weights & Biases, which must differ.
        self.assertEqual([place.split(":")[0] for place in self.named(GLOBAL_RANDOM)], ["tools/wandb/wandb_run.cc"])

    def test_F24_wall_clocks_only_date_what_is_written(self):
        # Deadlines, rates and intervals count on clocks that do not jump.
        wall = re.compile(r"\bsystem_clock\b|\bgettimeofday\b|\bCLOCK_REALTIME\b|\bstd::time\(")
        found = {path for path in sources() if wall.search(re.sub(r"//[^\n]*", "", read(path)))}
        self.assertLessEqual(found, {
            "tools/training/checkpoint/checkpoint_store.cc", "tools/training/checkpoint/run_lock.cc",
            "tools/training/logging/event_writer.cc", "tools/training/loop/run_logger.cc",
            "tools/training/loop/skip_account.cc", "tools/wandb/wandb_run.cc"})
        self.assertEqual(list(self.named({"O_TMPFILE"})), [], "not every file system has it")


if __name__ == "__main__":
    unittest.main()
