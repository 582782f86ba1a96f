"""Writes the fixtures beside this file with the reference implementations of each format.

Run by hand, in a scratch environment, when a fixture is added: python3 make_fixtures.py
It needs torch, numpy, pillow, safetensors and omegaconf; nothing else in the project does. The values
follow simple rules that the tests state again in their own words.
"""
import collections
import io
import os
import pathlib
import struct
import tarfile

import numpy as np
import omegaconf
import safetensors.numpy
import torch
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
os.chdir(HERE)


def torch_files():
    points = torch.arange(15, dtype=torch.float32).reshape(5, 3) * 0.5 - 1
    cloud = {
        "points": points,
        "semantics": torch.tensor([0, 1, 18, 19, 22], dtype=torch.int64),
        "pc_to_world": torch.eye(4, dtype=torch.float32) * 2,
    }
    torch.save(cloud, "pcd.vs01.pth")  # by path: the root folder is "pcd.vs01"

    base = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)
    strided = {
        "permuted": base.permute(2, 0, 1),
        "slice": base[1, 1:, ::2],
        "expanded": torch.tensor([[7.0], [8.0]]).expand(2, 3),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "bfloat16": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "int32": torch.tensor([-3], dtype=torch.int32),
        "int16": torch.tensor([-300], dtype=torch.int16),
        "int8": torch.tensor([-5], dtype=torch.int8),
        "uint8": torch.tensor([250], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "parameter": torch.nn.Parameter(torch.tensor([0.25, 0.5])),
    }
    torch.save(strided, "strided.pth")

    layer = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    with torch.no_grad():
        layer[0].weight.copy_(torch.arange(6).reshape(3, 2))
        layer[0].bias.copy_(torch.tensor([0.5, 1.5, 2.5]))
    config = omegaconf.OmegaConf.create(
        {"name": "vae", "voxel_size": [0.2, 0.2], "unet": {"depth": 3, "kernel": "${name}"}, "none": None})
    checkpoint = {
        "epoch": 3,
        "global_step": 1234567890123,
        "pytorch-lightning_version": "1.9.4",
        "state_dict": layer.state_dict(),
        "callbacks": {"ModelCheckpoint{'monitor': 'val_step'}": {"best_model_score": torch.tensor(0.75)}},
        "optimizer_states": [{
            "state": {0: {"step": torch.tensor(5.0), "exp_avg": torch.ones(3, 2)}},
            "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "amsgrad": True, "params": [0, 1]}],
        }],
        "lr_schedulers": [{"lr_lambdas": [{}], "_last_lr": [1e-4]}],
        "hyper_parameters": config,
        "hparams_type": omegaconf.dictconfig.DictConfig,
        "raw": b"\x00\x80\xff",
        "seed": 2**63 + 5,
        "classes": {1},
        "negative": -70000,
    }
    buffer = io.BytesIO()  # as Lightning does: the root folder is "archive"
    torch.save(checkpoint, buffer)
    pathlib.Path("lightning.ckpt").write_bytes(buffer.getvalue())


def check_ours():
    """written_by_us.pth comes from FormatTorchZip (see torch_zip_test.cc): PyTorch must read it as it stands."""
    ours = torch.load("written_by_us.pth", weights_only=True)
    assert list(ours) == ["points", "semantics", "none"]
    assert torch.equal(ours["points"], torch.arange(1, 7, dtype=torch.float32).reshape(2, 3))
    assert torch.equal(ours["semantics"], torch.tensor([18, -1]))
    assert ours["none"].shape == (0, 3) and ours["none"].dtype == torch.float64


def npy_files():
    values = np.arange(6).reshape(2, 3)
    for descr in ["<f8", "<f4", "<f2", "|u1", "|i1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "|b1"]:
        np.save(f"c_{descr[1:]}.npy", (values - (0 if descr[1] in "ub" else 2)).astype(descr))
    np.save("fortran.npy", np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4)))
    np.save("scalar.npy", np.array(2.5))
    np.save("empty.npy", np.zeros((0,)))
    np.save("big_endian.npy", values.astype(">f8"))
    np.save("structured.npy", np.zeros(2, dtype=[("x", "<f4"), ("y", "<i4")]))
    np.save("object.npy", np.array([{}], dtype=object), allow_pickle=True)
    for version in [(2, 0), (3, 0)]:
        with open(f"version{version[0]}.npy", "wb") as file:
            np.lib.format.write_array(file, values.astype("<i4"), version=version)
    arrays = {"a_xyz": values.astype("<f8"), "a_semantic": np.array(7), "empty": np.zeros((0, 3))}
    np.savez("stored.npz", **arrays)
    np.savez_compressed("deflated.npz", **arrays, zeros=np.zeros(3000))


