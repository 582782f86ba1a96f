"""Records what the reference's voxel VAE computes, as a file that voxel_vae_golden_test holds Cubist's against.

record_voxel_vae.py CHECKOUT FILE: CHECKOUT is a checkout of nv-tlabs/InfiniCube; its network (sunet.py,
base_encoder.py), its losses (base_loss.py) and its recipe are imported from there and run, in double on the CPU, with
fvdb_stand_in.py in place of fvdb. Nothing of it is copied here. Needs PyTorch, NumPy, OmegaConf and safetensors.

The recipe's own widths, on a neck of 16^3 cells and a crop of 64 x 64 x 32 voxels; two samples. Parameters and latent
noise are numbers of a counter (Philox) that the test makes again. Kept: the scene, masks, counts, norms and sampled
entries of outputs and of all gradients, the losses. The structure heads' first biases are shifted so that each level
keeps KEPT_FRACTION of its candidates.
"""
import json
import math
import pathlib
import sys
import types
import unittest.mock

import numpy as np
from omegaconf import OmegaConf
import safetensors.numpy
import torch
import torch.nn.functional as F

import fvdb_stand_in

SEED, PURPOSE = 9, 7  # the key of the counter
NOISE = 1 << 32  # counter n of the noise; parameters have their place in the list
NECK_HALF = 8
KEPT_FRACTION = 0.3
GRADIENT_SAMPLES, OUTPUT_SAMPLES = 64, 2048


def uniform(n, count):
    """Philox4x32-10 at (n, 0), (n, 1), ...: float64 [count] in [0, 1)."""
    element = np.arange(count, dtype=np.uint64)
    low = np.uint64(0xffffffff)
    c = [element & low, element >> np.uint64(32), np.full(count, n & 0xffffffff, np.uint64),
         np.full(count, n >> 32, np.uint64)]
    k0, k1 = SEED, PURPOSE
    for _ in range(10):
        product0, product1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(product1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), product1 & low,
             (product0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), product0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xffffffff, (k1 + 0xBB67AE85) & 0xffffffff
    return ((c[0] << np.uint64(21)) ^ (c[1] >> np.uint64(11))).astype(np.float64) * 2.0**-53


def float32_numbers(n, shape, centre, bound):
    numbers = centre + bound * (2 * uniform(n, math.prod(shape)) - 1)
    return torch.from_numpy(numbers.astype(np.float32).astype(np.float64)).reshape(shape)


def fill_parameters(parameters):
    for place, (name, parameter) in enumerate(parameters.items()):
        is_norm = "GroupNorm" in name or "_gn." in name
        if parameter.dim() > 1:
            centre, bound = 0.0, math.sqrt(3.0 / (parameter.numel() / parameter.shape[0]))
        elif is_norm:
            centre, bound = (1.0 if name.endswith("weight") else 0.0), 0.5
        else:
            centre, bound = 0.0, 0.1
        parameter.data = float32_numbers(place, tuple(parameter.shape), centre, bound)


def scene(sample):
    """A small street: int64 [N, 3] and labels [N]. Some voxels lie beyond the neck's box."""
    random = np.random.default_rng(SEED + sample)
    labels = {}
    x, y = np.meshgrid(np.arange(-33, 33), np.arange(-32, 33), indexing="ij")
    ground = np.floor(-6 + 2 * np.sin(x / 9 + sample) + 0.04 * y).astype(int)
    for i, j, k in zip(x.ravel(), y.ravel(), ground.ravel()):
        if random.random() < 0.7:
            labels[i, j, k] = 18 if abs(j) < 12 else 21
    for _ in range(6):  # houses, cars, trees: shells of boxes
        low = np.array([random.integers(-30, 20), random.integers(-30, 20), -5])
        size = random.integers([5, 4, 3], [14, 12, 16])
        label = int(random.integers(0, 23))
        for cell in np.ndindex(*size):
            if any(c in (0, s - 1) for c, s in zip(cell, size)) and random.random() < 0.8:
                labels[tuple(low + cell)] = label
    keys = np.array(list(labels))
    keep = keys[:, 2] < 16
    return torch.from_numpy(keys[keep]), torch.tensor(list(labels.values()))[torch.from_numpy(keep)]


