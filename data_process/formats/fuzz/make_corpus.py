"""Writes the files that the mutation tests and fuzzers begin with: corpus/FORMAT/good_* are read, bad_* are refused.

Run by hand when one is added: python3 make_corpus.py. Python's standard library is enough. What fuzzers found is not made
here: found_* beside them once broke a reader, fuzz_* reach code that nothing else reaches.
"""
import collections
import io
import json
import math
import pathlib
import pickle
import struct
import tarfile
import zipfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
EXTENSIONS = {"torch_zip": "pth", "pickle": "pkl"}


def write(format_, name, bytes_):
    folder = HERE / "corpus" / format_
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.{EXTENSIONS.get(format_, format_)}").write_bytes(bytes_)


def tar():
    def header(name=b"a", size=b"", type_=b"0", link=b"", prefix=b"", bytes_=0, checksum=None):
        block = bytearray(512)
        for at, text in ((0, name), (100, b"0000444"), (108, b"0000000"), (116, b"0000000"),
                         (124, size or b"%011o" % bytes_), (136, b"00000000000"), (148, b" " * 8), (156, type_),
                         (157, link), (257, b"ustar\x0000"), (345, prefix)):
            block[at:at + len(text)] = text
        block[148:156] = checksum or b"%06o\0 " % sum(block)
        return bytes(block)

    def member(payload=b"x", **fields):
        return header(bytes_=len(payload), **fields) + payload + b"\0" * (-len(payload) % 512)

    def record(text):
        length = len(text) + 2
        while len(str(length)) + 2 + len(text) > length:
            length += 1
        return b"%d %s\n" % (length, text)

    def by_python(format_, members):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=format_) as archive:
            for name, payload in members:
                info = tarfile.TarInfo(name)
                info.size = 0 if payload is None else len(payload)
                info.type = tarfile.DIRTYPE if payload is None else tarfile.REGTYPE
                archive.addfile(info, None if payload is None else io.BytesIO(payload))
            end = archive.offset + 1024
        return stream.getvalue().ljust(end, b"\0")[:end]

    end = bytes(1024)
    members = [("clip.000000.pose.front.npy", b"first"), ("folder", None), ("folder/clip.json", b"{}"), ("empty", b"")]
    long = [("n" * 120 + "/" + "m" * 120, b"long"), ("b", b"after")]
    write("tar", "good_ustar", by_python(tarfile.USTAR_FORMAT, members))
    write("tar", "good_gnu_long_name", by_python(tarfile.GNU_FORMAT, long))
    write("tar", "good_pax_long_name", by_python(tarfile.PAX_FORMAT, long))
    write("tar", "good_base256_size", member(b"xyz", size=b"\x80" + bytes(10) + b"\3") + end)
    write("tar", "good_gnu_name_unterminated", member(b"n" * 512, name=b"l", type_=b"L") + member() + end)
    write("tar", "good_empty", end)
    base256 = lambda value: b"\x80" + value.to_bytes(11, "big")
    bad = {
        "no_end": member(),
        "checksum": header(checksum=b"000000\0 ") + end,
        "checksum_blank": header(checksum=b" " * 8) + end,
        "size_base256_2_62": member(size=base256(1 << 62)) + end,
        "size_base256_2_64_plus_1": member(size=base256((1 << 64) + 1)) + end,
        "size_base256_negative": member(size=b"\xff" * 12) + end,
        "size_octal_all_digits": member(size=b"77777777777") + end,
        "size_octal_negative": member(size=b"-0000000001") + end,
        "size_pax_negative": member(record(b"size=-1"), name=b"p", type_=b"x") + member() + end,
        "size_pax_2_63": member(record(b"size=9223372036854775808"), name=b"p", type_=b"x") + member() + end,
        "size_pax_100_digits": member(record(b"size=" + b"9" * 100), name=b"p", type_=b"x") + member() + end,
        "pax_record_longer_than_header": member(b"999999 size=1\n", name=b"p", type_=b"x") + member() + end,
        "pax_header_of_2_40_bytes": member(name=b"p", type_=b"x", size=base256(1 << 40)) + end,
        "gnu_name_of_2_40_bytes": member(name=b"l", type_=b"L", size=base256(1 << 40)) + end,
        "gnu_name_without_member": member(b"n\0", name=b"l", type_=b"L") + end,
        "name_unterminated_climbs": member(name=b"../" + b"n" * 97, prefix=b"p" * 155) + end,
        "name_control_characters": member(name=b"\x1b[2J\x07") + end,
        "name_absolute": member(name=b"/etc/passwd") + end,
        "name_twice": member() + member(name=b"./a") + end,
        "link_symbolic": member(b"", type_=b"2", link=b"../../etc/passwd") + end,
        "link_hard": member(b"", type_=b"1", link=b"b") + end,
        "device": member(b"", type_=b"3") + end,
        "sparse_gnu": member(type_=b"S") + end,
        "sparse_pax": member(record(b"GNU.sparse.major=1") + record(b"GNU.sparse.minor=0") +
                             record(b"GNU.sparse.name=hidden") + record(b"GNU.sparse.realsize=100000"),
                             name=b"p", type_=b"x") + member(b"1\n0\n1\n" + bytes(506) + b"x") + end,
    }
    for name, bytes_ in bad.items():
        write("tar", "bad_" + name, bytes_)


