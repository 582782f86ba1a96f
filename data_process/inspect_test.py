"""inspect from outside: what it finds, names and draws, and its exit codes."""
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import unittest
import zipfile
import zlib

import data_tools_testing as testing
from data_tools_testing import content, write

ATTRIBUTES = ["caption", "dynamic_object_info", "image_480p_front", "instance_buffer_480p_front", "intrinsic", "lidars",
              "pc_voxelsize_01", "pose", "semantic_buffer_video_480p_front", "video_480p_front",
              "voxel_depth_100_480p_front"]
HOLDS = {
    "caption": "JSON",
    "dynamic_object_info": "JSON",
    "image_480p_front": "uint8[60,104,3]",
    "instance_buffer_480p_front": "uint16[60,104]",
    "intrinsic": "float64[6]",
    "lidars": "points float32[5,3]",
    "pc_voxelsize_01": "pc_to_world float32[4,4], points float32[13720,3], semantics int64[13720]",
    "pose": "float64[4,4]",
    "semantic_buffer_video_480p_front": "uint8[36,64,3]",
    "video_480p_front": "uint8[36,64,3]",
    "voxel_depth_100_480p_front": "uint16[60,104]",
}
PANEL = (416, 240)
ROAD, SIDEWALK = bytes((74, 78, 92)), bytes((206, 186, 214))  # semantic_classes.h


def inspect(*arguments):
    return testing.run("inspect", *arguments, cwd=testing.new_folder("elsewhere"))


def inspect_json(root, *arguments):
    path = os.path.join(testing.new_folder("json"), "found.json")
    result = inspect(root, "--json", path, *arguments)
    with open(path, encoding="utf-8") as file:
        return result, json.load(file)


def npy(values, shape):
    """float64 in NumPy's format 1.0."""
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(11 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}d", *values)


def png(height, width, bits):
    """A black grey PNG."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = bytes(height * (1 + (width * bits + 7) // 8))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def with_unknown_class(data):
    """A .pth whose first class id is one too large."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if len(body) == 8 * 13720:  # HOLDS
                body = struct.pack("<q", 23) + body[8:]
            new.writestr(name, body)
    return changed.getvalue()


def members_of(path):
    with tarfile.open(path) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar.getmembers()]


def write_tar(root, attribute, clip, members):
    """`members`: what follows the clip's id in the name -> bytes."""
    os.makedirs(os.path.join(root, attribute), exist_ok=True)
    with tarfile.open(os.path.join(root, attribute, clip + ".tar"), "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(clip + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def drop_members(root, attribute, clip, frames, keep=False):
    """Takes frames out of an archive; `keep` puts a picture without a number in."""
    members = members_of(os.path.join(root, attribute, clip + ".tar"))
    numbers = {".%06d." % frame for frame in frames}
    left = {name[len(clip):]: data for name, data in members if name[len(clip):len(clip) + 8] not in numbers}
    write_tar(root, attribute, clip, {**left, **({".png": png(60, 104, 16)} if keep else {})})


def read_png(path):
    """Rows of (r, g, b) bytes of an 8-bit RGB PNG: all filters of the PNG specification, chapter 9."""
    data = content(path)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 2), "8 bits, RGB"
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    raw, rows, above = zlib.decompress(packed), [], bytearray(3 * width)
    for y in range(height):
        kind, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        for i in range(len(line)):
            a, b, c = line[i - 3] if i >= 3 else 0, above[i], above[i - 3] if i >= 3 else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, nearest)[kind]) & 255
        rows.append(line)
        above = line
    return width, height, rows


def colours_of_panel(rows, row, column):
    """How many colours a panel of a sheet shows."""
    x, y = 12 + column * (PANEL[0] + 12), 12 + 24 + row * (24 + PANEL[1] + 20 + 12)
    return {bytes(rows[j][3 * i:3 * i + 3]) for j in range(y, y + PANEL[1]) for i in range(x, x + PANEL[0])}