def nearest(queries, references, count):
    """Of equally near ones the first row; the reference leaves it open. On the lattice of half voxels, so exact."""
    assert count == 1
    to_lattice = lambda points: (points * 10).round().long()
    q, r = to_lattice(queries), to_lattice(references)
    found = [(((part[:, None] - r) ** 2).sum(2) * len(r) + torch.arange(len(r))).min(1).values for part in q.split(256)]
    key = torch.cat(found)
    return (key // len(r)).double()[:, None] * 0.01, (key % len(r))[:, None]


def import_reference(checkout):
    """The modules of CHECKOUT, without its packages' __init__ and without what only its training needs."""
    fvdb_stand_in.install()

    def module(name, **content):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)

    for package in ("", ".voxelgen", ".voxelgen.data"):
        module("infinicube" + package, __path__=[str(checkout.joinpath("infinicube", *package.split(".")[1:]))])
    module("infinicube.voxelgen.ext", common=types.SimpleNamespace(knn_query_fast=nearest))
    module("infinicube.voxelgen.utils.exp", ConsoleColor=None)
    module("loguru", logger=unittest.mock.Mock())
    module("jaxtyping", Float=unittest.mock.MagicMock(), Shaped=unittest.mock.MagicMock())

    from infinicube.voxelgen.data.base import DatasetSpec
    from infinicube.voxelgen.modules.autoencoding.base_encoder import Encoder
    from infinicube.voxelgen.modules.autoencoding.hparams import hparams_handler
    from infinicube.voxelgen.modules.autoencoding.losses.base_loss import Loss
    from infinicube.voxelgen.modules.autoencoding.sunet import StructPredictionNet

    configs = checkout / "infinicube/voxelgen/configs"
    recipe = OmegaConf.load(configs / "vae_64x64x64_height_down2_vs02_dense_residual.yaml")
    recipe = hparams_handler(OmegaConf.merge(
        *[OmegaConf.load(configs / path) for path in recipe.include_configs if "vae" in path], recipe))
    recipe.network.unet.params.neck_bound = [NECK_HALF] * 3
    unet = StructPredictionNet(cut_ratio=recipe.cut_ratio, with_normal_branch=recipe.with_normal_branch,
                               with_semantic_branch=recipe.with_semantic_branch, **recipe.network.unet.params)
    return recipe, Encoder(recipe), unet, Loss(recipe), DatasetSpec


def check_stand_in():
    """The stand-in's convolution against PyTorch's over the volume with axes (z, y, x), as fvdb's own test has it."""
    torch.manual_seed(0)
    mask = torch.rand(5, 6, 7) < 0.4
    grid = fvdb_stand_in.gridbatch_from_ijk([mask.nonzero()], [1] * 3, [0] * 3)
    i, j, k = grid.rows[:, 1:].unbind(1)
    layer = fvdb_stand_in.SparseConv3d(3, 4)
    layer.weight.data.normal_(), layer.bias.data.normal_()
    x = torch.randn(len(i), 3, requires_grad=True)
    y = layer(fvdb_stand_in.VDBTensor(grid, grid.jagged_like(x))).data.jdata
    volume = torch.zeros(3, 7, 6, 5).index_put((torch.arange(3)[:, None], k, j, i), x.T)
    expected = F.conv3d(volume[None], layer.weight, layer.bias, padding=1)[0][:, k, j, i].T
    inputs = [x, layer.weight, layer.bias]
    dy = torch.randn_like(y)
    for a, b in zip((y, *torch.autograd.grad(y, inputs, dy)), (expected, *torch.autograd.grad(expected, inputs, dy))):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-12), "the stand-in's convolution is wrong"


def impulse():
    """What a one in the middle of 3x3x3 voxels becomes: y[i, j, k] tells which weight element ties them."""
    grid = fvdb_stand_in.gridbatch_from_ijk([torch.cartesian_prod(*[torch.arange(3)] * 3)], [1] * 3, [0] * 3)
    layer = fvdb_stand_in.SparseConv3d(1, 1, bias=False)
    layer.weight.data.copy_(torch.arange(27.0).reshape(1, 1, 3, 3, 3))
    x = (grid.rows[:, 1:] == 1).all(1).double()[:, None]
    y = layer(fvdb_stand_in.VDBTensor(grid, grid.jagged_like(x))).data.jdata.detach()
    dense = torch.zeros(3, 3, 3)
    dense[tuple(grid.rows[:, 1:].T)] = y[:, 0]
    return dense


class Recorder:
    def __init__(self):
        self.tensors = {}
        self.random = np.random.default_rng(SEED)

    def keep(self, name, tensor):
        self.tensors[name] = np.ascontiguousarray(tensor.detach().numpy())

    def sample(self, name, tensor, count):
        """Shape, norm and up to `count` entries: "name", "name.index", "name.norm", "name.shape"."""
        flat = tensor.detach().reshape(-1)
        index = np.arange(len(flat))
        if len(flat) > count:
            index = np.sort(self.random.choice(len(flat), count, replace=False))
        self.keep(name, flat[torch.from_numpy(index)])
        self.keep(name + ".index", torch.from_numpy(index))
        self.keep(name + ".norm", flat.norm())
        self.keep(name + ".shape", torch.tensor(tensor.shape))


