"""Writes seeded random tar archives and what Python's tarfile reads of them, for tar_differential_test.

Arguments: a folder, the number of archives. NNN.tar is well-formed: NNN.txt has a line for each regular file (name, offset
of its data, size; by tabs). refused_NNN.tar has one thing that tarfile accepts and we refuse: refused_NNN.txt says which.
"""
import io
import pathlib
import random
import sys
import tarfile

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
BLOCK = 512


def random_name(rng, format_, number):
    """Names of all lengths that the format can hold, unique by their number."""
    letters = rng.choice(["abc", "xyz -_.+", "äöü€", "日本語🚗", "a\u0308o\u0308", "%&'\"$(){}[]\\"])
    word = lambda most: "".join(rng.choice(letters) for _ in range(rng.randint(1, most))).strip(" .") + "n"
    name = f"{number}." + word(rng.choice([8, 40]))
    while rng.random() < 0.5:
        name = word(20) + "/" + name
    if rng.random() < 0.3 and format_ != "ustar":
        name = "/".join(word(90) for _ in range(rng.randint(1, 6))) + "/" + name
    if rng.random() < 0.15 and format_ == "ustar":
        name = "p" * rng.randint(1, 150) + "/" + "n" * rng.randint(1, 80) + str(number)
    if rng.random() < 0.15:
        name = rng.choice(["./", ".//", "./././"]) + name
    if rng.random() < 0.1:
        name = name.replace("/", "/./", 1)
    return name


def entry(rng, format_, number):
    """A member and its data."""
    info = tarfile.TarInfo(random_name(rng, format_, number))
    info.type = rng.choice([tarfile.REGTYPE] * 6 + [tarfile.AREGTYPE, tarfile.DIRTYPE])
    if info.type == tarfile.AREGTYPE and len(info.name.encode()) > 90:
        info.type = tarfile.REGTYPE  # tarfile takes one whose long name is cut at a slash for a folder
    size = rng.choice([0, 1, rng.randrange(600), 511, 512, 513, 1024, rng.randrange(20000)])
    info.size = 0 if info.type == tarfile.DIRTYPE else size
    info.mode = rng.choice([0o644, 0o444, 0o777])
    info.mtime = rng.randrange(1 << 31)
    info.uname = rng.choice(["", "bigdata", "größe"])
    if format_ == "gnu":  # what octal digits cannot hold is written in base-256
        info.uid = rng.choice([0, 1000, 1 << 40])
        info.mtime = rng.choice([info.mtime, -1, 1 << 40])
    if format_ == "pax":
        info.uid = rng.choice([0, 1000, 1 << 40])
        info.mtime = rng.choice([info.mtime, info.mtime + 0.25])
        if rng.random() < 0.3:
            info.pax_headers = {"comment": "size=5 path=../x", "CUBIST.key": "é" * rng.randrange(300)}
    try:
        info.tobuf(FORMATS[format_], "utf-8")
    except ValueError:  # too long for a ustar header
        info.name = str(number)
    return info, rng.randbytes(info.size)


def with_base256_sizes(rng, archive, members):
    """Some sizes as GNU tar writes large ones, in place; tarfile writes small ones in octal."""
    archive = bytearray(archive)
    for member in members:
        if rng.random() < 0.5:
            at = member.offset_data - BLOCK
            archive[at + 124:at + 136] = b"\x80" + member.size.to_bytes(11, "big")
            archive[at + 148:at + 156] = b" " * 8
            archive[at + 148:at + 156] = b"%06o\0 " % sum(archive[at:at + BLOCK])
    return bytes(archive)


def write(format_, entries, **options):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=FORMATS[format_], encoding="utf-8", **options) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def read(archive):
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", encoding="utf-8") as opened:
        return opened.getmembers()


def listing(archive):
    lines = []
    for member in read(archive):
        if not member.isdir():
            assert member.isreg(), member.type
            name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
            lines.append(f"{name}\t{member.offset_data}\t{member.size}\n")
    return "".join(lines)


