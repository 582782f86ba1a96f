"""//tools:checkpoint and //tools:merge_ckpt against real PyTorch: what they read and write is the same, bit for bit."""
import glob
import json
import os
import shutil
import unittest

import torch

import comparison
import stand_ins

FOLDER = os.environ["TEST_TMPDIR"]
# With the recipes' shapes where that is not gigabytes: converting writes every element of a tensor that was repeated.
CASES = [(model, "small") for model in stand_ins.MODELS] + [("vae", "real"), ("reconstruction_3d", "real")]


def load(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def checkpoint_folder(run):
    found, = glob.glob(os.path.join(run, "checkpoints", "step-*"))
    return found


class ConvertTest(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.join(FOLDER, self.id())
        os.makedirs(self.folder)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def test_theirs_to_ours_and_back(self):
        for model, size in CASES:
            with self.subTest(model=model, size=size):
                written = stand_ins.write(self.path("theirs.ckpt"), model, size)
                comparison.run("tools/checkpoint", "convert", self.path("theirs.ckpt"), self.path("ours"))
                comparison.run("tools/checkpoint", "convert", self.path("ours"), self.path("back.ckpt"))
                loaded = load(self.path("back.ckpt"))
                self.assertEqual(comparison.compare(written["state_dict"], loaded["state_dict"]), [])
                self.assertEqual(list(written["state_dict"]), list(loaded["state_dict"]))
                self.assertEqual(comparison.compare(*(comparison.tensors_of(content["optimizer_states"])
                                                      for content in (written, loaded))), [])
                for key in ("epoch", "global_step", "pytorch-lightning_version"):
                    self.assertEqual(written[key], loaded[key])
                self.tearDown()
                self.setUp()

    def test_every_recipe_at_its_real_size(self):
        """Names, order and shapes; writing every element of the large ones would take gigabytes."""
        for model in stand_ins.MODELS:
            with self.subTest(model=model):
                written = stand_ins.write(self.path("real.ckpt"), model, "real")
                comparison.run("tools/checkpoint", "show", self.path("real.ckpt"), "--no_statistics", "--json",
                               self.path("real.json"))
                with open(self.path("real.json"), encoding="utf-8") as file:
                    shown = json.load(file)
                weights = [(tensor["name"], tensor["shape"]) for tensor in shown["tensors"] if tensor["group"] == "model"]
                self.assertEqual(weights, [(name, list(value.shape)) for name, value in written["state_dict"].items()
                                           if not name.startswith("unet_ema.")])
                moments = sum(tensor["name"].startswith("exp_avg.") for tensor in shown["tensors"])
                self.assertEqual(moments, len(written["optimizer_states"][0]["state"]))
                self.assertTrue(shown["config_hash"], "the hyper-parameters make a config")
                self.tearDown()
                self.setUp()

    def test_what_belongs_to_which_parameter(self):
        """Moments and averages by name: a permutation that is undone on the way back would pass the round trips."""
        for model in stand_ins.MODELS:
            with self.subTest(model=model):
                stand_ins.write(self.path("theirs.ckpt"), model, "small")
                comparison.run("tools/checkpoint", "convert", self.path("theirs.ckpt"), self.path("ours"))
                layout = {name: (shape, kind) for name, shape, kind in stand_ins.layout_of(model, "small")}
                checked = 0
                for entry, value in comparison.read_safetensors(checkpoint_folder(self.path("ours"))).items():
                    file, name = entry.split("/", 1)
                    if file == "optimizer.safetensors" and name != "step":
                        moment, parameter = name.split(".", 1)
                        seed, of = f"{moment} {parameter}", parameter
                    elif file == "ema.safetensors":
                        seed = of = "unet_ema." + name[len("unet."):].replace(".", "")
                    else:
                        continue
                    self.assertTrue(torch.equal(stand_ins.float_tensor(seed, *layout[of], "small", 0).contiguous(), value),
                                    entry)
                    checked += 1
                self.assertGreater(checked, 300)
                self.tearDown()
                self.setUp()

    def test_ours_to_theirs_and_back(self):
        for model, size in CASES:
            with self.subTest(model=model, size=size):
                stand_ins.write(self.path("theirs.ckpt"), model, size)
                comparison.run("tools/checkpoint", "convert", self.path("theirs.ckpt"), self.path("ours"))
                comparison.run("tools/checkpoint", "convert", self.path("ours"), self.path("between.ckpt"))
                comparison.run("tools/checkpoint", "convert", self.path("between.ckpt"), self.path("back"))
                ours, back = (comparison.read_safetensors(checkpoint_folder(self.path(name)))
                              for name in ("ours", "back"))
                self.assertGreater(len(ours), 0)
                self.assertEqual(comparison.compare(ours, back), [])
                self.tearDown()
                self.setUp()


class HostileTest(unittest.TestCase):
    def test_a_few_bytes_that_stand_for_gigabytes(self):
        path = os.path.join(FOLDER, "hostile.ckpt")
        for tensors in ({"w": torch.zeros(1).expand(1 << 29)},
                        {f"w{k}": torch.zeros(1).expand(1 << 27) for k in range(200)}):
            torch.save({"state_dict": tensors}, path)
            for command in (("show",), ("verify",), ("convert",)):
                output = [os.path.join(FOLDER, "out.safetensors")] if command == ("convert",) else []
                said = comparison.run("tools/checkpoint", *command, path, *output, exit_code=3)
                self.assertIn("by repeating them", said)


class MergeTest(unittest.TestCase):
    def test_the_union_with_the_2d_branch_winning(self):
        branches = {}
        for branch in ("3d", "2d"):
            branches[branch] = stand_ins.checkpoint("reconstruction_" + branch, "small")
        # The recipes share no name: one that both have, with other values.
        shared = "skybox.sky_query"
        branches["3d"]["state_dict"][shared] = branches["2d"]["state_dict"][shared] + 1
        for branch, content in branches.items():
            torch.save(content, os.path.join(FOLDER, branch + ".ckpt"))
        output = os.path.join(FOLDER, "dual.ckpt")
        comparison.run("tools/merge_ckpt", "--branch_3d", os.path.join(FOLDER, "3d.ckpt"), "--branch_2d",
                       os.path.join(FOLDER, "2d.ckpt"), "--output", output, "--on_conflict", "prefer_2d")
        loaded = load(output)
        union = {**branches["3d"]["state_dict"], **branches["2d"]["state_dict"]}
        self.assertEqual(comparison.compare(union, loaded["state_dict"]), [])


if __name__ == "__main__":
    unittest.main()
