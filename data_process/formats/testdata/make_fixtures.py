"""Writes the fixtures beside this file with the reference implementations of each format.

Run by hand, in a scratch environment, when a fixture is added: python3 make_fixtures.py
It needs torch, numpy, pillow, safetensors, omegaconf and imageio-ffmpeg; nothing else in the project does. The values
follow simple rules that the tests state again in their own words.
"""
import collections
import io
import os
import pathlib
import struct
import subprocess
import tarfile

import imageio_ffmpeg
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


def picture(height, width, time=0):
    """Smooth colours with an edge, a fine texture and some noise."""
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.default_rng(time)
    colour = np.stack([128 + 100 * np.sin(x / 9 + time), 40 + 3 * y, 220 - 2 * x], -1) + rng.normal(0, 3, (height, width, 3))
    colour[height // 3 : height // 2, 4 + time : width // 2 + time] = (230, 20, 60)
    colour[-6:, :, :] += 20 * ((x[-6:] + y[-6:]) % 2)[..., None]
    return np.clip(colour, 0, 255).astype(np.uint8)


def jpeg_files():
    """Files by Pillow and, in jpeg_pixels.npz, what Pillow decodes of them."""
    image = Image.fromarray(picture(53, 37))
    image.save("default.jpg")
    image.save("quality100.jpg", quality=100)
    image.save("quality1.jpg", quality=1)
    image.save("chroma_422.jpg", quality=90, subsampling="4:2:2")
    image.save("chroma_444.jpg", quality=90, subsampling="4:4:4")
    image.save("progressive.jpg", progressive=True, optimize=True)
    image.save("restarts.jpg", restart_marker_blocks=2)
    image.save("rgb_unconverted.jpg", keep_rgb=True)
    image.convert("L").save("grey.jpg")
    image.convert("L").save("grey_progressive.jpg", progressive=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.save("turned.jpg", exif=exif)
    image.crop((0, 0, 1, 1)).save("one_pixel.jpg")
    image.convert("CMYK").save("cmyk.jpg")
    pixels = {}
    for path in sorted(pathlib.Path(".").glob("*.jpg")):
        if path.stem != "cmyk":
            pixels[path.stem] = np.asarray(Image.open(path))
    pixels["original"] = np.asarray(image)
    np.savez_compressed("jpeg_pixels.npz", **pixels)


def rgb_of(planes, height, width, full_range, red, blue):
    """Y'CbCr 4:2:0 to RGB by the weights of red and blue, with the nearest chroma sample."""
    y, u, v = np.split(planes.astype(np.float64), [height * width, height * width * 5 // 4])
    y = y.reshape(height, width)
    u, v = (c.reshape(height // 2, width // 2).repeat(2, 0).repeat(2, 1) - 128 for c in (u, v))
    if full_range:
        u, v = u / 255, v / 255
        y = y / 255
    else:
        u, v = u / 224, v / 224
        y = (y - 16) / 219
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.round(255 * np.stack([r, g, b], -1)), 0, 255).astype(np.uint8)


def video_files():
    """Files by the ffmpeg program and, in video_pixels.npz, the RGB of the planes that it decodes of them."""
    reference = ["-preset", "veryslow", "-g", "250", "-bf", "3", "-sc_threshold", "60", "-qcomp", "0.5", "-psy-rd", "0.3:0",
                 "-aq-mode", "2", "-aq-strength", "0.8", "-me_method", "umh", "-flags", "+cgop", "-movflags", "+faststart"]
    x264 = ["-codec:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "23.5"] + reference
    bt709 = ["-vf", "scale=out_color_matrix=bt709:out_range=pc", "-colorspace", "bt709", "-color_range", "pc"]
    height, width = 32, 48
    pixels = {}
    for name, frames, codec in [("video.mp4", 16, x264), ("bt709_full_range.mp4", 3, bt709 + x264),
                                ("mpeg4.avi", 5, ["-codec:v", "mpeg4", "-bf", "0", "-q:v", "3"]),
                                ("vp8.mkv", 5, ["-codec:v", "libvpx", "-auto-alt-ref", "0", "-b:v", "200k"]),
                                ("fragmented.mp4", 8, x264 + ["-g", "4", "-movflags", "frag_keyframe+empty_moov"])]:
        raw = b"".join(picture(height, width, time).tobytes() for time in range(frames))
        ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
        subprocess.run(ffmpeg + ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "10", "-i", "-"] +
                       codec + ["-threads", "1", "-fflags", "+bitexact", name], input=raw, check=True)
        raw = subprocess.run(ffmpeg + ["-i", name, "-f", "rawvideo", "-"], check=True, capture_output=True).stdout
        planes = np.frombuffer(raw, np.uint8).reshape(frames, height * width * 3 // 2)
        weights = (True, 0.2126, 0.0722) if codec[:2] == bt709[:2] else (False, 0.299, 0.114)
        pixels[name] = np.stack([rgb_of(frame, height, width, *weights) for frame in planes])
    np.savez_compressed("video_pixels.npz", **pixels)


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
    jpeg_files()
    video_files()
    ply_files()
    tar_files()
    safetensors_files()
