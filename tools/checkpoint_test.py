"""checkpoint from outside: what it prints, writes and ends with. Arguments: the programs checkpoint and make_runs, and a
config."""
import json
import math
import os
import pickle
import shutil
import struct
import subprocess
import sys
import unittest
import zipfile

PROGRAM, MAKE_RUNS, CONFIG = (os.path.abspath(path) for path in sys.argv[1:4])
FOLDER = os.environ["TEST_TMPDIR"]


def write_safetensors(path, tensors):
    """tensors: name -> (format's dtype, struct's letter, shape, values)"""
    header, data = {}, b""
    for name, (dtype, letter, shape, values) in tensors.items():
        packed = struct.pack(f"<{len(values)}{letter}", *values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


class CheckpointTest(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.join(FOLDER, self.id())
        os.makedirs(self.folder)
        subprocess.run([MAKE_RUNS, self.folder, CONFIG], check=True)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def run_it(self, code, *arguments):
        """Standard output; standard error is in self.said."""
        environment = {"BUILD_WORKING_DIRECTORY": self.folder}
        done = subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, check=False)
        self.said = done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout.decode()}{self.said}")
        for output in (done.stdout, done.stderr):
            self.assertEqual([byte for byte in output if (byte < 32 and byte != 10) or byte > 126], [])
        if code > 1:
            self.assertTrue(self.said.startswith("checkpoint: "), self.said)
        return done.stdout.decode()

    def json(self):
        with open(self.path("out.json"), encoding="utf-8") as file:
            return json.load(file)


class ShowTest(CheckpointTest):
    def test_text(self):
        out = self.run_it(0, "show", "runs/first")
        lines = out.splitlines()
        self.assertLessEqual(max(len(line) for line in lines if self.folder not in line), 100)
        self.assertIn("step        30, 240 samples consumed", lines)
        self.assertIn("best        val_loss 0.0333333 at step 30", lines)
        self.assertTrue(any(line.startswith("config      quickstart_vae, ") for line in lines))
        folded = lines.index("  layer.{0..2}               6 tensors, 24 parameters, 96 B")
        self.assertEqual(lines[folded + 1].split(), ["bias", "float32", "2", "0", "0", "0", "0", "100%"])
        self.assertEqual(lines[folded + 2].strip(), "! all zeros")
        self.assertEqual(lines[folded + 3].split(), ["weight", "float32", "2x3", "30", "34.5", "32.2", "1.18", "0%"])
        self.assertIn("  ! 1 NaN of 4", lines)
        self.assertIn("model       8 tensors, 29 parameters, 120 B", lines)
        self.assertIn("all         9 tensors, 30 values, 128 B", lines)
        self.assertIn("! with values that are not finite: 1 tensor", lines)

    def test_choice(self):
        out = self.run_it(0, "show", "runs/first:10", "--depth", "1", "--group", "model")
        self.assertIn("  layer.{0..2}               6 tensors, 96 B", out)
        self.assertNotIn("weight   ", out.replace("head.weight", ""))
        self.assertNotIn("optimizer", out)
        out = self.run_it(0, "show", "runs/first", "--match", "*.1.b*", "--no_statistics")
        self.assertIn("shown are 1 tensor of 9", out)
        self.assertNotIn("zeros", out)
        self.assertIn("shown are 3 tensors of 9", self.run_it(0, "show", "runs/first", "--match", ".bias"))
        self.run_it(2, "show", "runs/first", "--match", "no_such")
        self.assertIn("none of its 9 tensors matches \"no_such\"", self.said)
        self.run_it(2, "show", "runs/first", "--group", "ema")

    def test_json_against_sums_of_python(self):
        values = [0.1 * i - 7 for i in range(5000)] + [0.0]
        write_safetensors(self.path("x.safetensors"), {"a.b": ("F64", "d", [5001], values),
                                                       "none": ("F32", "f", [0, 3], []),
                                                       "bad": ("F32", "f", [2], [math.nan, math.inf])})
        self.run_it(0, "show", "x.safetensors", "--json", "out.json")
        content = self.json()
        self.assertEqual(content["format"], "safetensors")
        tensors = {tensor["name"]: tensor for tensor in content["tensors"]}
        found = tensors["a.b"]
        mean = math.fsum(values) / len(values)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
        self.assertEqual((found["min"], found["max"], found["zeros"]), (min(values), max(values), values.count(0)))
        self.assertAlmostEqual(found["mean"], mean, places=9)
        self.assertAlmostEqual(found["std"], deviation, places=9)
        self.assertEqual((tensors["none"]["count"], tensors["none"]["min"]), (0, None))
        self.assertEqual([tensors["bad"][key] for key in ("count", "nans", "infinities", "max")], [2, 1, 1, None])
        self.run_it(0, "show", "runs/first", "--json", "out.json")
        self.assertEqual(len(self.json()["tensors"]), 9)
        self.assertIn("learning_rate", self.json()["config"])