def npy_bytes(descr="<f8", shape="(2, 3)", fortran="False", data=bytes(48), version=1):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 16) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def npy():
    doubles = struct.pack("<6d", *range(6))
    for name, bytes_ in {
            "good_f8": npy_bytes(data=doubles),
            "good_fortran": npy_bytes(fortran="True", data=doubles),
            "good_bool": npy_bytes("|b1", "(3,)", data=b"\0\1\x7f"),
            "good_scalar": npy_bytes("<i4", "()", data=b"\1\2\3\4"),
            "good_empty": npy_bytes("<u2", "(0, 5)", data=b""),
            "good_version_2": npy_bytes("<f2", "(2,)", data=b"\0\x3c\0\xc0", version=2),
            "bad_shape_2_63": npy_bytes(shape="(9223372036854775808,)"),
            "bad_shape_product_overflows": npy_bytes(shape="(4294967296, 4294967296, 4294967296)"),
            "bad_shape_product_overflows_but_for_0": npy_bytes(shape="(4611686018427387904, 4, 1)", data=b""),
            "bad_shape_negative": npy_bytes(shape="(-1,)"),
            "bad_shape_1_GiB": npy_bytes(shape="(134217728,)"),
            "bad_header_longer_than_file": b"\x93NUMPY\1\0\xff\xff{'descr'",
            "bad_header_of_4_GiB": b"\x93NUMPY\2\0\xff\xff\xff\xff{'descr'",
            "bad_string_unterminated": npy_bytes(descr="<f8,"[:3])[:40] + b"'",
            "bad_big_endian": npy_bytes(">f8"),
            "bad_object": npy_bytes("|O", "(1,)", data=pickle.dumps([1], 2)),
            "bad_structured": b"\x93NUMPY\1\0\x32\0{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}",
    }.items():
        write("npy", name, bytes_)


def zip_bytes(members, deflate=False):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as archive:
        for name, bytes_ in members:
            archive.writestr(zipfile.ZipInfo(name), bytes_, zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED)
    return stream.getvalue()


def crafted_zip(name, data, size, method=8, checksum=0, flags=0):
    """One member whose directory and local header agree on whatever sizes are given (APPNOTE 4.3.7, 4.3.12, 4.3.16)."""
    fields = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 0x21, checksum, len(data), size, len(name), 0)
    local = b"PK\3\4" + fields + name + data
    entry = b"PK\1\2" + struct.pack("<H", 20) + fields + bytes(14) + name
    return local + entry + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)


def hostile_zips(format_, member, good):
    """`good` is a whole archive of stored members, `member` a name that its format reads."""
    raw_deflate = lambda data: (lambda c: c.compress(data) + c.flush())(zlib.compressobj(9, zlib.DEFLATED, -15))
    zeros = raw_deflate(bytes(6 << 20))
    entry, end = good.index(b"PK\1\2"), good.index(b"PK\5\6")
    patched = lambda at, bytes_: good[:at] + bytes_ + good[at + len(bytes_):]
    for name, bytes_ in {
            "bomb_honest_6_MiB": crafted_zip(member, zeros, 6 << 20, checksum=zlib.crc32(bytes(6 << 20))),
            "bomb_that_says_100_bytes": crafted_zip(member, zeros, 100),
            "bomb_2_GiB_from_2_bytes": crafted_zip(member, b"\3\0", 0x7fffffff),
            "stored_2_GiB": crafted_zip(member, b"x" * 10, 0x7fffffff, method=0),
            "encrypted": crafted_zip(member, b"x" * 12, 12, method=0, flags=1),
            "method_99": crafted_zip(member, b"x" * 12, 12, method=99),
            "checksum": patched(entry + 16, b"\0\1\2\3"),
            "65534_members": patched(end + 8, b"\xfe\xff\xfe\xff"),
            "directory_of_4_GiB": patched(end + 12, b"\xff\xff\xff\x7f"),
            "directory_outside": patched(end + 16, b"\xff\xff\xff\x7f"),
            "name_of_64_KiB": patched(entry + 28, b"\xff\xff"),
            "extra_of_64_KiB": patched(entry + 30, b"\xff\xff"),
            "member_outside": patched(entry + 42, b"\xff\xff\xff\x7f"),
            "zip64_2_58_members": b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1 << 58, 1 << 58, 0, 0) +
            b"PK\6\7" + struct.pack("<IQI", 0, 0, 1) + b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2),
    }.items():
        write(format_, "bad_" + name, bytes_)