def main():
    checkout, path = map(pathlib.Path, sys.argv[1:])
    recipe, encoder, unet, loss, spec = import_reference(checkout)
    check_stand_in()
    parameters = {f"encoder.{name}": p for name, p in encoder.named_parameters()}
    parameters.update({f"unet.{name}": p for name, p in unet.named_parameters()})
    assert len(parameters) == 107 and sum(p.numel() for p in parameters.values()) == 19593021
    fill_parameters(parameters)

    scenes = [scene(b) for b in range(2)]
    size = [float(recipe.voxel_size[0])] * 3
    grid = fvdb_stand_in.gridbatch_from_ijk([ijk for ijk, _ in scenes], size, [w / 2 for w in size])
    labels = []
    for b, (ijk, values) in enumerate(scenes):
        found = grid.ijk_to_index(fvdb_stand_in.JaggedTensor([ijk[:0]] * b + [ijk] + [ijk[:0]] * (1 - b))).jdata
        labels.append(torch.empty(len(ijk), dtype=torch.long).index_put_((found,), values))
    batch = {spec.INPUT_PC: grid, "input_grid": grid, spec.GT_SEMANTIC: labels}

    def encode():
        features = encoder(grid, batch)
        return unet.encode(fvdb_stand_in.VDBTensor(grid, grid.jagged_like(features)), None, batch=batch)

    # Noise by the cell's place in the dense box, whatever the order of the reference's rows.
    cells = (2 * NECK_HALF) ** 3
    noise_dense = float32_numbers(NOISE, (2 * cells, recipe.network.unet.params.f_maps * 4 // recipe.cut_ratio), 0.0,
                                  math.sqrt(3.0))

    def place(rows):
        b, i, j, k = (rows + torch.tensor([0] + [NECK_HALF] * 3)).unbind(1)
        return ((b * 2 * NECK_HALF + i) * 2 * NECK_HALF + j) * 2 * NECK_HALF + k

    def dense(rows, values):
        return torch.empty_like(values).index_put((place(rows),), values)

    import infinicube.voxelgen.modules.autoencoding.sunet as sunet

    def sampled(x, mu, log_sigma):
        noise = noise_dense[place(x.grid.rows)]
        with unittest.mock.patch.object(torch.Tensor, "normal_", lambda self: self.copy_(noise)):
            return fvdb_stand_in.VDBTensor(x.grid, x.grid.jagged_like(sunet.reparametrize(mu, log_sigma)))

    recorder = Recorder()
    biases = []
    with torch.no_grad():
        _, x, mu, log_sigma = encode()
        z = sampled(x, mu, log_sigma)
        for place_of_level, level in enumerate((2, 1, 0), 1):
            res, _ = unet.decode(unet.FeaturesSet(), z)
            logits = res.structure_features[level].data.jdata
            margin = torch.sort(logits[:, 0] - logits[:, 1], descending=True).values
            cut = int(KEPT_FRACTION * len(margin))
            bias = parameters[f"unet.struct_convs.Struct-{place_of_level}.OutConv.bias"]
            bias.data[0] = (bias.data[0] - (margin[cut - 1] + margin[cut]) / 2).float().double()
            biases.append(bias.data[0])
            print(f"level {level}: {len(margin)} candidates", flush=True)

    res, x, mu, log_sigma = encode()
    res, _ = unet.decode(res, sampled(x, mu, log_sigma))
    out = {"gt_grid": grid, "structure_features": res.structure_features, "semantic_features": res.semantic_features,
           "dist_features": [(mu, log_sigma)]}
    terms, metrics, _ = loss(batch, out, compute_metric=True, global_step=0, current_epoch=0)
    total = terms.get_sum()
    total.backward()

    for b in range(2):
        recorder.keep(f"scene.{b}.ijk", grid.ijk[b].jdata.int())
        recorder.keep(f"scene.{b}.labels", labels[b])
    recorder.keep("structure_biases", torch.stack(biases))
    recorder.sample("mean", dense(x.grid.rows, mu), OUTPUT_SAMPLES)
    recorder.sample("log_variance", dense(x.grid.rows, log_sigma), OUTPUT_SAMPLES)
    for level, features in res.structure_features.items():
        logits = features.data.jdata
        logits = dense(features.grid.rows, logits) if level == 2 else logits
        margin = logits[:, 0] - logits[:, 1]
        recorder.sample(f"structure.{level}", logits, OUTPUT_SAMPLES)
        recorder.keep(f"occupied.{level}", margin > 0)
        print(f"level {level}: {len(margin)} candidates, {int((margin > 0).sum())} kept, smallest margin "
              f"{margin.abs().min():.1e}")
    recorder.sample("semantic", res.semantic_features[-1].data.jdata, OUTPUT_SAMPLES)
    for name, value in [*terms.items(), *metrics.items(), ("sum", total)]:
        recorder.keep(f"loss.{name}", torch.as_tensor(value, dtype=torch.float64))
        print(f"{name}: {float(torch.as_tensor(value).detach()):.9f}")
    for name, parameter in parameters.items():
        recorder.sample(f"gradient.{name}", parameter.grad, GRADIENT_SAMPLES)
    recorder.keep("impulse", impulse())
    safetensors.numpy.save_file(recorder.tensors, path, {"parameters": json.dumps(list(parameters))})
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