def offending(rng, format_, entries):
    """The entries with one offence among them, options of the archive, what to do to its bytes, and our reason."""
    kind = rng.choice(["symbolic link", "hard link", "device", "fifo", "'..'", "absolute", "twice", "end marker",
                       "control character", "contiguous", "after the end", "half an end", "sparse"])
    info = tarfile.TarInfo(f"offence{rng.randrange(1000)}")
    reason, change = kind, lambda archive: archive
    whole = lambda archive: max([0] + [m.offset_data + (m.size + BLOCK - 1) // BLOCK * BLOCK for m in read(archive)])
    if kind == "symbolic link":
        info.type, info.linkname = tarfile.SYMTYPE, rng.choice(["target", "../../etc/passwd"])
    elif kind == "hard link":
        info.type, info.linkname = tarfile.LNKTYPE, "target"
    elif kind == "device":
        info.type = rng.choice([tarfile.CHRTYPE, tarfile.BLKTYPE])
    elif kind == "fifo":
        info.type = tarfile.FIFOTYPE
    elif kind == "'..'":
        info.name = rng.choice(["../", "a/../../", "../../etc/"]) + info.name
    elif kind == "absolute":
        info.name = "/etc/" + info.name
    elif kind == "control character":
        info.name += rng.choice(["\n", "\x1b[2J", "\x7f"]) + "x"
    elif kind == "contiguous":
        info.type, reason = tarfile.CONTTYPE, "no plain regular file"
    elif kind == "twice":
        entries = entries + [(tarfile.TarInfo(info.name), b"")]
        info.name = rng.choice(["", "./"]) + info.name
    elif kind == "end marker":
        reason = "truncated"
        change = lambda archive: archive[:whole(archive)]
    elif kind == "half an end":
        reason, change = "truncated", lambda archive: archive[:whole(archive) + BLOCK]
    elif kind == "after the end":  # one zero block, at which tarfile stops, and a member that nobody would see
        reason = "end marker"
        change = lambda archive: archive[:whole(archive) + BLOCK] + write("ustar", [(tarfile.TarInfo("hidden"), b"")])
    elif kind == "sparse":
        info.size = 1
        map_ = b"".join(b"%011o\0" % number for number in (0, 1))
        def change(archive):
            at = next(m.offset_data for m in read(archive) if m.name == info.name) - BLOCK
            header = bytearray(archive[at:at + BLOCK])
            header[156:157] = tarfile.GNUTYPE_SPARSE
            header[386:386 + len(map_)] = map_
            header[483:495] = b"%011o\0" % 100000
            header[257:265] = b"ustar  \0"
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            return archive[:at] + bytes(header) + archive[at + BLOCK:]
    at = rng.randrange(len(entries)) if kind == "twice" else rng.randint(0, len(entries))
    return entries[:at] + [(info, bytes(info.size))] + entries[at:], change, reason


def main():
    folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    for number in range(count):
        rng = random.Random(number)
        format_ = sorted(FORMATS)[number % 3]
        entries = [entry(rng, format_, i) for i in range(rng.randrange(13))]
        # tarfile does not read a header for all that stands alone.
        for_all = format_ == "pax" and entries and rng.random() < 0.3
        options = {"pax_headers": {"comment": "for all"}} if for_all else {}
        archive = write(format_, entries, **options)
        if format_ == "gnu":
            archive = with_base256_sizes(rng, archive, read(archive))
        assert len(read(archive)) == len(entries)
        (folder / f"{number:03}.tar").write_bytes(archive)
        (folder / f"{number:03}.txt").write_text(listing(archive), encoding="utf-8", errors="surrogateescape")
        entries, change, reason = offending(rng, format_, entries)
        archive = change(write(format_, entries, **options))
        assert read(archive), "tarfile accepts it"
        (folder / f"refused_{number:03}.tar").write_bytes(archive)
        (folder / f"refused_{number:03}.txt").write_text(reason)


main()