def npz():
    arrays = [("a_xyz.npy", npy_bytes(data=struct.pack("<6d", *range(6)))), ("b.npy", npy_bytes("|b1", "(3,)", data=b"\0\1\1"))]
    write("npz", "good_stored", zip_bytes(arrays))
    write("npz", "good_deflated", zip_bytes(arrays + [("zeros.npy", npy_bytes(shape="(1000,)", data=bytes(8000)))], True))
    write("npz", "good_empty", zip_bytes([]))
    write("npz", "bad_text_member", zip_bytes([("readme.txt", b"hello")]))
    write("npz", "bad_object_array", zip_bytes([("a.npy", npy_bytes("|O", "(1,)", data=pickle.dumps([1], 2)))]))
    twice = zip_bytes([("a.npy", arrays[1][1]), ("b.npy", arrays[1][1])]).replace(b"b.npy", b"a.npy")
    write("npz", "bad_name_twice", twice)
    hostile_zips("npz", b"a.npy", zip_bytes(arrays))


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def integer(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor_opcodes(key=b"0", storage=b"FloatStorage", elements=6, offset=0, shape=(2, 3), stride=(3, 1)):
    numbers = lambda values: b"(" + b"".join(map(integer, values)) + b"t"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text(b"storage") + b"ctorch\n" + storage + b"\n" + text(key) +
            text(b"cpu") + integer(elements) + b"tQ" + integer(offset) + numbers(shape) + numbers(stride) +
            b"\x89ccollections\nOrderedDict\n)RtR")


def pickle_of(opcodes, protocol=2):
    return b"\x80" + bytes([protocol]) + opcodes + b"."