def png_files():
    y, x = np.mgrid[0:5, 0:11]
    Image.fromarray((x + y) % 3 == 0).save("bool.png")
    Image.fromarray((x * 20 + y).astype(np.uint8)).save("grey8.png")
    Image.fromarray((x * 6000 + y).astype(np.uint16)).save("grey16.png")
    colour = np.stack([x * 20, y * 50, x + y], -1).astype(np.uint8)
    Image.fromarray(colour).save("rgb.png")
    Image.fromarray(np.concatenate([colour, (255 - colour[..., :1])], -1)).save("rgba.png")
    palette = Image.fromarray((x % 2).astype(np.uint8), mode="P")
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.save("palette.png")


def ply_files():
    header = """ply
format {format} 1.0
comment made by hand
element material 1
property uchar red
property list uchar float weights
element vertex 4
property double x
property float confidence
property double y
property double z
element face 2
property uchar flag
property list uchar uint vertex_indices
end_header
"""
    vertices = [(0, 0.5, 0, 0), (1.25, 0.5, 0, 0), (1.25, 0.5, -2, 0), (0, 0.5, -2, 3e3)]
    faces = [(9, 0, 1, 2, 3), (8, 3, 1, 0)]
    lines = ["255 2 0.5 0.25"] + [" ".join(map(str, row)) for row in vertices]
    lines += [f"{face[0]} {len(face) - 1} " + " ".join(map(str, face[1:])) for face in faces]
    pathlib.Path("mesh_ascii.ply").write_text(header.format(format="ascii") + "\n".join(lines) + "\n")
    data = struct.pack("<BB2f", 255, 2, 0.5, 0.25)
    for x, confidence, y, z in vertices:
        data += struct.pack("<dfdd", x, confidence, y, z)
    for flag, *indices in faces:
        data += struct.pack(f"<BB{len(indices)}I", flag, len(indices), *indices)
    pathlib.Path("mesh_binary.ply").write_bytes(header.format(format="binary_little_endian").encode() + data)


def tar_files():
    for name, form in [("ustar.tar", tarfile.USTAR_FORMAT), ("gnu.tar", tarfile.GNU_FORMAT), ("pax.tar", tarfile.PAX_FORMAT)]:
        with tarfile.open(name, "w", format=form) as archive:
            members = ["clip_a.000000.pose.front.npy", "./clip_a.000001.pose.front.npy", "folder/clip_a.json"]
            if form != tarfile.USTAR_FORMAT:
                members.append("long/" + "n" * 150 + ".json")
            folder = tarfile.TarInfo("folder")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            for i, member in enumerate(members):
                payload = bytes(range(256)) * i + b"end of " + member.encode()
                info = tarfile.TarInfo(member)
                info.size = len(payload)
                info.uname = info.gname = "bigdata"
                archive.addfile(info, io.BytesIO(payload))


def safetensors_files():
    safetensors.numpy.save_file(
        {"weight": np.arange(6, dtype="<f4").reshape(2, 3), "count": np.array([5], dtype="<i8"),
         "flags": np.array([True, False, True]), "empty": np.zeros((0, 2), dtype="<f8")},
        "reference.safetensors", metadata={"format": "pt", "note": 'quoted "text"'})


if __name__ == "__main__":
    torch_files()
    check_ours()
    npy_files()
    png_files()
    ply_files()
    tar_files()
    safetensors_files()