class InspectTest(unittest.TestCase):
    def test_whole_data(self):
        root = testing.data_set("whole")
        result, found = inspect_json(root)
        self.assertEqual(result.code, 0, result.said)
        self.assertRegex(result.err, r"^inspect: wrote all that was found to .*/found\.json\n$")
        self.assertIn("6 clips, 11 attributes", result.out)
        self.assertIn("nothing is missing, nothing is broken, as far as first and last members", result.out)
        self.assertEqual(found["full"], False)
        self.assertNotIn("different", result.out)
        self.assertEqual(found["clips"], sorted(testing.CLIPS))
        self.assertEqual(found["complete"], True)
        self.assertEqual([attribute["name"] for attribute in found["attributes"]], ATTRIBUTES)
        for attribute in found["attributes"]:
            name = attribute["name"]
            self.assertEqual(attribute["holds"], [{"what": HOLDS[name], "clips": sorted(testing.CLIPS)}])
            self.assertEqual(attribute["clips"], 6)
            members = {"caption": 1, "intrinsic": 1, "pc_voxelsize_01": 1}.get(name, testing.FRAMES)
            members = 0 if "video" in name else members
            self.assertEqual(attribute["members"], {"least": members, "most": members})
            on_disk = sum(os.path.getsize(os.path.join(folder, file))
                          for folder, _, files in os.walk(os.path.join(root, name)) for file in files)
            self.assertEqual(attribute["bytes"], on_disk)
            self.assertRegex(result.out, rf"\n  {name} +6 ")
        # More threads, and every member: the same, but for the videos' frames.
        again, same = inspect_json(root, "--threads", "5")
        self.assertEqual((again.out, same), (result.out, found))
        result, full = inspect_json(root, "--full")
        self.assertTrue(result.out.endswith("nothing is missing, nothing is broken\n"), result.out)
        self.assertEqual(full["full"], True)
        for attribute in full["attributes"]:
            if "video" in attribute["name"]:
                self.assertEqual(attribute["members"], {"least": testing.FRAMES, "most": testing.FRAMES})

    def test_missing(self):
        root = testing.data_set("missing")
        for clip in testing.CLIPS[:3]:
            os.remove(os.path.join(root, "pose", clip + ".tar"))
        shutil.rmtree(os.path.join(root, "lidars", testing.CLIPS[5]))
        write(os.path.join(root, "caption", "extra.json"), b"{}")
        result, found = inspect_json(root)
        self.assertEqual(result.code, 3)
        self.assertIn("  3 of 7 clips lack pose: " + ", ".join(testing.CLIPS[:3]) + "\n", result.out)
        self.assertIn("  1 of 7 clips lacks lidars: " + testing.CLIPS[5] + "\n", result.out)
        # A stray file is not named by each attribute that it lacks.
        self.assertIn("  1 of 7 clips has only caption: extra\n", result.out)
        self.assertEqual(result.out.count("extra"), 1)
        self.assertNotIn("broken", result.out)
        self.assertIn("something is missing or broken", result.err)
        missing = {attribute["name"]: attribute["missing"] for attribute in found["attributes"]}
        self.assertEqual(missing, {name: {"caption": [], "lidars": ["extra", testing.CLIPS[5]],
                                          "pose": testing.CLIPS[:3] + ["extra"]}.get(name, ["extra"])
                                   for name in ATTRIBUTES})

    def test_broken(self):
        clip, other = testing.CLIPS[0], testing.CLIPS[1]

        def damage_member(which):
            def damage(path):
                data = bytearray(content(path))
                at = -1
                for _ in range(which + 1):
                    at = data.index(b"ustar", at + 1)
                data[at + 255:at + 275] = bytes(20)  # the member's first bytes
                write(path, data)
            return damage

        # What is hurt, how, whether only --full sees it.
        kinds = [
            ("image_480p_front/%s.tar", damage_member(0), False),
            ("image_480p_front/%s.tar", damage_member(4), False),
            ("image_480p_front/%s.tar", damage_member(2), True),
            ("voxel_depth_100_480p_front/%s.tar", damage_member(1), True),
            ("pose/%s.tar", damage_member(3), True),
            ("pose/%s.tar", lambda path: os.truncate(path, 5000), False),
            ("intrinsic/%s.tar", lambda path: os.truncate(path, 0), False),
            ("pc_voxelsize_01/%s.tar", damage_member(0), False),
            ("video_480p_front/%s.mp4", lambda path: os.truncate(path, 200), False),
            ("caption/%s.json", lambda path: write(path, b'{"weather"'), False),
            ("lidars/%s/lidar_TOP/1000000.npz", lambda path: write(path, b"PK"), False),
            ("lidars/%s/lidar_TOP/1000002.npz", lambda path: write(path, b"PK"), True),
            ("lidars/%s/lidar_TOP/1000004.npz", lambda path: write(path, b"PK"), False),
            ("lidars/%s", lambda path: (shutil.rmtree(path), os.makedirs(path)), False),
        ]
        for where, damage, only_full in kinds:
            with self.subTest(where):
                root = testing.data_set("broken", [clip, other])
                damage(os.path.join(root, where % clip))
                for full in (False, True):
                    result, found = inspect_json(root, *["--full"] * full)
                    if only_full and not full:
                        self.assertEqual((result.code, found["broken"]), (0, []), result.said)
                        continue
                    self.assertEqual(result.code, 3, result.said)
                    self.assertEqual(len(found["broken"]), 1)
                    broken = found["broken"][0]
                    self.assertEqual((broken["clip"], broken["attribute"]), (clip, where.split("/")[0]))
                    self.assertIn(where.split("%s")[0] + clip, broken["message"])
                    self.assertIn("\nbroken\n  ", result.out)
                    self.assertIn(broken["message"], result.out)
        print(f"{len(kinds)} kinds of damage, {sum(kind[2] for kind in kinds)} that only --full finds")

    def test_differing(self):
        root = testing.data_set("differing")
        clip = testing.CLIPS[0]
        for other in testing.CLIPS:
            write_tar(root, "extrinsic", other, {".extrinsic.front.npy": npy([float(i) for i in range(16)], (4, 4))})
        write_tar(root, "extrinsic", clip, {".extrinsic.front.npy": npy([0.0] * 12, (4, 3))})
        result, found = inspect_json(root)
        self.assertEqual(result.code, 0, result.said)
        self.assertIn(f"extrinsic is float64[4,3] in 1 clip: {clip}", result.out)
        holds = [attribute["holds"] for attribute in found["attributes"] if attribute["name"] == "extrinsic"][0]
        self.assertEqual([(kind["what"], len(kind["clips"])) for kind in holds], [("float64[4,4]", 5), ("float64[4,3]", 1)])

    def test_missing_frames(self):
        first, second, third = testing.CLIPS[:3]
        last = testing.FRAMES - 1
        root = testing.data_set("missing_frames")
        drop_members(root, "image_480p_front", first, [3])
        drop_members(root, "pose", first, [last])
        drop_members(root, "dynamic_object_info", second, [0, 1])
        drop_members(root, "voxel_depth_100_480p_front", third, range(testing.FRAMES), keep=True)
        # All lack it: a gap.
        for name in os.listdir(root):
            if os.path.exists(os.path.join(root, name, testing.CLIPS[3] + ".tar")) and name not in ("intrinsic", "pc_voxelsize_01"):
                drop_members(root, name, testing.CLIPS[3], [2])
        # The video ends before the archives, and after them.
        short, long = testing.data_set("short", ["d e"]), testing.data_set("long", ["d e"])
        maker = os.path.join(testing.RUNFILES, "data_process/inspection/make_test_data")
        for folder, frames in ((short, last), (long, testing.FRAMES + 2)):
            subprocess.run([maker, folder, str(frames), "d e"], check=True)
        for folder, name in ((short, "video_480p_front"), (long, "semantic_buffer_video_480p_front")):
            shutil.copy(os.path.join(folder, name, "d e.mp4"), os.path.join(root, name, "d e.mp4"))

        def row(clip, attribute, series, *frames):
            return {"clip": clip, "attribute": attribute, "series": series, "frames": [list(pair) for pair in frames]}

        whole = [row(first, "image_480p_front", "image.front.jpg", (3, 3)),
                 row(first, "pose", "pose.front.npy", (last, last)),
                 row(second, "dynamic_object_info", "dynamic_object_info.json", (0, 1)),
                 row(third, "voxel_depth_100_480p_front", "voxel_depth_100.front.png", (0, last))]
        b_c = testing.CLIPS[3]
        series = {"dynamic_object_info": "dynamic_object_info.json", "image_480p_front": "image.front.jpg",
                  "instance_buffer_480p_front": "instance_buffer.front.png", "pose": "pose.front.npy",
                  "voxel_depth_100_480p_front": "voxel_depth_100.front.png"}
        whole += [row(b_c, name, series[name], (2, 2)) for name in sorted(series)]
        more = (testing.FRAMES, testing.FRAMES + 1)
        videos = [row("d e", name, series[name], more) for name in sorted(series)]
        videos += [row("d e", "video_480p_front", "", (last, more[1]))]
        result, found = inspect_json(root)
        self.assertEqual(result.code, 3)
        self.assertEqual(found["broken"], [])
        self.assertEqual((found["complete"], found["missing_frames"]), (False, whole))
        self.assertIn(f"  image_480p_front of clip {first} lacks frames 3 of image.front.jpg\n", result.out)
        result, found = inspect_json(root, "--full")
        key = lambda one: (one["clip"], one["attribute"])
        self.assertEqual(found["missing_frames"], sorted(whole + videos, key=key))
        self.assertIn("  video_480p_front of clip d e lacks frames 4..6\n", result.out)
        self.assertEqual(inspect(root, "--clips", "ü").code, 0)

    def test_folder_that_cannot_be_listed(self):
        root = testing.data_set("unlistable")
        os.chmod(os.path.join(root, "lidars"), 0)
        result, found = inspect_json(root)
        os.chmod(os.path.join(root, "lidars"), 0o755)
        self.assertEqual(result.code, 3)
        self.assertIn("lidars': Permission denied", result.out)
        self.assertEqual([one["attribute"] for one in found["broken"]], ["lidars"])
        # All else was looked at.
        self.assertEqual([attribute["name"] for attribute in found["attributes"]],
                         [name for name in ATTRIBUTES if name != "lidars"])
        self.assertNotIn("lack", result.out)

    def test_config(self):
        root = testing.data_set("config")
        recipes = os.path.join(testing.RUNFILES, "configs/recipes")
        recipe = os.path.join(recipes, "vae_64x64x64_height_down2_vs02_dense_residual.textproto")
        with open(os.path.join(recipes, "dataset.textproto"), encoding="utf-8") as file:
            wanted = re.findall(r'"(\w+)"', re.search(r"attributes: \[(.*?)\]", file.read(), re.S).group(1))
        absent = set(wanted) - set(ATTRIBUTES)
        self.assertGreater(len(absent), 3)
        result, found = inspect_json(root, "--config", recipe)
        self.assertEqual(result.code, 3)
        self.assertEqual(found["broken"], [])
        for attribute in found["attributes"]:
            lacks = sorted(testing.CLIPS) if attribute["name"] in absent else []
            self.assertEqual((attribute["missing"], attribute["clips"]), (lacks, 6 - len(lacks)))
        self.assertEqual([attribute["name"] for attribute in found["attributes"]], sorted(absent | set(ATTRIBUTES)))
        most = 2 * len(absent) > len(found["attributes"])
        self.assertIn("  6 of 6 clips have only caption, " if most else "  6 of 6 clips lack static_object_info: ",
                      result.out)
        # Its limits count too.
        folder = testing.new_folder("recipes")
        for limits, broken in (("max_array_bytes: 127", {"pose", "pc_voxelsize_01", "lidars"}),
                               (f"max_image_pixels: {60 * 104 - 1}",
                                {"image_480p_front", "instance_buffer_480p_front", "voxel_depth_100_480p_front"}),
                               (f"max_video_frames: {testing.FRAMES - 1}",
                                {"video_480p_front", "semantic_buffer_video_480p_front"}),
                               ("max_member_bytes: 1000000000", set())):
            mine = os.path.join(folder, "mine.textproto")
            write(mine, f'include: "{recipe}" data {{ limits {{ {limits} }} }}'.encode())
            _, found = inspect_json(root, "--config", mine, "--full", "--clips", "ab-c")
            self.assertEqual({one["attribute"] for one in found["broken"]}, broken, limits)
        for config in ("/nowhere.textproto", os.path.join(root, "caption", "ab-c.json")):
            self.assertEqual(inspect(root, "--config", config).code, 2)

    def test_what_readers_refuse(self):
        """Files that decode, and that samples cannot be made of."""
        clip = testing.CLIPS[1]
        root = testing.data_set("refused", testing.CLIPS[:2])
        grey = {"image": (60, 104, 8), "depth": (60, 104, 16), "sky": (60, 104, 1), "low sky": (30, 104, 1)}
        frames = range(testing.FRAMES)
        for other in testing.CLIPS[:2]:
            write_tar(root, "skymask_480p_front", other,
                      {".%06d.skymask.front.png" % k: png(*grey["sky"]) for k in frames})
        self.assertEqual(inspect(root, "--full").code, 0)
        cases = [
            ("pose", {".%06d.pose.front.npy" % k: npy([2.0] * 15 + [1.0], (4, 4)) for k in frames}, "pose"),
            ("intrinsic", {".intrinsic.front.npy": npy([2000.0] * 4, (4,))}, "intrinsics must be float64[6]"),
            ("voxel_depth_100_480p_front",
             {".%06d.voxel_depth_100.front.png" % k: png(*grey["image"]) for k in frames}, "must be uint16"),
            ("skymask_480p_front", {".%06d.skymask.front.png" % k: png(*grey["depth"]) for k in frames}, "sky mask"),
            ("skymask_480p_front", {".%06d.skymask.front.png" % k: png(*grey["low sky"]) for k in frames},
             "its pictures are 30 x 104 pixels high and wide, those of image_480p_front are 60 x 104"),
            ("image_480p_front", {".%06d.image.front.png" % k: png(*grey["image"]) for k in frames}, "must end in .jpg"),
            ("dynamic_object_info", {".%06d.dynamic_object_info.json" % k: b'{"a": {}}' for k in frames}, "'a'"),
            ("pc_voxelsize_01", None, "element 0 is class 23; classes go from 0 to 22"),
        ]
        for caption in (b'{"weather": 3}', b'{"weather": null}', b"[]", b'{"weather": "a\\u0000b"}'):
            with self.subTest(caption=caption):
                path = os.path.join(root, "caption", clip + ".json")
                before = content(path)
                write(path, caption)
                result, found = inspect_json(root)
                write(path, before)
                self.assertEqual(result.code, 3)
                self.assertEqual([one["path"] for one in found["broken"]], [path])
        for attribute, members, message in cases:
            with self.subTest(attribute + message):
                path = os.path.join(root, attribute, clip + ".tar")
                before = content(path)
                if members is None:
                    cloud = {name[len(clip):]: with_unknown_class(data) for name, data in members_of(path)}
                    write_tar(root, attribute, clip, cloud)
                else:
                    write_tar(root, attribute, clip, members)
                sheet = os.path.join(testing.new_folder("refused_sheet"), "sheet.png")
                result, found = inspect_json(root, "--contact_sheet", sheet)
                self.assertEqual(result.code, 3)
                self.assertGreater(len(found["broken"]), 0)
                for broken in found["broken"]:
                    self.assertEqual((broken["clip"], broken["attribute"]), (clip, attribute))
                    self.assertIn(message, broken["message"])
                if members is None:  # no picture with another class in its place
                    _, _, rows = read_png(sheet)
                    self.assertEqual([ROAD in colours_of_panel(rows, row, 1) for row in range(2)], [True, False])
                write(path, before)
        print(f"{len(cases)} kinds of members that decode and that samples cannot be made of")

    def test_clips_and_remarks(self):
        root = testing.data_set("some")
        os.makedirs(os.path.join(root, "notes"))
        write(os.path.join(root, "overview.png"), b"")
        write(os.path.join(root, "video_480p_front", "metadata.csv"), b"")
        write(os.path.join(root, "pose", "left.tar.tmp-12"), b"")
        write(os.path.join(root, "pose", ".hidden"), b"")
        write(os.path.join(root, "pose", "\033[31mred\n.tar"), b"")
        os.makedirs(os.path.join(root, "\033[31mred"))
        shutil.copy(os.path.join(root, "caption", "ab-c.json"), os.path.join(root, "pose", "ab-c.json"))
        os.remove(os.path.join(root, "pose", "ü.tar"))
        result, found = inspect_json(root, "--clips", "ab-c,d e")
        self.assertEqual(result.code, 0, result.said)
        self.assertEqual(found["clips"], ["ab-c", "d e"])
        self.assertEqual(len(found["remarks"]), 4)
        self.assertNotIn("\033", result.out)
        for text in ("notes/ holds no tars, videos or captions", "pose/ also holds what is no data: '\\x1b[31mred\\n.tar', left.tar.tmp-12",
                     "the folder '\\x1b[31mred' counts as no attribute",
                     "pose/ holds a second file of a clip"):
            self.assertIn(text, result.out)
        self.assertEqual(inspect(root).code, 3)
        result = inspect(root, "--clips", "ab-c,nobody")
        self.assertEqual((result.code, "no clip nobody" in result.err), (3, True))

    def test_sheets(self):
        root = testing.data_set("sheets", testing.CLIPS[:3])
        here = testing.new_folder("drawn")
        sheets, all_clips = os.path.join(here, "a", "b"), os.path.join(here, "all.png")
        result = inspect(root, "--sheet", sheets, "--contact_sheet", all_clips)
        self.assertEqual(result.code, 0, result.said)
        self.assertEqual(sorted(os.listdir(sheets)), sorted(clip + ".png" for clip in testing.CLIPS[:3]))
        for path in (all_clips, os.path.join(sheets, testing.CLIPS[0] + ".png")):
            width, height, rows = read_png(path)
            self.assertEqual((width, height), (3 * PANEL[0] + 4 * 12, 12 + 3 * (24 + PANEL[1] + 20 + 12) + 30))
            for row in range(3):
                self.assertGreater(len(colours_of_panel(rows, row, 0)), 100, "the front image's gradients")
                self.assertTrue({ROAD, SIDEWALK} <= colours_of_panel(rows, row, 1))
                self.assertGreater(len(colours_of_panel(rows, row, 2)), 20, "depth")
        # Without images, the video; without anything, a panel that says so.
        shutil.rmtree(os.path.join(root, "image_480p_front"))
        shutil.rmtree(os.path.join(root, "voxel_depth_100_480p_front"))
        os.remove(os.path.join(root, "pc_voxelsize_01", testing.CLIPS[0] + ".tar"))
        write(os.path.join(root, "pc_voxelsize_01", testing.CLIPS[1] + ".tar"), b"damaged")
        result = inspect(root, "--contact_sheet", all_clips)
        self.assertEqual(result.code, 3)
        _, _, rows = read_png(all_clips)
        for row in range(3):
            self.assertGreater(len(colours_of_panel(rows, row, 0)), 30)
            self.assertLess(max(max(colour) - min(colour) for colour in colours_of_panel(rows, row, 2)), 25, "letters on grey")
        self.assertEqual([ROAD in colours_of_panel(rows, row, 1) for row in range(3)], [False, False, True])
        # A clip of captions alone.
        for name in os.listdir(root):
            if name != "caption":
                shutil.rmtree(os.path.join(root, name))
        self.assertEqual(inspect(root, "--sheet", sheets).code, 0)

    def test_exit_codes(self):
        root = testing.data_set("exit_codes", testing.CLIPS[:1])
        for arguments in ([], [root, "--colour"], [root, "--threads", "-1"], [root, root], [""], [root, "--json", ""],
                          [root, "--contact_sheet", "sheet.jpg"]):
            result = inspect(*arguments)
            self.assertEqual((result.code, result.out), (2, ""), arguments)
        self.assertEqual((inspect("--help").code, inspect("--help").err), (0, ""))
        for arguments in ([root + "/gone"], [root + "/pose"], [testing.new_folder("empty")]):
            self.assertEqual(inspect(*arguments).code, 3, arguments)
        for flag in ("--json", "--sheet", "--contact_sheet"):
            result = inspect(root, flag, root + "/caption/" + testing.CLIPS[0] + ".json/x.png")
            self.assertEqual(result.code, 6, (flag, result.said))

    def test_a_signal_ends_it(self):
        root = testing.data_set("signal", testing.CLIPS[:2])
        for clip in testing.CLIPS[:2]:
            for k in range(3000):
                os.link(os.path.join(root, "video_480p_front", clip + ".mp4"),
                        os.path.join(root, "video_480p_front", f"{k}-{clip}.mp4"))
        program = os.path.join(testing.RUNFILES, "data_process/inspect")
        for number in (signal.SIGINT, signal.SIGTERM):
            child = subprocess.Popen([program, root, "--full", "--threads", "1"], stderr=subprocess.PIPE)
            testing.wait_for_signal_handlers(child)
            child.send_signal(number)
            self.assertEqual(child.wait(), 75)
            self.assertIn(b"asked to stop", child.stderr.read())
            child.stderr.close()


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    unittest.main()