def pickles():
    plain = {"epoch": 3, "rate": 1e-4, "big": 2**70, "none": None, "list": [1, (2, True)], "set": {1}, "text": "é"}
    plain["cycle"] = plain["list"]
    plain["list"].append(plain["list"])
    for protocol in (2, 3, 4):
        write("pickle", f"good_plain_protocol_{protocol}", pickle.dumps(plain, protocol))
    ordered = collections.OrderedDict(a=collections.defaultdict(list), b=b"\0\x80", c=frozenset([1]))
    write("pickle", "good_ordered_dict", pickle.dumps(ordered, 2))
    good = {
        "tensor": tensor_opcodes(),
        "tensor_strides_of_single_rows": tensor_opcodes(shape=(1, 1, 6), stride=((1 << 63) - 1, (1 << 63) - 1, 1)),
        "tensor_empty_and_huge": tensor_opcodes(shape=(0, 1 << 40), stride=((1 << 63) - 1, 1)),
        "object_with_state": b"cpkg\nNode\n)\x81q\x01}(" + text(b"_parent") + b"h\x01ub",
        "os_system_is_a_record": b"cos\nsystem\n" + text(b"true") + b"\x85R",
        "numpy_scalar": b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n" + text(b"i4") + b"\x89\x88\x87R(K\x03" +
                        text(b"<") + b"NNNtbC\x04\xff\xff\xff\xff\x86R",
        "torch_size": b"ctorch\nSize\nK\x04K\x02\x86\x85R",
    }
    for name, opcodes in good.items():
        write("pickle", "good_" + name, pickle_of(opcodes))
    big = text(b"k" * 4000) + b"q\x010"
    prime = 5087  # a number of buckets of libstdc++'s hash tables
    bad = {
        "call_of_a_result": b"cbuiltins\ngetattr\ncos\nsystem\n\x85R" + text(b"true") + b"\x85R",
        "inst": b"(" + text(b"true") + b"ios\nsystem\n",
        "string_of_4_GiB": b"X\xff\xff\xff\xff",
        "string_of_2_64_bytes": b"\x8d" + b"\xff" * 8,
        "bytes_of_2_63_bytes": b"\x8e" + b"\xff" * 7 + b"\x7f",
        "long_of_4_GiB": b"\x8b\xff\xff\xff\xff",
        "long_of_negative_size": b"\x8b\xff\xff\xff\x80",
        "frame_of_2_64_bytes": b"\x95" + b"\xff" * 8,
        "memo_never_written": b"j\xff\xff\xff\xff",
        "line_unterminated": b"cpkg",
        "marks": b"(" * 2000,
        "copies_of_a_string": big + b"h\x01" * 5 + b"}h\x01Ns0" * 2000,
        "append_to_itself": b"]q\x01" + b"h\x01(h\x01h\x01h\x01e" * 3,
        "memo_in_one_bucket": b"N" + b"".join(b"r" + struct.pack("<I", prime * i) for i in range(4000)) + b"N",
        "tensor_outside": tensor_opcodes(shape=(2, 4)),
        "tensor_extent_2_63": tensor_opcodes(shape=((1 << 63) - 1, (1 << 63) - 1)),
        "tensor_stride_overflows": tensor_opcodes(shape=(3, 3), stride=((1 << 63) - 1, (1 << 63) - 1)),
        "tensor_negative_stride": tensor_opcodes(stride=(-3, 1)),
        "tensor_negative_offset": tensor_opcodes(offset=-1),
        "tensor_storage_negative": tensor_opcodes(elements=-6),
    }
    for name, opcodes in bad.items():
        write("pickle", "bad_" + name, pickle_of(opcodes))
    write("pickle", "bad_protocol_0", b"(lp0\nI1\na.")
    write("pickle", "bad_two_pickles", pickle_of(b"}") + pickle_of(b"cos\nsystem\n" + text(b"true") + b"\x85R"))


def torch_zip():
    def archive(tensors, data, byteorder=b"little", deflate=False):
        opcodes = b"}(" + b"".join(text(name) + opcodes for name, opcodes in tensors) + b"u"
        members = [("archive/data.pkl", pickle_of(opcodes)), ("archive/byteorder", byteorder)]
        return zip_bytes(members + [(f"archive/data/{key}", bytes_) for key, bytes_ in data] +
                         [("archive/version", b"3\n")], deflate)

    floats = struct.pack("<6f", *range(6))
    good = archive([(b"points", tensor_opcodes())], [("0", floats)])
    write("torch_zip", "good", good)
    write("torch_zip", "good_deflated", archive([(b"points", tensor_opcodes())], [("0", floats)], deflate=True))
    write("torch_zip", "good_strided", archive([(b"t", tensor_opcodes(shape=(3, 2), stride=(1, 3))),
                                                (b"s", tensor_opcodes(shape=(1, 1, 3), offset=2, stride=((1 << 63) - 1, 7, 1))),
                                                (b"e", tensor_opcodes(shape=(2, 6), stride=(0, 1))),
                                                (b"z", tensor_opcodes(shape=(0, 1 << 40), stride=(1, 1)))], [("0", floats)]))
    write("torch_zip", "good_views", archive([(b"permuted", tensor_opcodes(shape=(2, 1, 3), stride=(1, 9, 2))),
                                              (b"overlapping", tensor_opcodes(shape=(4, 3), stride=(1, 1))),
                                              (b"both", tensor_opcodes(shape=(2, 3, 2), stride=(2, 0, 1), offset=1)),
                                              (b"rows", tensor_opcodes(shape=(3,), stride=(2,), offset=1))], [("0", floats)]))
    ours = (HERE.parent / "testdata" / "written_by_us.pth").read_bytes()
    write("torch_zip", "good_written_by_us", ours)
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(ours)) as old, zipfile.ZipFile(stream, "w") as large:
        for name in old.namelist():
            with large.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                member.write(old.read(name))
    write("torch_zip", "good_zip64", stream.getvalue())
    write("torch_zip", "good_bool", archive([(b"b", tensor_opcodes(storage=b"BoolStorage"))], [("0", b"\0\1\2\3\4\xff")]))
    for name, bytes_ in {
            "expanded_to_4_GiB": archive([(b"e", tensor_opcodes(shape=(1 << 30,), stride=(0,)))], [("0", floats)]),
            "many_expanded": archive([(b"%d" % i, tensor_opcodes(shape=(1 << 19,), stride=(0,))) for i in range(40)],
                                     [("0", floats)]),
            "storage_missing": archive([(b"points", tensor_opcodes())], []),
            "storage_short": archive([(b"points", tensor_opcodes())], [("0", floats[:-1])]),
            "storage_of_2_63_elements": archive([(b"p", tensor_opcodes(elements=(1 << 63) - 1))], [("0", floats)]),
            "storage_key_climbs": archive([(b"p", tensor_opcodes(key=b"../data.pkl"))], [("0", floats)]),
            "big_endian": archive([], [], b"big"),
            "byteorder_of_1_MiB": archive([], [], bytes(1 << 20), True),
            "pickle_of_5_MiB": archive([(b"x" * (5 << 20), b"N")], [], deflate=True),
            "no_folder": zip_bytes([("data.pkl", pickle_of(b"}"))]),
            "old_format": pickle.dumps(0x1950a86a20f9469cfc6c, 2),
    }.items():
        write("torch_zip", "bad_" + name, bytes_)
    hostile_zips("torch_zip", b"archive/data.pkl", good)


def json_():
    good = {"id": {"object_to_world": [[1, 0.5], [-2e3, 2**64 - 1]], "object_is_moving": True, "x": None},
            "empty": {}, "list": [], "text": "\u00e9\n\U0001f600"}
    write("json", "good_object", json.dumps(good).encode())
    write("json", "good_utf8", json.dumps(good, ensure_ascii=False).encode())
    write("json", "good_number", b"-9223372036854775808")
    write("json", "good_nested", b"[" * 64 + b"]" * 64)
    write("json", "good_tiny_numbers", b"[1e-999, -0, -0.0, 5e-324, 1.7976931348623157e308, 123456789012345678901234567890]")
    for name, bytes_ in {
            "nested_2000": b"[" * 2000,
            "objects_nested_500": b'{"a":' * 500,
            "number_too_large": b"1e999",
            "nan": b"[NaN]",
            "surrogate": b'"\\ud800"',
            "surrogates_swapped": b'"\\udc00\\ud800"',
            "not_utf8": b'"\xed\xa0\x80"',
            "string_unterminated": b'"' + b"a" * 1000,
            "escape_unterminated": b'"\\u00',
            "control_characters": b'"\x1b[2J"',
            "key_twice": b'{"k": 1, "j": 2, "k": 3}',
            "key_of_1000": b'{"' + b"k" * 1000 + b'":1,"' + b"k" * 1000 + b'":2}',
            "number_of_1000_digits_and_x": b"1" * 1000 + b"x",
            "values_10001": b"[" + b"0," * 10000 + b"0]",
            "comment": b"// x\n1",
            "bom_alone": b"\xef\xbb\xbf",
    }.items():
        write("json", "bad_" + name, bytes_)