class DiffTest(CheckpointTest):
    def test_two_steps(self):
        out = self.run_it(1, "diff", "runs/first:10", "runs/first:30", "--json", "out.json")
        self.assertIn("equal: 5 tensors, changed: 4, of another dtype or shape: 0, only in A: 0, only in B: 0", out)
        self.assertIn("  model/layer.1.weight  6 of 6 values\n    by 20 at most at [0, 0]: 11 -> 31; relative 0.645", out)
        self.assertIn("  learning_rate.initial: 0.001 -> 0.125\n", out)
        self.assertIn("  step: 10 -> 30\n", out)
        content = self.json()
        self.assertFalse(content["same"])
        self.assertEqual({tensor["absolute"] for tensor in content["changed"]}, {20})
        self.assertIn("best_metrics[\"val_loss\"]: 0.1 -> 0.03333333333333333", content["state"])

    def test_equal(self):
        self.assertIn("config and state of the run: equal", self.run_it(0, "diff", "runs/first", "runs/first:30"))
        # NaN is NaN; the state dict has no state of a run, and no optimizer.
        out = self.run_it(0, "diff", "weights.ckpt", "weights.safetensors")
        self.assertIn("equal: 8 tensors, changed: 0", out)
        out = self.run_it(1, "diff", "runs/first", "weights.ckpt")
        self.assertIn("only in A:\n  the group optimizer: 1 tensor, 8 B\n", out)

    def test_what_can_differ(self):
        one = {"vae.a": ("F32", "f", [2, 2], [1, 2, 3, 4]), "vae.b": ("F32", "f", [1], [1]),
               "near": ("F32", "f", [2], [1, 2]), "type": ("F32", "f", [1], [1]), "shape": ("F32", "f", [2], [1, 1])}
        other = {"a": one["vae.a"], "b": one["vae.b"], "near": ("F32", "f", [2], [1, 2.25]),
                 "type": ("F64", "d", [1], [1]), "shape": ("F32", "f", [2, 1], [1, 1])}
        write_safetensors(self.path("a.safetensors"), one)
        write_safetensors(self.path("b.safetensors"), other)
        out = self.run_it(1, "diff", "a.safetensors", "b.safetensors", "--tolerance", "0.25")
        self.assertIn("equal: 0 tensors, changed: 0, of another dtype or shape: 2, only in A: 2, only in B: 2", out)
        self.assertIn("within the tolerance: 1 tensor, by 0.25 at most", out)
        self.assertIn("hint: most names that only A has are those of B with \"vae.\" in front", out)
        self.assertIn("model/shape  float32 2 -> float32 2x1", out)
        self.assertIn("hint: most names that only B has are those of A with \"vae.\" in front",
                      self.run_it(1, "diff", "b.safetensors", "a.safetensors"))
        write_safetensors(self.path("c.safetensors"), {**one, "near": other["near"]})
        self.run_it(0, "diff", "a.safetensors", "c.safetensors", "--tolerance", "0.25")
        self.run_it(1, "diff", "a.safetensors", "c.safetensors", "--tolerance", "0.24", "--json", "out.json")
        changed, = self.json()["changed"]
        self.assertEqual((changed["absolute_at"], changed["a"], changed["b"]), ([1], 2, 2.25))


class VerifyTest(CheckpointTest):
    def test_damage(self):
        out = self.run_it(0, "verify", "runs/first", "weights.ckpt", "weights.safetensors")
        self.assertEqual([line.split()[0] for line in out.splitlines()], ["ok"] * 4)
        self.assertIn("no checksums", out.splitlines()[3])
        damaged = self.path("runs/first/checkpoints/step-000000010/model.safetensors")
        flip(damaged, -1)
        out = self.run_it(6, "verify", "runs/first", "runs/second")
        self.assertEqual([line.split()[0] for line in out.splitlines()], ["BAD", "ok", "ok"])
        self.assertIn(damaged, out)
        self.assertIn("scale", out.splitlines()[0])
        with open(self.path("weights.ckpt"), "rb") as file:
            at = file.read().index(struct.pack("<ff", 1, math.nan))
        flip(self.path("weights.ckpt"), at)
        os.truncate(self.path("weights.safetensors"), os.path.getsize(self.path("weights.safetensors")) - 1)
        out = self.run_it(3, "verify", "weights.ckpt", "weights.safetensors", "runs/first")
        self.assertIn("head.weight", out.splitlines()[0])
        self.assertIn("3 of 4 could not be verified", self.said)
        for command in (["show"], ["convert", "--overwrite"]):
            self.run_it(3, *command, "weights.ckpt", *([] if command == ["show"] else ["new.safetensors"]))
            self.assertIn("head.weight", self.said)
        self.assertFalse(os.path.exists(self.path("new.safetensors")))


