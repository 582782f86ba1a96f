"""generate_metadata_csv from outside: its bytes against a restatement of the rules, what it refuses, exit codes."""
import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import unittest

import data_tools_testing as testing
from data_tools_testing import content, write

PREFIX = "This video is capture by a camera mounted on a vehicle. "
ENDINGS = (".mp4", ".avi", ".mov", ".wmv", ".mkv", ".flv", ".webm")
COLUMNS = ["video", "prompt", "semantic_buffer_video", "depth_buffer_tar", "camera_intrinsic", "camera_pose"]


def expected_csv(root, allowed=None, held_out=(), limit=0, instance_buffer=False, videos="video_480p_front"):
    """The bytes that the rules ask for, in Python's own words: no code is shared with the program."""
    rows = [COLUMNS + (["instance_buffer_tar"] if instance_buffer else [])]
    for name in sorted(os.listdir(os.path.join(root, videos))):
        stem = os.path.splitext(name)[0]
        caption = os.path.join(root, "caption", stem + ".json")
        if not name.lower().endswith(ENDINGS) or (allowed is not None and stem not in allowed) or stem in held_out:
            continue
        try:
            name.encode()
            with open(caption, encoding="utf-8") as file:
                values = json.load(file)
            text = values.get("weather", list(values.values())[0] if values else "")
            prompt = PREFIX + text
            prompt.encode()
            if "\0" in prompt:
                continue
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            continue
        row = [name, prompt, f"../semantic_buffer_video_480p_front/{stem}.mp4",
               f"../voxel_depth_100_480p_front/{stem}.tar", f"../intrinsic/{stem}.tar", f"../pose/{stem}.tar"]
        rows.append(row + ([f"../instance_buffer_480p_front/{stem}.tar"] if instance_buffer else []))
    table = io.StringIO(newline="")
    csv.writer(table).writerows(rows[:limit + 1] if limit else rows)
    return table.getvalue().encode(), rows


def metadata(*arguments, cwd=None):
    return testing.run("generate_metadata_csv", *arguments, cwd=cwd or testing.new_folder("elsewhere"))


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        json.dump(value, file)
    return path