def png():
    signature = b"\x89PNG\r\n\x1a\n"
    chunk = lambda kind, data=b"": struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def image(width, height, depth, colour, rows=None, interlace=0, before=b"", after=b""):
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        row = (width * channels * depth + 7) // 8
        data = b"".join(bytes([y % 5]) + bytes((7 * x + 13 * y) % 256 for x in range(row)) for y in range(height))
        return (signature + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)) +
                before + chunk(b"IDAT", zlib.compress(data if rows is None else rows, 9)) + after + chunk(b"IEND"))

    palette = chunk(b"PLTE", bytes(range(12)))
    for depth in (1, 2, 4, 8, 16):
        write("png", f"good_grey_{depth}", image(5, 4, depth, 0))
    for name, colour in (("rgb", 2), ("grey_alpha", 4), ("rgba", 6)):
        for depth in (8, 16):
            write("png", f"good_{name}_{depth}", image(3, 4, depth, colour))
    # Rows of zeros: every index is in the palette.
    write("png", "good_palette_2", image(5, 4, 2, 3, bytes(12), before=palette))
    write("png", "good_palette_alpha", image(5, 4, 8, 3, bytes(24), before=palette + chunk(b"tRNS", b"\0\x80")))
    write("png", "good_interlaced", image(9, 9, 8, 0, bytes(100), 1))
    write("png", "good_text", image(2, 2, 8, 0, after=chunk(b"tEXt", b"Comment\0hello") +
                                    chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100000)))))
    write("png", "good_grey_transparent", image(2, 2, 8, 0, before=chunk(b"tRNS", b"\0\7")))
    write("png", "good_more_data_than_pixels", image(4, 4, 8, 0, bytes(1 << 16)))
    ihdr = lambda *values: signature + chunk(b"IHDR", struct.pack(">IIBBBBB", *values)) + chunk(b"IDAT", b"x") + chunk(b"IEND")
    whole = image(5, 4, 8, 2)
    for name, bytes_ in {
            "size_2_31": ihdr(0x7fffffff, 0x7fffffff, 16, 6, 0, 0, 0),
            "size_0": ihdr(0, 4, 8, 0, 0, 0, 0),
            "size_2_32": ihdr(0xffffffff, 1, 8, 0, 0, 0, 0),
            "size_1_GiB": ihdr(16384, 8192, 16, 6, 0, 0, 0),
            "size_more_than_compressed": ihdr(1000, 1000, 8, 0, 0, 0, 0),
            "depth_3": ihdr(4, 4, 3, 0, 0, 0, 0),
            "colour_7": ihdr(4, 4, 8, 7, 0, 0, 0),
            "interlace_9": ihdr(4, 4, 8, 0, 0, 0, 9),
            "rows_missing": image(50, 50, 8, 0, bytes(51 * 20)),
            "filter_99": image(4, 4, 8, 0, b"\x63abcd" * 4),
            "palette_missing": image(5, 4, 8, 3, bytes(24)),
            "chunk_of_2_31_bytes": whole[:33] + b"\x7f\xff\xff\xff" + whole[37:],
            "chunk_of_4_GiB": whole[:33] + b"\xff\xff\xff\xff" + whole[37:],
            "checksum": whole[:29] + b"\0\1\2\3" + whole[33:],
            "header_twice": whole[:33] + whole[8:],
            "end_missing": whole[:-12],
            "critical_chunk_unknown": whole[:33] + chunk(b"ABCD") + whole[33:],
    }.items():
        write("png", "bad_" + name, bytes_)