class ConvertTest(CheckpointTest):
    def test_round_trip(self):
        # For the reference, an optimizer without moments has no state.
        for output, equal in (("new.safetensors", 9), ("new.ckpt", 8), ("runs/new", 9)):
            self.assertRegex(self.run_it(0, "convert", "runs/first", output), r"^wrote .*new.* \(9 tensors, 128 B\)\n$")
            out = self.run_it(1, "diff", "runs/first", output, "--json", "out.json")
            self.assertEqual((self.json()["equal"], self.json()["config"]), (equal, []), out)
        self.run_it(2, "convert", "runs/first", "new.ckpt")
        self.assertIn("new.ckpt: exists already; --overwrite replaces it", self.said)
        self.assertIn("(8 tensors, 120 B)",
                      self.run_it(0, "convert", "runs/first", "new.ckpt", "--weights_only", "--overwrite"))
        self.run_it(2, "convert", "runs/first", "averages.ckpt", "--ema")
        self.assertIn("has no moving averages", self.said)
        self.assertFalse(os.path.exists(self.path("averages.ckpt")))


class LogTest(CheckpointTest):
    def test_chain(self):
        out = self.run_it(0, "log", "runs/second", "--json", "out.json")
        lines = [line.strip() for line in out.splitlines()]
        steps = [line.split()[2] for line in lines if line.startswith("*")]
        self.assertEqual(steps, ["5", "30", "10"])
        self.assertIn("learning_rate.initial: 0.001 -> 0.125", lines)
        self.assertIn("best val_loss 0.2 at step 5", lines)
        gone, = [i for i, line in enumerate(lines) if line.startswith("PARENT")]
        self.assertIn(": not here; retention removed it, or its run is elsewhere", lines[gone])
        self.assertEqual(lines[gone + 1], "what this run still has of before:")
        content = self.json()
        self.assertEqual([entry["step"] for entry in content], [5, 30, 10])
        self.assertEqual([[parent["here"] for parent in entry["parents"]] for entry in content], [[True], [False], []])

    def test_branches(self):
        lines = self.run_it(0, "log", "runs/merged").splitlines()
        steps = [line for line in lines if "* step" in line]
        self.assertEqual([line[:line.index("  ", 8)] for line in steps],
                         ["* step 1", "|   * step 30", "|   * step 10", "    * step 5"])
        self.assertEqual([line for line in lines if "--" in line], ["|-- branch_3d", "`-- branch_2d"])
        self.assertRegex(lines[-1], r"^    PARENT [0-9a-f]{12}: see above$")

    def test_files_and_elsewhere(self):
        self.assertEqual(self.run_it(0, "log", "weights.safetensors").count("\n"), 2)
        self.run_it(0, "convert", "weights.ckpt", "runs/converted")
        self.assertRegex(self.run_it(0, "log", "runs/converted"),
                         r"PARENT [0-9a-f]{12} \(torch state dict\): not here; it was a file")
        shutil.rmtree(self.path("runs/first"))
        self.assertIn("not here", self.run_it(0, "log", "runs/second"))


class HostileTest(CheckpointTest):
    def test_a_pickle_that_calls(self):
        class Call:
            def __reduce__(self):
                return os.system, (f"touch {FOLDER}/marker",)

        for content in (Call(), {"state_dict": Call()}, {"state_dict": {"weight": Call()}}, [Call()]):
            with zipfile.ZipFile(self.path("evil.ckpt"), "w") as archive:
                archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
                archive.writestr("archive/version", "3\n")
            for arguments in (["show"], ["verify"], ["log"], ["diff", "evil.ckpt"], ["convert", "out.ckpt"]):
                self.run_it(3, arguments[0], "evil.ckpt", *arguments[1:])
                self.assertIn("evil.ckpt", self.said if arguments[0] != "verify" else "evil.ckpt")
        self.assertFalse(os.path.exists(os.path.join(FOLDER, "marker")))
        self.assertFalse(os.path.exists(self.path("out.ckpt")))

    def test_names(self):
        # run_it looks for bytes that are no plain text.
        name = "a\x1b[2Jb\n\u202e.\x07"
        write_safetensors(self.path("evil.safetensors"), {name: ("F32", "f", [1], [1]),
                                                          "." * 100000: ("F32", "f", [0], [])})
        self.assertIn("a\\x1b[2Jb\\x0a", self.run_it(0, "show", "evil.safetensors", "--json", "out.json"))
        self.assertIn(name, [tensor["name"] for tensor in self.json()["tensors"]])
        self.run_it(1, "diff", "evil.safetensors", "weights.safetensors")
        self.run_it(0, "verify", "evil.safetensors")
        self.run_it(0, "convert", "evil.safetensors", "out.ckpt")


class FlagsTest(CheckpointTest):
    def test_mistakes(self):
        for arguments in ([], ["shew"], ["show"], ["show", "runs/first", "--depth", "0"], ["diff", "runs/first"],
                          ["diff", "runs/first", "runs/first", "--tolerance", "-1"], ["verify"], ["show", ""],
                          ["convert", "runs/first"], ["show", "runs/none"], ["log", "runs/first:7"],
                          ["show", CONFIG], ["log", "runs/first", "--group", "model"]):
            self.run_it(2, *arguments)
        self.run_it(6, "show", "runs/first", "--json", "no/such/folder.json")
        for command in ("show", "diff", "verify", "convert", "log"):
            self.assertIn("--help", self.run_it(0, command, "--help"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
