"""inspect from outside: what it finds, names and draws, and its exit codes."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import unittest
import zlib

import data_tools_testing as testing

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


def content(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


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
        self.assertEqual((result.code, result.err), (0, ""), result.said)
        self.assertIn("6 clips, 11 attributes", result.out)
        self.assertIn("nothing is missing, nothing is broken", result.out)
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
        _, full = inspect_json(root, "--full")
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
        self.assertIn("  4 of 7 clips lack pose: " + ", ".join(testing.CLIPS[:3] + ["extra"]), result.out)
        self.assertIn("  2 of 7 clips lack lidars: extra, " + testing.CLIPS[5], result.out)
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
        small = testing.data_set("differing_source", testing.CLIPS[:1])
        clip = testing.CLIPS[0]
        # A picture of another size, by way of another attribute's archive.
        shutil.copy(os.path.join(small, "pose", clip + ".tar"), os.path.join(root, "intrinsic", clip + ".tar"))
        result, found = inspect_json(root)
        self.assertEqual(result.code, 0, result.said)
        self.assertIn(f"intrinsic is float64[4,4] in 1 clips: {clip}", result.out)
        holds = [attribute["holds"] for attribute in found["attributes"] if attribute["name"] == "intrinsic"][0]
        self.assertEqual([(kind["what"], len(kind["clips"])) for kind in holds], [("float64[6]", 5), ("float64[4,4]", 1)])

    def test_clips_and_remarks(self):
        root = testing.data_set("some")
        os.makedirs(os.path.join(root, "notes"))
        write(os.path.join(root, "overview.png"), b"")
        write(os.path.join(root, "video_480p_front", "metadata.csv"), b"")
        write(os.path.join(root, "pose", "left.tar.tmp-12"), b"")
        write(os.path.join(root, "pose", ".hidden"), b"")
        shutil.copy(os.path.join(root, "caption", "ab-c.json"), os.path.join(root, "pose", "ab-c.json"))
        os.remove(os.path.join(root, "pose", "ü.tar"))
        result, found = inspect_json(root, "--clips", "ab-c,d e")
        self.assertEqual(result.code, 0, result.said)
        self.assertEqual(found["clips"], ["ab-c", "d e"])
        self.assertEqual(len(found["remarks"]), 3)
        for text in ("notes/ holds no tars, videos or captions", "pose/ also holds what is no data: left.tar.tmp-12",
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
        for arguments in ([], [root, "--colour"], [root, "--threads", "-1"], [root, root], [""], [root, "--json", ""]):
            result = inspect(*arguments)
            self.assertEqual((result.code, result.out), (2, ""), arguments)
        self.assertEqual((inspect("--help").code, inspect("--help").err), (0, ""))
        for arguments in ([root + "/gone"], [root + "/pose"], [testing.new_folder("empty")]):
            self.assertEqual(inspect(*arguments).code, 3, arguments)
        for flag in ("--json", "--sheet", "--contact_sheet"):
            result = inspect(root, flag, root + "/caption/" + testing.CLIPS[0] + ".json/x")
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
            while child.poll() is None and b"SigCgt:\t0000000000004002" not in content(f"/proc/{child.pid}/status"):
                pass
            child.send_signal(number)
            self.assertEqual(child.wait(), 75)
            self.assertIn(b"asked to stop", child.stderr.read())
            child.stderr.close()


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    unittest.main()