def ply():
    def file(format_="ascii", vertices="3", faces="1", data=b"", vertex="property float x\nproperty float y\nproperty float z",
             face="property list uchar int vertex_indices"):
        return (f"ply\nformat {format_} 1.0\ncomment made\nelement vertex {vertices}\n{vertex}\nelement face {faces}\n{face}\n"
                "end_header\n").encode() + data

    points = b"0 0 0\n1 0 0\n0 1 -2.5e-3\n"
    binary = struct.pack("<9f", *range(9)) + b"\3" + struct.pack("<3i", 0, 1, 2)
    little = "binary_little_endian"
    write("ply", "good_ascii", file(data=points + b"3 0 1 2\n"))
    write("ply", "good_binary", file(little, data=binary))
    write("ply", "good_quad", file(vertices="4", data=points + b"1 1 1\n4 0 1 2 3\n"))
    write("ply", "good_other_properties", file(
        little, data=b"".join(struct.pack("<3d4BB2h", x, 2, 3, 1, 2, 3, 4, 2, 5, 6) for x in range(3)) + binary[36:],
        vertex="property double x\nproperty double y\nproperty double z\nproperty uchar red\nproperty uchar green\n"
        "property uchar blue\nproperty uchar alpha\nproperty list uchar short extra"))
    write("ply", "good_no_faces", b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
          b"property float z\nend_header\n1 2 3\n")
    for name, bytes_ in {
            "vertices_2_62": file(vertices=str(1 << 62)),
            "vertices_negative": file(vertices="-1"),
            "vertices_300000_in_nothing": file(little, vertices="300000"),
            "faces_300000_in_nothing": file(little, faces="300000", data=binary),
            "list_of_4_GiB": file(little, data=binary[:36] + b"\xff\xff\xff\xff", face="property list uint int vertex_indices"),
            "list_of_negative_length": file(little, data=binary[:36] + b"\x80", face="property list char int vertex_indices"),
            "list_of_1e300": file(data=points + b"1e300 0 1 2\n"),
            "list_of_infinite_length": file(data=points + b"inf 0 1 2\n"),
            "list_skipped_of_infinite_length": file(data=b"0 0 0 inf\n" * 3, vertex="property float x\nproperty float y\n"
                                                    "property float z\nproperty list uchar int more"),
            "face_of_a_vertex_that_is_not": file(data=points + b"3 0 1 3\n"),
            "face_of_vertex_nan": file(data=points + b"3 0 1 nan\n"),
            "face_of_vertex_minus_1": file(data=points + b"3 0 1 -1\n"),
            "face_of_2": file(data=points + b"2 0 1\n"),
            "coordinate_nan": file(data=b"0 nan 0\n1 0 0\n0 1 0\n3 0 1 2\n"),
            "coordinate_1e39": file(data=b"0 1e39 0\n1 0 0\n0 1 0\n3 0 1 2\n"),
            "word_of_100_characters": file(data=b"0" * 100 + points + b"3 0 1 2\n"),
            "header_unterminated": b"ply\nformat ascii 1.0\ncomment " + b"x" * 5000,
            "properties_300": file(vertex="\n".join(f"property char p{i}" for i in range(300))),
            "control_characters": b"ply\nformat \x1b[2J 1.0\nend_header\n",
            "big_endian": file("binary_big_endian"),
            "list_coordinates": file(vertex="property list uchar float x\nproperty float y\nproperty float z"),
    }.items():
        write("ply", "bad_" + name, bytes_)


def safetensors():
    def file(header, data=bytes(16), length=None):
        header = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(header) if length is None else length) + header + data

    one = lambda dtype="F32", shape=(4,), offsets=(0, 16): {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}
    write("safetensors", "good", file({"__metadata__": {"format": "pt"}, **one("F32", (2, 1), (0, 8)),
                                       "flags": {"dtype": "BOOL", "shape": [8], "data_offsets": [8, 16]},
                                       "empty": {"dtype": "I64", "shape": [0, 3], "data_offsets": [16, 16]}}))
    write("safetensors", "good_nothing", file({}, b""))
    write("safetensors", "good_bf16", file(one("BF16", (2, 4))))
    for name, bytes_ in {
            "header_of_2_64_bytes": file(one(), length=(1 << 64) - 1),
            "header_of_2_63_bytes": file(one(), length=1 << 63),
            "header_of_90_MB": file(one(), length=90000000),
            "header_cut": file(one())[:30],
            "header_nested": file(b'{"a":' + b"[" * 5000),
            "shape_product_overflows": file(one(shape=(1 << 62, 4), offsets=(0, 0))),
            "shape_overflows_but_for_0": file(one(shape=(0, 1 << 62, 4), offsets=(0, 1))),
            "shape_negative": file(one(shape=(-4,))),
            "shape_of_1000": file(one(shape=(1,) * 1000)),
            "offsets_swapped": file(one(offsets=(16, 0))),
            "offsets_2_63": file(one(offsets=((1 << 63) - 17, (1 << 63) - 1))),
            "offsets_2_64": file(one(offsets=((1 << 64) - 16, 1 << 64))),
            "offsets_negative": file(one(offsets=(-16, 0))),
            "overlap": file({**one("U8", (8,), (0, 8)), "b": {"dtype": "U8", "shape": [8], "data_offsets": [4, 12]}}),
            "hole": file({**one("U8", (8,), (0, 8)), "b": {"dtype": "U8", "shape": [7], "data_offsets": [9, 16]}}),
            "name_twice": file(b'{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}'),
            "header_not_utf8": file(b'{"a\xff":{"dtype":"U8"}}'),
            "name_control_characters": file({"\x1b[2J": {"dtype": "F32"}}),
            "dtype_unknown": file(one("F8_E5M2", (16,))),
            "metadata_number": file({"__metadata__": {"a": 1}}, b""),
            "tensor_of_1_GiB": file(one("F32", (1 << 28,), (0, 1 << 30))),
    }.items():
        write("safetensors", "bad_" + name, bytes_)