class GenerateMetadataCsvTest(unittest.TestCase):
    def check_csv(self, root, result, **options):
        self.assertEqual(result.code, 0, result.said)
        expected, rows = expected_csv(root, **options)
        path = os.path.join(root, "video_480p_front", "metadata.csv")
        self.assertEqual(content(path), expected)
        with open(path, newline="", encoding="utf-8") as file:
            self.assertEqual(list(csv.reader(file)), rows[:options["limit"] + 1] if options.get("limit") else rows)
        # Nothing else was left there.
        self.assertEqual([name for name in os.listdir(os.path.dirname(path)) if ".tmp-" in name], [])
        return rows

    def test_documented_spelling_and_the_reference_flags(self):
        root = testing.data_set("documented")
        result = metadata("--data_root", root + "/", "--input_attribute", "video_480p_front", "--output_attribute",
                          "metadata.csv")
        rows = self.check_csv(root, result)
        self.assertEqual([row[0] for row in rows[1:]], sorted(clip + ".mp4" for clip in testing.CLIPS))
        self.assertEqual(rows[1][1], PREFIX + f"A dry day in {testing.CLIPS[0]}.")
        self.assertIn("wrote", result.out)
        self.assertIn("6 rows of 6 videos, every file tried", result.out)
        self.assertIn("all clips: no list was named", result.out)
        golden = content(os.path.join(root, "video_480p_front", "metadata.csv"))
        allowed = write_json(os.path.join(root, "allowed.json"), testing.CLIPS)
        for arguments in (["--video_subdir", "video_480p_front"], ["--caption_subdir", os.path.join(root, "caption")],
                          ["--allowed_clips_json", allowed],
                          ["--video_subdir", os.path.join(root, "video_480p_front")], ["--threads", "5"]):
            os.remove(os.path.join(root, "video_480p_front", "metadata.csv"))
            self.check_csv(root, metadata("--data_root", root, *arguments))
            self.assertEqual(content(os.path.join(root, "video_480p_front", "metadata.csv")), golden, arguments)
        # Again, over the CSV that is there, from the folder above, with the defaults.
        os.rename(root, os.path.join(testing.new_folder("above"), "data"))
        result = metadata(cwd=os.path.join(os.environ["TEST_TMPDIR"], "above"))
        self.check_csv(os.path.join(os.environ["TEST_TMPDIR"], "above", "data"), result)

    def test_golden_bytes(self):
        root = testing.data_set("golden", ["clip"])
        with open(os.path.join(root, "caption", "clip.json"), "w") as file:
            file.write('{"weather": "Say \\"fog\\", then\\nrain"}')
        self.assertEqual(metadata("--data_root", root, "--instance_buffer").code, 0)
        self.assertEqual(
            content(os.path.join(root, "video_480p_front", "metadata.csv")),
            b"video,prompt,semantic_buffer_video,depth_buffer_tar,camera_intrinsic,camera_pose,instance_buffer_tar\r\n"
            b'clip.mp4,"This video is capture by a camera mounted on a vehicle. Say ""fog"", then\nrain",'
            b"../semantic_buffer_video_480p_front/clip.mp4,../voxel_depth_100_480p_front/clip.tar,../intrinsic/clip.tar,"
            b"../pose/clip.tar,../instance_buffer_480p_front/clip.tar\r\n")

    def test_random_names_and_captions(self):
        generator = random.Random(5)
        names = "a b.c,d\"e'=+-@;\tü漢😀\u2028\n\r\\|&$(){}[]<>#%0"
        texts = names + "/:\x1f\u200b"
        captions = rows_seen = 0
        for _ in range(30):
            root = testing.new_folder("random")
            for folder in ("video_480p_front", "caption"):
                os.makedirs(os.path.join(root, folder))
            for k in range(40):
                stem = "".join(generator.choice(names) for _ in range(generator.randint(1, 12))) + str(k)
                if generator.random() < 0.2:
                    stem = generator.choice(["=1+1", ".", "..", "-", " ", "metadata.csv"]) + stem
                ending = generator.choice([".mp4", ".MP4", ".WebM", ".avi", ".txt", ".mp4.bak", ".tar"])
                write(os.path.join(root, "video_480p_front", stem + ending), b"")
                text = "".join(generator.choice(texts) for _ in range(generator.randint(0, 40)))
                if generator.random() < 0.05:
                    text += "\0"
                value = generator.choice([{"weather": text}, {"other": text, "a": "b"}, {"b": text, "weather": "c"}, {},
                                          {"z": text, "a": 1}, {"weather": None}, [text], text, {"weather": [text]}])
                if generator.random() < 0.9:
                    with open(os.path.join(root, "caption", stem + ".json"), "w", encoding="utf-8", newline="") as file:
                        json.dump(value, file, ensure_ascii=generator.random() < 0.5)
                    captions += 1
            rows = self.check_csv(root, metadata("--data_root", root, "--no_strict"))
            rows_seen += len(rows) - 1
        print(f"{captions} random captions, {rows_seen} rows")
        self.assertGreater(rows_seen, 300)

    def test_hostile_captions_lose_their_row_without_strict(self):
        root = testing.data_set("hostile", ["clip"])
        source = os.path.join(root, "video_480p_front", "clip.mp4")
        hostile = {
            "empty": b"", "half": b'{"weather": "A ra', "blank": b"   ", "number": b"3", "null": b"null",
            "list": b'["a"]', "text": b'"rain"', "latin1": b'{"weather": "\xe9t\xe9"}', "nul": b'{"weather": "a\x00b"}',
            "surrogate": b'{"weather": "\\ud800"}', "value_number": b'{"weather": 3}', "deep": b"[" * 100000,
            "trailing": b'{"weather": "a"} x', "comment": b'{"weather": "a" /* b */}', "wrong_key": b'{weather: "a"}',
            "escaped_nul": b'{"weather": "Rain\\u0000 and fog"}',
            "deep_value": b'{"weather": ' + b'{"a":' * 1000 + b"1" + b"}" * 1001,
        }
        for name, text in hostile.items():
            shutil.copy(source, os.path.join(root, "video_480p_front", name + ".mp4"))
            write(os.path.join(root, "caption", name + ".json"), text)
        os.makedirs(os.path.join(root, "caption", "folder.json"))
        shutil.copy(source, os.path.join(root, "video_480p_front", "folder.mp4"))
        report = os.path.join(root, "report.json")
        result = metadata("--data_root", root, "--no_strict", "--report", report)
        rows = self.check_csv(root, result)
        self.assertEqual([row[0] for row in rows[1:]], ["clip.mp4"])
        self.assertIn("left out: 18 with a damaged caption", result.out)
        left_out = json.loads(content(report))["left_out"]
        self.assertEqual({entry["video"] for entry in left_out}, {name + ".mp4" for name in [*hostile, "folder"]})
        for entry in left_out:
            self.assertEqual(entry["reason"], "with a damaged caption")
            self.assertIn(entry["video"][:-4] + ".json", entry["details"][0])
        # A damaged caption is a damaged file.
        result = metadata("--data_root", root, "--report", report)
        self.assertEqual(result.code, 3)
        self.assertIn("18 of 19 clips have files that are missing, damaged or too short", result.err)
        [nul] = [entry for entry in json.loads(content(report))["left_out"] if entry["video"] == "escaped_nul.mp4"]
        self.assertRegex(nul["details"][0], r"escaped_nul\.json: .*'weather' holds a NUL character")
        # Too large to be a caption, and a repeated key, which Python would let pass.
        for text in (b'{"weather": "' + b"a" * (2 << 20) + b'"}', b'{"weather": "a", "weather": "b"}'):
            write(os.path.join(root, "caption", "clip.json"), text)
            self.assertEqual(metadata("--data_root", root, "--no_strict").code, 3)
        print(f"{len(hostile) + 3} hostile captions")

    def test_lists(self):
        root = testing.data_set("lists")
        clips = testing.CLIPS
        allowed = write_json(os.path.join(root, "allowed.json"), clips[:4] + ["not here"])
        self.check_csv(root, metadata("--data_root", root, "--allowed_clips_json", allowed), allowed=clips[:4])
        held_out = [write_json(os.path.join(root, f"out,{k}.json"), [clips[k]]) for k in (0, 3)]
        report = os.path.join(root, "report.json")
        result = metadata("--data_root", root, "--allowed_clips_json", allowed, "--holdout", held_out[0], "--holdout",
                          held_out[1], "--report", report)
        self.check_csv(root, result, allowed=clips[:4], held_out=[clips[0], clips[3]])
        self.assertIn("left out: 2 held out: ", result.out)
        self.assertIn("left out: 2 not in the list of allowed clips: d e.mp4, ü.mp4", result.out)
        self.assertIn(f"clips: {allowed} (5 clips)", result.out)
        said = json.loads(content(report))
        self.assertEqual(said["rows"], sorted([clips[1], clips[2]]))
        self.assertEqual(said["written"], True)
        self.assertEqual([entry["reason"] for entry in said["left_out"]],
                         ["held out", "held out", "not in the list of allowed clips", "not in the list of allowed clips"])
        self.check_csv(root, metadata("--data_root", root, "--limit", "2"), limit=2)
        self.assertIn("metadata.csv: 1 row of ", metadata("--data_root", root, "--limit", "1").out)
        nobody = write_json(os.path.join(root, "nobody.json"), ["nobody"])
        self.assertIn("none of the ids of --holdout", metadata("--data_root", root, "--holdout", nobody).out)

        # The reference's list is found where the reference looks, and in assets_root; it can be overruled.
        here = testing.new_folder("here")
        assets = os.path.join(here, "infinicube", "assets")
        write_json(os.path.join(assets, "waymo_split", "video_training_good.json"), clips[1:])
        write_json(os.path.join(assets, "waymo_split", "official_val_static_scene.json"), clips[1:3])
        write_json(os.path.join(assets, "waymo_split", "official_val_other.json"), clips[2:4])
        for arguments, cwd in ((["--data_root", root], here), (["--data_root", root, "--assets_root", assets], None)):
            result = metadata(*arguments, cwd=cwd)
            self.check_csv(root, result, allowed=clips[1:])
            self.assertIn("video_training_good.json (5 clips)", result.out)
            self.assertIn("warning: 3 of 5 rows are clips that models are validated on (2 of official_val_other.json, "
                          "2 of official_val_static_scene.json)", result.out)
        self.check_csv(root, metadata("--data_root", root, "--all_clips", cwd=here))
        self.check_csv(root, metadata("--data_root", root, "--allowed_clips_json", allowed, cwd=here), allowed=clips[:4])
        result = metadata("--data_root", root, "--assets_root", assets, "--holdout",
                          os.path.join(assets, "waymo_split", "official_val_static_scene.json"), "--holdout",
                          os.path.join(assets, "waymo_split", "official_val_other.json"))
        self.assertEqual(result.code, 0, result.said)
        self.assertNotIn("warning", result.out)

        # A list that is of no use is an error, not a wish for everything.
        bad = os.path.join(root, "bad.json")
        for text in (b"", b"[]", b"{}", b"[1]", b'["a"', b'"a"', b"\xff"):
            write(bad, text)
            for flag in ("--allowed_clips_json", "--holdout"):
                result = metadata("--data_root", root, flag, bad)
                self.assertEqual((result.code, "bad.json" in result.err), (3, True), (text, result.said))
        for arguments in (["--allowed_clips_json", "gone.json"], ["--holdout", "gone.json"], ["--assets_root", root]):
            result = metadata("--data_root", root, *arguments)
            self.assertEqual(result.code, 3, result.said)
        self.assertIn("--all_clips goes without a list", result.err)

    def test_strict_names_all_that_is_wrong(self):
        clips = testing.CLIPS
        damage = {
            "missing depth": ("voxel_depth_100_480p_front/%s.tar", os.remove),
            "missing pose": ("pose/%s.tar", os.remove),
            "missing buffer": ("semantic_buffer_video_480p_front/%s.mp4", os.remove),
            "cut tar": ("intrinsic/%s.tar", lambda path: os.truncate(path, 700)),
            "empty tar": ("pose/%s.tar", lambda path: write(path, bytes(10240))),
            "damaged member": ("voxel_depth_100_480p_front/%s.tar", self.damage_last_member),
            "cut video": ("video_480p_front/%s.mp4", lambda path: os.truncate(path, 300)),
            "empty buffer": ("semantic_buffer_video_480p_front/%s.mp4", lambda path: os.truncate(path, 0)),
            "no video": ("video_480p_front/%s.mp4", lambda path: write(path, b"text")),
            "folder": ("pose/%s.tar", lambda path: (os.remove(path), os.makedirs(path))),
        }
        for name, (where, hurt) in damage.items():
            with self.subTest(name):
                root = testing.data_set("strict")
                path = os.path.join(root, where % clips[1])
                hurt(path)
                report = os.path.join(root, "report.json")
                result = metadata("--data_root", root, "--report", report)
                self.assertEqual(result.code, 3, result.said)
                self.assertIn("1 of 6 clips has files that are missing, damaged or too short", result.err)
                self.assertIn(clips[1] + ".mp4", result.err)
                self.assertIn(path, result.err)
                self.assertIn("was not written", result.err)
                self.assertIn("--leave_out_bad", result.err)
                self.assertFalse(os.path.exists(os.path.join(root, "video_480p_front", "metadata.csv")))
                said = json.loads(content(report))
                self.assertEqual((said["written"], [entry["video"] for entry in said["left_out"]]),
                                 (False, [clips[1] + ".mp4"]))
                self.check_csv(root, metadata("--data_root", root, "--no_strict"))
                result = metadata("--data_root", root, "--leave_out_bad")
                self.check_csv(root, result, held_out=[clips[1]])
                self.assertIn("left out: 1 with files that are missing, damaged or too short", result.out)
                # Held out: nobody looks at it.
                held_out = write_json(os.path.join(root, "out.json"), [clips[1]])
                self.check_csv(root, metadata("--data_root", root, "--holdout", held_out), held_out=[clips[1]])
        print(f"{len(damage)} kinds of damage")
        # All at once, and a CSV that is there stays as it was.
        root = testing.data_set("all_bad")
        for clip, (where, hurt) in zip(clips, damage.values()):
            hurt(os.path.join(root, where % clip))
        os.remove(os.path.join(root, "pose", clips[0] + ".tar"))
        csv_path = os.path.join(root, "video_480p_front", "metadata.csv")
        write(csv_path, b"mine")
        result = metadata("--data_root", root, "--threads", "3")
        self.assertEqual(result.code, 3)
        self.assertEqual(content(csv_path), b"mine")
        for clip in clips:
            self.assertIn(f"\n  {clip}.mp4: ", result.err)
        self.assertEqual(result.err.count(f"\n  {clips[0]}.mp4: "), 2)
        self.assertEqual(metadata("--data_root", root, "--threads", "1").err, result.err)
        self.assertEqual(metadata("--data_root", root, "--leave_out_bad").code, 3)
        # The instance buffers count once they are asked for.
        root = testing.data_set("instance")
        os.remove(os.path.join(root, "instance_buffer_480p_front", clips[0] + ".tar"))
        self.check_csv(root, metadata("--data_root", root))
        self.assertEqual(metadata("--data_root", root, "--instance_buffer").code, 3)

    def test_all_faults_in_one_run_and_advice_that_works(self):
        clips = testing.CLIPS
        root = testing.data_set("advice")
        write(os.path.join(root, "caption", clips[0] + ".json"), b"damaged")
        # Damaged captions only: no file is at fault, so going without their trial helps nobody.
        result = metadata("--data_root", root)
        self.assertEqual(result.code, 3)
        self.assertIn("Mend these clips, or leave them out with --leave_out_bad", result.err)
        self.assertNotIn("--no_strict", result.err)
        self.check_csv(root, metadata("--data_root", root, "--leave_out_bad"))
        os.remove(os.path.join(root, "video_480p_front", "metadata.csv"))
        # The files of a clip with a damaged caption are tried, too.
        os.remove(os.path.join(root, "pose", clips[0] + ".tar"))
        os.truncate(os.path.join(root, "intrinsic", clips[0] + ".tar"), 700)
        os.remove(os.path.join(root, "pose", clips[1] + ".tar"))
        report = os.path.join(root, "report.json")
        result = metadata("--data_root", root, "--report", report)
        self.assertEqual(result.code, 3)
        self.assertIn("2 of 6 clips have files", result.err)
        self.assertIn("or leave them out with --leave_out_bad, or do without the trial of files with --no_strict "
                      "(a damaged caption costs the row there, too)", result.err)
        first, second = json.loads(content(report))["left_out"]
        self.assertEqual((first["reason"], len(first["details"])), ("with a damaged caption", 3))
        for path in ("caption/%s.json", "pose/%s.tar", "intrinsic/%s.tar"):
            self.assertIn(path % clips[0], result.err)
            self.assertTrue(any(path % clips[0] in detail for detail in first["details"]), path)
        self.assertEqual(len(second["details"]), 1)
        self.check_csv(root, metadata("--data_root", root, "--no_strict"), held_out=[clips[0]])
        # No clip is sound: none would be left. A clip beyond the limit is not looked at.
        for clip in clips[1:]:
            os.remove(os.path.join(root, "intrinsic", clip + ".tar"))
        result = metadata("--data_root", root)
        self.assertIn("6 of 6 clips have files", result.err)
        self.assertNotIn("--leave_out_bad", result.err)
        self.assertIn("--no_strict", result.err)
        result = metadata("--data_root", root, "--leave_out_bad")
        self.assertEqual(result.code, 3)
        self.assertIn("none of the 6 videos", result.err)
        self.assertIn(f"\n  {clips[5]}.mp4: camera_intrinsic: ", result.err)
        self.assertIn("2 of 2 clips have files", metadata("--data_root", root, "--limit", "1").err)

    def test_files_of_a_clip_that_disagree_in_length(self):
        clip = "clip"
        short = testing.data_set("short", [clip], frames=3)
        buffers = {
            "semantic_buffer_video": ("semantic_buffer_video_480p_front/clip.mp4", ""),
            "depth_buffer_tar": ("voxel_depth_100_480p_front/clip.tar", " as NNNNNN.voxel_depth_100.front.png"),
            "camera_pose": ("pose/clip.tar", " as NNNNNN.pose.front.npy"),
            "instance_buffer_tar": ("instance_buffer_480p_front/clip.tar", " as NNNNNN.instance_buffer.front.png"),
        }
        for column, (path, members) in buffers.items():
            root = testing.data_set("lengths", [clip])
            shutil.copy(os.path.join(short, path), os.path.join(root, path))
            result = metadata("--data_root", root, "--instance_buffer")
            self.assertEqual(result.code, 3, column)
            self.assertIn(f"\n  clip.mp4: {column}: {os.path.join(root, path)}: it has 3 of the video's 5 frames{members}, "
                          "without 3..4\n", result.err)
            self.assertEqual(result.err.count("\n  clip.mp4: "), 1)
            self.check_csv(root, metadata("--data_root", root, "--instance_buffer", "--no_strict"), instance_buffer=True)
            # What is longer than the video has all frames that are read.
            root = testing.data_set("longer", [clip], frames=3)
            five = testing.data_set("five", [clip])
            shutil.copy(os.path.join(five, path), os.path.join(root, path))
            result = metadata("--data_root", root, "--instance_buffer")
            self.check_csv(root, result, instance_buffer=True)
            self.assertIn("warning: 1 clip with buffers or poses of more frames than the video, of which the last are "
                          f"not read: clip.mp4 (3 frames, {column} has 5)", result.out)
        # A column that is not asked for is not compared.
        root = testing.data_set("lengths", [clip])
        path = buffers["instance_buffer_tar"][0]
        shutil.copy(os.path.join(short, path), os.path.join(root, path))
        self.check_csv(root, metadata("--data_root", root))
        # A gap, members of other names, and two files at once.
        def keep(path, wanted):
            with tarfile.open(path) as tar:
                members = [(member, tar.extractfile(member).read()) for member in tar if wanted(member.name)]
            with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
                for member, data in members:
                    tar.addfile(member, io.BytesIO(data))
        root = testing.data_set("gaps", [clip])
        keep(os.path.join(root, "pose/clip.tar"), lambda name: ".000000." not in name and ".000003." not in name)
        os.rename(os.path.join(root, "intrinsic/clip.tar"), os.path.join(root, "voxel_depth_100_480p_front/clip.tar"))
        result = metadata("--data_root", root)
        self.assertEqual(result.code, 3)
        self.assertIn("pose/clip.tar: it has 3 of the video's 5 frames as NNNNNN.pose.front.npy, without 0, 3\n", result.err)
        self.assertIn("voxel_depth_100_480p_front/clip.tar: it has 0 of the video's 5 frames as "
                      "NNNNNN.voxel_depth_100.front.png, without 0..4\n", result.err)

    @staticmethod
    def damage_last_member(path):
        """Zeroes part of the last member's data: its header stays whole."""
        data = bytearray(content(path))
        last = data.rfind(b"ustar") - 257
        data[last + 520:last + 540] = bytes(20)
        write(path, data)

    def test_what_is_left_out_and_said(self):
        root = testing.data_set("left_out")
        videos = os.path.join(root, "video_480p_front")
        source = os.path.join(videos, testing.CLIPS[0] + ".mp4")
        shutil.copy(source, os.path.join(videos, "no_caption.mp4"))
        shutil.copy(source, os.fsencode(videos) + b"/not\xffutf8.mp4")
        for other in ("metadata.csv", "notes.txt", "clip.mp4.part"):
            write(os.path.join(videos, other), b"x")
        write_json(os.path.join(root, "caption", testing.CLIPS[2] + ".json"), {"weather": ""})
        shutil.copy(source, os.path.join(videos, testing.CLIPS[0] + ".mov"))
        result = metadata("--data_root", root)
        self.assertEqual(result.code, 0, result.said)
        rows = list(csv.reader(io.StringIO(content(os.path.join(videos, "metadata.csv")).decode(), newline="")))
        self.assertEqual(len(rows), 1 + 7)
        self.assertIn("7 rows of 9 videos", result.out)
        self.assertIn("left out: 1 with a name that is not UTF-8", result.out)
        self.assertIn("left out: 1 without a caption: no_caption.mp4", result.out)
        self.assertIn("warning: videos that share their clip's id", result.out)
        self.assertIn("warning: 1 caption is empty", result.out)
        report = os.path.join(root, "report.json")
        self.assertEqual(metadata("--data_root", root, "--report", report, "--dry_run").code, 0)
        self.assertEqual(len(json.loads(content(report))["left_out"]), 2)

    def test_nothing_matches(self):
        root = testing.data_set("nothing")
        other = write_json(os.path.join(root, "other.json"), ["other"])
        result = metadata("--data_root", root, "--allowed_clips_json", other)
        self.assertEqual(result.code, 3)
        self.assertIn("none of the 6 videos", result.err)
        self.assertIn("6 not in the list of allowed clips: ", result.err)
        self.assertIn(other, result.err)
        for name in os.listdir(os.path.join(root, "caption")):
            os.remove(os.path.join(root, "caption", name))
        result = metadata("--data_root", root)
        self.assertEqual((result.code, "6 without a caption" in result.err), (3, True))
        os.rmdir(os.path.join(root, "caption"))
        self.assertEqual(metadata("--data_root", root).code, 3)
        os.makedirs(os.path.join(root, "caption"))
        for name in os.listdir(os.path.join(root, "video_480p_front")):
            os.remove(os.path.join(root, "video_480p_front", name))
        result = metadata("--data_root", root)
        self.assertEqual((result.code, "holds no video" in result.err), (3, True))
        os.rmdir(os.path.join(root, "video_480p_front"))
        for arguments in (["--data_root", root], ["--data_root", root + "/gone"], []):
            result = metadata(*arguments)
            self.assertEqual((result.code, "--data_root" in result.err), (3, True), result.said)
        self.assertFalse(os.path.exists(os.path.join(root, "video_480p_front")))

    def test_textproto(self):
        root = testing.data_set("textproto")
        clips = testing.CLIPS
        here = testing.new_folder("configs")
        write_json(os.path.join(here, "out.json"), [clips[0]])
        write_json(os.path.join(here, "other.json"), [clips[1]])
        with open(os.path.join(here, "metadata.textproto"), "w") as file:
            file.write('data_root: "%s"\nholdout: ["out.json"]\ninstance_buffer: true\nlimit: 4\n' % root)
        self.check_csv(root, metadata("metadata.textproto", cwd=here), held_out=[clips[0]], instance_buffer=True, limit=4)
        # Flags go before the file, and their lists replace its.
        self.check_csv(root, metadata("metadata.textproto", "--holdout", "other.json", "--limit", "0", cwd=here),
                       held_out=[clips[1]], instance_buffer=True)
        self.check_csv(root, metadata("--holdout", "other.json", "metadata.textproto", "--instance_buffer=false", cwd=here),
                       held_out=[clips[1]], limit=4)
        with open(os.path.join(here, "over.textproto"), "w") as file:
            file.write('include: "metadata.textproto"\nreset: "holdout"\ninstance_buffer: false\n')
        self.check_csv(root, metadata("over.textproto", cwd=here), limit=4)
        with open(os.path.join(here, "bad.textproto"), "w") as file:
            file.write('data_rot: "a"\nlimit: -1\nstrict: 7\n')
        result = metadata("bad.textproto", cwd=here)
        self.assertEqual(result.code, 2)
        for text in ("3 mistakes in the config", "bad.textproto:1:1", "did you mean data_root?", "bad.textproto:2:8",
                     "bad.textproto:3:9"):
            self.assertIn(text, result.err)
        self.assertEqual(metadata("gone.textproto", cwd=here).code, 2)

    def test_exit_codes(self):
        root = testing.data_set("exit_codes")
        for arguments in (["--colour"], ["--limit", "-1"], ["--limit", "x"], ["--data_root", ""], ["--holdout"],
                          ["--output_attribute", "a/b.csv"], ["--output_attribute", ".."], ["a", "b"],
                          ["--output_attribute", "a.mp4"], ["--all_clips", "--allowed_clips_json", "a"],
                          ["--no_strict", "--leave_out_bad"], ["--video_subdir", "a", "--input_attribute", "b"]):
            result = metadata("--data_root", root, *arguments)
            self.assertEqual(result.code, 2, (arguments, result.said))
            self.assertEqual(result.out, "")
        # What people mistype, in words that say what to type.
        for arguments, words in (
                (["--strict", "--no_strict"], "--strict, --no_strict: yes and no are both asked for"),
                (["--no_strict", "--strict"], "--strict, --no_strict: yes and no are both asked for"),
                (["--dry_run", "--dry_run=false"], "--dry_run: yes and no are both asked for"),
                (["--dry_run=maybe"], "--dry_run: 'maybe' is neither true nor false"),
                (["--data_root", "other"], "--data_root: '" + root + "' and 'other' are both asked for"),
                (["--video_subdir", "a", "--input_attribute", "b"], "--input_attribute, --video_subdir: 'a' and 'b' are"),
                (["--data-root", root], "there is no flag --data-root; did you mean --data_root?"),
                (["--holdouts=a"], "there is no flag --holdouts=a; did you mean --holdout?"),
                (["-i", "a"], "there is no flag -i\n"),
                (["--report"], "--report: its value is missing"),
                (["--report="], "--report: its value is missing"),
                (["--report", ""], "--report: the value is empty"),
                (["--holdout", "--limit", "3"], "--holdout: its value is missing; --limit follows"),
                (["--limit", "1.5"], "--limit: '1.5' is not a whole number of at least 0 (rows)"),
                (["--threads", "1025"], "--threads: '1025' is not a whole number from 0 to 1024"),
                # Lists take one value a flag, and the CONFIG may come after them.
                (["--holdout", "a", "b", "c.textproto"], "'c.textproto' belongs to no flag, and 'b' is the CONFIG already"),
                (["--holdout", "a.json", "b.json"], "'b.json' was taken for CONFIG. A flag takes one value"),
                (["--strict", "false"], "'false' was taken for CONFIG"),
                ([""], "CONFIG: the name is empty")):
            result = metadata("--data_root", root, *arguments)
            self.assertEqual((result.code, result.out), (2, ""), (arguments, result.said))
            self.assertIn(words, result.err)
        # Saying the same thing twice harms nobody, and a flag can overrule a yes of the textproto.
        for arguments in (["--strict", "--strict"], ["--data_root", root], ["--no_strict=false"], ["--leave_out_bad=false"]):
            self.assertEqual(metadata("--data_root", root, "--dry_run", *arguments).code, 0, arguments)
        result = metadata("--help")
        self.assertEqual((result.code, result.err), (0, ""))
        # An output name of one's own.
        self.assertEqual(metadata("--data_root", root, "--output_attribute", "mine.csv").code, 0)
        self.assertEqual(content(os.path.join(root, "video_480p_front", "mine.csv")), expected_csv(root)[0])
        self.assertEqual(metadata("--data_root", root, "--output_attribute", "config", "--dry_run").code, 0)
        # A CSV or report that cannot be written.
        os.makedirs(os.path.join(root, "video_480p_front", "metadata.csv"))
        self.assertEqual(metadata("--data_root", root).code, 2)
        self.assertEqual(metadata("--data_root", root, "--output_attribute", "x" * 300).code, 6)
        result = metadata("--data_root", root, "--output_attribute", "mine.csv", "--report", root + "/gone/report.json")
        self.assertEqual(result.code, 6, result.said)

    def test_a_signal_ends_it_without_a_csv(self):
        root = testing.data_set("signal")
        for kind in ("video_480p_front", "semantic_buffer_video_480p_front", "caption", "voxel_depth_100_480p_front",
                     "intrinsic", "pose"):
            folder = os.path.join(root, kind)
            for name in list(os.listdir(folder)):
                for k in range(500):
                    os.link(os.path.join(folder, name), os.path.join(folder, f"{k}-{name}"))
        program = os.path.join(testing.RUNFILES, "data_process/generate_metadata_csv")
        for number in (signal.SIGINT, signal.SIGTERM):
            child = subprocess.Popen([program, "--data_root", root, "--threads", "1"], stderr=subprocess.PIPE)
            # The signal may come before the program listens; then it just ends.
            testing.wait_for_signal_handlers(child)
            child.send_signal(number)
            self.assertEqual(child.wait(), 75)
            self.assertIn(b"no CSV was written", child.stderr.read())
            child.stderr.close()
            self.assertFalse(os.path.exists(os.path.join(root, "video_480p_front", "metadata.csv")))


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    unittest.main()
