"""The stand-ins are what they say: written and loaded by PyTorch, they are the same, bit for bit."""
import collections
import hashlib
import math
import os
import pickletools
import unittest
import zipfile

from omegaconf import DictConfig, OmegaConf
import torch

import comparison
import layouts
import stand_ins

FOLDER = os.environ["TEST_TMPDIR"]
# Tensors and elements of the real state dicts: parameters as the specifications of the models count them, averages, and
# the statistics of batch normalisation.
COUNTS = {
    "vae": (107, 19593021),
    "diffusion": (1190, 1 + 19593021 + 2 + 2 * 812155016),
    "reconstruction_3d": (160, 17828985 + 2 * (16 + 16 + 32 + 32 + 64 + 64 + 32 + 32 + 16) + 9),
    "reconstruction_2d": (761, 335315649 + 7631859 + 2 * (256 + 128 + 128 + 32) + 4),
}
# SHA-256 of "NAME SHAPE DTYPE" lines, as the reference's own modules list them: built on the meta device with x-unet
# 0.4.0 and with stubs for fVDB; the DINOv2 backbone is read off transformers 4.40.2.
DIGESTS = {
    "vae": "a80e2ab2003c3722dba68875f85c376af23b80a92d61710807e77ca996ad6a0d",
    "diffusion": "5fbdaf2d892fdd200fd6ce624ff5b74b4834db63089e4204db9f53520dc25ffa",
    "reconstruction_3d": "2e49309ba752487d25835d6b73f21c8ccd70851827b9c2dffc6571dea3f422ff",
    "reconstruction_2d": "e6294461f54534679e373128e1c305b3b9d342fed521a939dfa56337f87cea2b",
}


def real_and_small():
    return [(model, size) for model in stand_ins.MODELS for size in ("real", "small")]


class LayoutTest(unittest.TestCase):
    def test_counts(self):
        for model, (tensors, elements) in COUNTS.items():
            layout = stand_ins.layout_of(model, "real")
            self.assertEqual(len(layout), tensors, model)
            self.assertEqual(sum(math.prod(tensor.shape) for tensor in layout), elements, model)
        self.assertEqual(sum(tensor.name.startswith("unet.") for tensor in layouts.voxel_diffusion()), 540)

    def test_names_shapes_and_order_are_the_reference_s(self):
        for model, digest in DIGESTS.items():
            lines = (f"{name} {list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
                     for name, tensor in stand_ins.state_dict(model, "real").items())
            self.assertEqual(hashlib.sha256("\n".join(lines).encode()).hexdigest(), digest, model)

    def test_small_has_the_same_names(self):
        for model in stand_ins.MODELS:
            real, small = (stand_ins.layout_of(model, size) for size in ("real", "small"))
            self.assertEqual([(tensor.name, len(tensor.shape), tensor.kind) for tensor in real],
                             [(tensor.name, len(tensor.shape), tensor.kind) for tensor in small], model)

    def test_branches_share_no_name(self):
        names = [tensor.name for tensor in layouts.reconstruction_3d() + layouts.reconstruction_2d()]
        self.assertEqual(len(names), len(set(names)))