def csv_():
    for name, bytes_ in {
            "good_metadata": b'video,prompt,depth\r\na.mp4,"Rain, and a ""sign"".",../d/a.tar\r\nb.mp4,"two\r\nlines",\r\n',
            "good_bom": b"\xef\xbb\xbfa,b\nc,d\n",
            "good_empty": b"",
            "good_one_empty_field": b'""\r\n""',
            "good_unicode": "a,\u9053\u8def,\U0001f697\r\n".encode(),
            "good_carriage_returns": b"a,b\r\rc, d ",
            "bad_ragged": b"a,b\r\nc\r\n",
            "bad_quote_within": b'a,b"c\r\n',
            "bad_after_quote": b'a,"b" \r\n',
            "bad_unterminated": b'a,"b\r\nc,d\r\n' + b"x" * 3000,
            "bad_not_utf8": b"a,\xed\xa0\x80\r\n",
            "bad_field_of_20000": b"a," + b"b" * 20000,
            "bad_quoted_field_of_20000": b'a,"' + b'""' * 20000 + b'"',
            "bad_fields_101": b"," * 100,
            "bad_rows_1001": b"a\n" * 1001,
            "bad_control_characters_ragged": b"a\n\x1b[2J,b\n",
            "bad_utf16": "a,b\r\n".encode("utf-16"),
    }.items():
        write("csv", name, bytes_)


def jpeg():
    """From Pillow's files of the tests beside."""
    fixture = lambda name: (HERE.parent / "testdata" / f"{name}.jpg").read_bytes()
    for name in ("default", "progressive", "grey", "restarts", "one_pixel"):
        write("jpeg", "good_" + name, fixture(name))
    write("jpeg", "bad_cmyk", fixture("cmyk"))
    segment = lambda marker, data: b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data
    table = b"\1" + bytes(15) + b"\0"  # one code, the bit 0, of the value 0
    scan = lambda first, last, high, low: segment(0xda, bytes([1, 1, 0, first, last, high << 4 | low])) + b"\x7f"

    def grey(scans, frame=0xc2, width=8, height=8, depth=8, sampling=0x11):
        return (b"\xff\xd8" + segment(0xdb, b"\0" + b"\1" * 64) +
                segment(frame, struct.pack(">BHHBBBB", depth, height, width, 1, 1, sampling, 0)) +
                segment(0xc4, b"\0" + table) + segment(0xc4, b"\x10" + table) + b"".join(scans) + b"\xff\xd9")

    every_bit = lambda band: [scan(band, band, 0, 13)] + [scan(band, band, low + 1, low) for low in range(12, -1, -1)]
    direct = scan(0, 0, 0, 0)
    write("jpeg", "good_scan_twice", grey([direct, direct]))
    write("jpeg", "good_arithmetic", grey([direct], frame=0xca))
    write("jpeg", "good_99_scans", grey([direct] + sum(map(every_bit, range(1, 8)), [])))
    default = fixture("default")
    frame = default.index(b"\xff\xc0")
    for name, bytes_ in {
            "113_scans": grey([direct] + sum(map(every_bit, range(1, 9)), [])),
            "883_scans": grey([direct] + sum(map(every_bit, range(1, 64)), [])),
            "size_65500": grey([direct], width=65500, height=65500),
            "size_65535": grey([direct], width=65535, height=65535),
            "size_0": grey([direct], width=0),
            "size_4_MiB_progressive": grey([direct], width=1182, height=1182),
            "depth_12": grey([direct], depth=12),
            "sampling_0": grey([direct], sampling=0),
            "sampling_15": grey([direct], sampling=0xff),
            "lossless": grey([direct], frame=0xc3),
            "no_scan": grey([]),
            "frame_twice": default[:frame] + default[frame:frame + 19] + default[frame:],
            "two_channels": default[:frame + 9] + b"\2" + default[frame + 10:],
            "segment_of_64_KiB": default[:4] + b"\xff\xff" + default[6:],
            "segment_of_0": default[:4] + b"\0\0" + default[6:],
            "half": default[:len(default) * 3 // 4] + b"\xff\xd9",
    }.items():
        write("jpeg", "bad_" + name, bytes_)


def mp4():
    """From the files by the ffmpeg program of the tests beside, with boxes (ISO/IEC 14496-12) put in their places."""
    fixture = lambda name: (HERE.parent / "testdata" / name).read_bytes()
    whole = fixture("video.mp4")
    containers = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")
    box = lambda kind, data: struct.pack(">I", len(data) + 8) + kind + data
    full = lambda kind, *numbers: box(kind, struct.pack(f">{len(numbers) + 1}I", 0, *numbers))

    def rebuilt(data, boxes, moved=0):
        """`boxes`: kind to the box in its place; `moved`: by how much the frames lie further back."""
        output, at = b"", 0
        while at < len(data):
            size, kind = struct.unpack_from(">I4s", data, at)
            if kind in boxes:
                output += boxes[kind]
            elif kind in containers:
                output += box(kind, rebuilt(data[at + 8:at + size], boxes, moved))
            elif kind == b"stco":
                count, *offsets = struct.unpack_from(f">{(size - 12) // 4}I", data, at + 12)
                output += full(b"stco", count, *(offset + moved for offset in offsets))
            else:
                output += data[at:at + size]
            at += size
        return output

    def replaced(**boxes):
        boxes = {kind.encode(): bytes_ for kind, bytes_ in boxes.items()}
        return rebuilt(whole, boxes, len(rebuilt(whole, boxes)) - len(whole))

    def patched(kind, offset, bytes_):
        at = whole.index(kind, whole.index(b"moov") - 4) + offset
        return whole[:at] + bytes_ + whole[at + len(bytes_):]

    frames = whole.index(b"mdat") + 4
    write("mp4", "good_x264", whole)
    fragmented = fixture("fragmented.mp4")
    last = fragmented.rindex(b"mdat") + 4
    write("mp4", "bad_last_fragment", fragmented[:last] + b"\xff" * 4 + fragmented[last + 4:])
    for name, bytes_ in {
            "no_frames": replaced(stsz=full(b"stsz", 0, 0), stts=full(b"stts", 0), stsc=full(b"stsc", 0),
                                  stco=full(b"stco", 0), ctts=b"", stss=b""),
            "no_movie": whole[:whole.index(b"moov") - 4] + whole[frames - 8:],
            "no_data": whole[:frames - 8],
            "no_tracks": replaced(trak=b""),
            "no_codec": replaced(stsd=full(b"stsd", 0)),
            "codec_unknown": patched(b"avc1", 0, b"none"),
            "size_65535": patched(b"avc1", 28, b"\xff" * 4),
            "box_of_4_GiB": patched(b"moov", -4, b"\xff" * 4),
            "box_of_2_63": whole[:frames - 8] + struct.pack(">I4sQ", 1, b"mdat", 1 << 63) + whole[frames:],
            "box_of_2_64": whole[:frames - 8] + struct.pack(">I4sQ", 1, b"mdat", (1 << 64) - 1) + whole[frames:],
            "box_of_7": patched(b"mdat", -4, struct.pack(">I", 7)),
            "boxes_nested": box(b"ftyp", b"isom\0\0\2\0") + struct.pack(">I4s", 1 << 20, b"moov") +
            b"".join(struct.pack(">I4s", (1 << 20) - 8 * i, b"trak") for i in range(1, 5000)),
            "frames_2_32": replaced(stsz=full(b"stsz", 100, 0xffffffff), stts=full(b"stts", 1, 0xffffffff, 1024)),
            "frames_2_18_in_one_chunk": replaced(stsz=full(b"stsz", 100, 1 << 18), stts=full(b"stts", 1, 1 << 18, 1024),
                                                 stsc=full(b"stsc", 1, 1, 1, 1), ctts=b"", stss=b""),
            "frames_of_2_GiB": replaced(stsz=full(b"stsz", 0x7fffffff, 16)),
            "frames_outside": replaced(stco=full(b"stco", 1, 0x7fffffff)),
            "times_in_2_28_runs": replaced(stts=full(b"stts", 1 << 28, 16, 1024)),
            "chunks_backwards": replaced(stsc=full(b"stsc", 3, 5, 1, 1, 1, 1, 1, 3, 1, 1)),
            "edits_that_repeat": replaced(edts=box(b"edts", full(b"elst", 300, *[1600, 0, 1 << 16] * 300))),
            "edits_without_end": replaced(edts=box(b"edts", full(b"elst", 300, *[0xffffffff, 0, 1 << 16] * 300))),
            "edits_of_nothing": replaced(edts=box(b"edts", full(b"elst", 40, *[0, 0, 1 << 16] * 40))),
            "edits_backwards": replaced(edts=box(b"edts", full(b"elst", 60, *sum(([100, 15360 - 1024 * (i % 16), 1 << 16]
                                                                                  for i in range(60)), [])))),
            "time_scale_0": patched(b"mdhd", 16, bytes(4)),
            "frame_damaged": whole[:-1000] + b"\xff" * 60 + whole[-940:],
            "frame_of_4_GiB_within": whole[:frames] + b"\xff" * 4 + whole[frames + 4:],
            "other_file": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
            "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n",
    }.items():
        write("mp4", "bad_" + name, bytes_)


for make in (tar, npy, npz, pickles, torch_zip, json_, png, ply, safetensors, csv_, jpeg, mp4):
    make()