class CheckpointTest(unittest.TestCase):
    def test_loaded_as_written(self):
        for model, size in real_and_small():
            with self.subTest(model=model, size=size):
                path = os.path.join(FOLDER, f"{model}_{size}.ckpt")
                written = stand_ins.write(path, model, size)
                if size == "real":
                    self.assertLess(os.path.getsize(path), 20 << 20)
                # weights_only=False: they hold OmegaConf's objects, as the reference's do.
                loaded = torch.load(path, map_location="cpu", weights_only=False)
                expected, found = comparison.tensors_of(written), comparison.tensors_of(loaded)
                self.assertEqual(comparison.compare(expected, found), [])
                self.assertEqual(list(expected), list(found))
                self.assertEqual(comparison.rest_of(written), comparison.rest_of(loaded))
                for name, tensor in expected.items():
                    self.assertEqual(tensor.stride(), found[name].stride(), name)
                self.assertIs(loaded["hparams_type"], DictConfig)
                self.assertEqual(loaded["state_dict"]._metadata, written["state_dict"]._metadata)
                os.remove(path)

    def test_file_is_as_lightning_writes_it(self):
        path = os.path.join(FOLDER, "file.ckpt")
        stand_ins.write(path, "vae", "small")
        with zipfile.ZipFile(path) as file:
            self.assertEqual(file.namelist()[0], "archive/data.pkl")
            pickle = file.read("archive/data.pkl")
        operations = [(code.name, argument) for code, argument, _ in pickletools.genops(pickle)]
        self.assertEqual(operations[0], ("PROTO", 2))
        globals_seen = {argument for name, argument in operations if name == "GLOBAL"}
        self.assertEqual(globals_seen, {
            "collections OrderedDict", "collections defaultdict",
            "torch._utils _rebuild_tensor_v2", "torch FloatStorage",
            "omegaconf.dictconfig DictConfig", "omegaconf.listconfig ListConfig", "omegaconf.nodes AnyNode",
            "omegaconf.base ContainerMetadata", "omegaconf.base Metadata", "typing Any", "__builtin__ dict",
            "__builtin__ list", "__builtin__ long"})
        texts = collections.Counter(argument for name, argument in operations if name == "BINUNICODE")
        self.assertIn("cuda:0", texts)
        self.assertIn("cpu", texts)
        os.remove(path)

    def test_sparse_weights_are_permuted_views(self):
        weight = stand_ins.state_dict("vae", "small")["unet.encoders.Enc1-Block0.conv2.Conv.weight"]
        self.assertEqual((tuple(weight.shape), weight.stride()), ((16, 8, 3, 3, 3), (1, 16, 128, 384, 1152)))

    def test_real_tensors_take_no_space(self):
        weight = stand_ins.state_dict("diffusion", "real")["unet.time_embed.2.weight"]
        self.assertEqual((weight.shape, weight.stride(), weight.untyped_storage().nbytes()), ((768, 768), (0, 0), 4))

    def test_values_differ(self):
        for model in stand_ins.MODELS:
            values = torch.cat([tensor.flatten()[:64] for tensor in stand_ins.state_dict(model, "small").values()
                                if tensor.dtype == torch.float32])
            self.assertGreater(values.unique().numel(), 0.99 * values.numel(), model)
        a, b = (stand_ins.state_dict("vae", "small", seed) for seed in (0, 1))
        self.assertEqual(len(comparison.compare(a, b)), 107)

    def test_optimizer_state(self):
        states = {model: stand_ins.optimizer_state(model, "small") for model in stand_ins.MODELS}
        indices = {model: list(optimizer["state"]) for model, optimizer in states.items()}
        self.assertEqual(indices["vae"], list(range(107)))
        self.assertEqual(indices["diffusion"], list(range(107, 647)))
        # The image encoder, the sparse UNet with 15 that are never used, LPIPS, the sky.
        self.assertEqual(len(states["reconstruction_3d"]["param_groups"][0]["params"]), 26 + 85 + 46 + 22)
        self.assertEqual(len(indices["reconstruction_3d"]), 26 + 70 + 22)

    def test_hyper_parameters(self):
        config = stand_ins.hyper_parameters("diffusion", "real")
        unresolved = OmegaConf.to_container(config, resolve=False)
        self.assertEqual(unresolved["train_kwargs"]["wds_root_url"], "${_wds_root_url}")
        self.assertEqual(config.train_kwargs.wds_root_url, "data/")
        self.assertEqual(config.train_kwargs.frame_end_num, 110)
        self.assertIsNone(config.exec)
        self.assertEqual(list(config.network.diffuser.channel_mult), [1, 2, 4, 4])
        self.assertEqual(stand_ins.hyper_parameters("vae", "small").network.unet.params.f_maps, 8)


class MergedTest(unittest.TestCase):
    def test_loaded_with_weights_only(self):
        for size in ("real", "small"):
            path = os.path.join(FOLDER, "dual_branch.ckpt")
            written = stand_ins.write_merged(path, size)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
            self.assertEqual(list(loaded), ["state_dict"])
            self.assertEqual(len(loaded["state_dict"]), 160 + 761)
            self.assertEqual(comparison.compare(written["state_dict"], loaded["state_dict"]), [])
            with zipfile.ZipFile(path) as file:
                self.assertEqual(file.namelist()[0], "dual_branch/data.pkl")
            os.remove(path)


class ComparisonTest(unittest.TestCase):
    def test_one_bit(self):
        a = {"x": torch.zeros(2, 3), "y": torch.ones(1).expand(4, 5)}
        self.assertEqual(comparison.compare(a, {"x": torch.zeros(3, 2).t(), "y": torch.ones(4, 5)}), [])
        b = {"x": torch.zeros(2, 3), "y": torch.ones(4, 5)}
        b["x"][1, 2] = -0.0
        self.assertEqual(comparison.compare(a, b),
                         ["x: 1 of 6 elements differ, the first at [1, 2]: 0.0 became -0.0"])

    def test_names_types_and_shapes(self):
        a = {"x": torch.zeros(2), "y": torch.zeros(2), "z": torch.zeros(())}
        b = {"x": torch.zeros(2, dtype=torch.int32), "y": torch.zeros(1, 2), "w": torch.zeros(())}
        self.assertEqual(comparison.compare(a, b), [
            "missing: z", "unexpected: w", "x: torch.float32 [2] became torch.int32 [2]",
            "y: torch.float32 [2] became torch.float32 [1, 2]"])

    def test_not_a_number_is_compared_by_its_bits(self):
        nan = {"x": torch.tensor([math.nan])}
        self.assertEqual(comparison.compare(nan, {"x": nan["x"].clone()}), [])


if __name__ == "__main__":
    unittest.main()
