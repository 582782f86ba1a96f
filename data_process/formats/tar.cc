#include "data_process/formats/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr uint64_t kBlock = 512;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

struct FreeArchiveReader {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

// PAX headers hold UTF-8, which libarchive makes text of the locale: in a UTF-8 locale it changes the bytes of names
// (to Unicode's normal form C), in "C" it keeps those that are not ASCII as they are, and warns. So this thread is in
// "C" while such an object lives, wherever the program is.
class PlainLocale {
 public:
  PlainLocale() : before_(uselocale(Plain())) {}
  ~PlainLocale() { uselocale(before_); }
  PlainLocale(const PlainLocale&) = delete;
  PlainLocale& operator=(const PlainLocale&) = delete;

 private:
  static locale_t Plain() {
    static const locale_t plain = newlocale(LC_CTYPE_MASK, "C", nullptr);
    return plain;
  }

  locale_t before_;
};

// Whether a header was read, but for that warning.
bool HeaderIsRead(int result, archive* reader) {
  if (result != ARCHIVE_WARN || archive_error_string(reader) == nullptr) return result == ARCHIVE_OK;
  constexpr std::string_view kKept = "can't be converted from UTF-8 to current locale.";
  const std::string_view warning = archive_error_string(reader);
  return warning.size() >= kKept.size() && warning.substr(warning.size() - kKept.size()) == kKept;
}

// Why a member of this name is refused; empty if it is fine.
std::optional<std::string> NameFault(std::string_view name, size_t max_bytes) {
  if (name.empty()) return "an empty name";
  if (name.size() > max_bytes) return absl::StrCat("a name of ", name.size(), " bytes (the limit is ", max_bytes, ")");
  if (name.front() == '/') return "an absolute name";
  for (char character : name) {
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) return "a control character in its name";
  }
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return "'..' in its name";
    begin = end + 1;
  }
  return std::nullopt;
}

// "./a/./b" and "a/b" are one file on disk, so they are one name here.
std::string WithoutDots(std::string_view name) {
  std::string result;
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (!part.empty() && part != ".") {
      if (!result.empty()) result += '/';
      result.append(part);
    }
    begin = end + 1;
  }
  return result;
}

std::string KindName(mode_t type, bool hardlink) {
  if (hardlink) return "a hard link";
  switch (type) {
    case AE_IFLNK:
      return "a symbolic link";
    case AE_IFCHR:
    case AE_IFBLK:
      return "a device";
    case AE_IFIFO:
      return "a fifo";
    case AE_IFSOCK:
      return "a socket";
    default:
      return absl::StrCat("of unknown kind ", static_cast<unsigned>(type));
  }
}

// What the system says of a file. Where the machine is short of something or a network file system stumbles, the data
// is not to blame: nothing that is skipped for it would be skipped again.
absl::Status SystemError(int error, const std::string& message) {
  const std::string text = absl::StrCat(message, ": ", ErrnoText(error));
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ESTALE:
    case ETIMEDOUT:
      return StorageError(text);
    default:
      return DataError(text);
  }
}

// Reads exactly `size` bytes at `offset`; the error says how far the file goes.
absl::Status ReadAt(int descriptor, uint64_t offset, void* target, uint64_t size, const std::string& what) {
  uint64_t done = 0;
  while (done < size) {
    const ssize_t count = ::pread(descriptor, static_cast<char*>(target) + done, size - done, offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(errno, absl::StrCat(what, ": cannot read at offset ", offset + done));
    if (count == 0) {
      return DataError(absl::StrCat(what, ": the file ends at offset ", offset + done, ", ", size - done,
                                    " bytes too early; fetch it again"));
    }
    done += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

absl::Status OpenForReading(const std::string& path, std::unique_ptr<Descriptor>& file, struct stat& info) {
  // O_NONBLOCK: a fifo under this name must not hang us; it changes nothing for a regular file.
  file = std::make_unique<Descriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file->number() < 0) return SystemError(errno, absl::StrCat(path, ": cannot open"));
  if (::fstat(file->number(), &info) != 0) return SystemError(errno, absl::StrCat(path, ": cannot stat"));
  if (!S_ISREG(info.st_mode)) return DataError(absl::StrCat(path, ": not a regular file"));
  return absl::OkStatus();
}

// The header block that directly precedes a member's data says itself that it is a regular file of
// this size: libarchive's and our idea of where the data lies agree, and no sparse map is in between.
absl::Status CheckHeaderBlock(int descriptor, const TarMember& member, const std::string& what) {
  std::array<char, kBlock> block;
  RETURN_IF_ERROR(ReadAt(descriptor, member.offset - kBlock, block.data(), kBlock, what));
  const char type = block[156];
  if (type != '0' && type != '\0') {
    return DataError(absl::StrCat(what, ": refused: type ", Quoted(std::string_view(&type, 1)),
                                  " is no plain regular file (sparse and contiguous files are not read)"));
  }
  const char* digits = &block[124];
  uint64_t size = 0;
  if (static_cast<unsigned char>(digits[0]) == 0x80) {
    for (int i = 1; i < 12; ++i) size = (size << 8) | static_cast<unsigned char>(digits[i]);
  } else {
    for (int i = 0; i < 12; ++i) {
      if (digits[i] >= '0' && digits[i] <= '7') size = size * 8 + static_cast<uint64_t>(digits[i] - '0');
    }
  }
  if (size != member.size) {
    return DataError(
        absl::StrCat(what, ": refused: its header says ", size, " bytes, an extended header ", member.size));
  }
  return absl::OkStatus();
}

struct Scan {
  std::string path;
  int descriptor;
  uint64_t file_size;
  TarLimits limits;
  DataPlace& place;          // what an error is about
  uint64_t next_header = 0;  // where the header after the last member begins

  // The entry at next_header, of which `member` is known, and `end` unless the file is shorter.
  void LookAt(const std::string& member, uint64_t end) {
    place.member = member;
    place.begin = next_header;
    place.end = std::max(next_header, std::min(end, file_size));
  }
};

// Checks the entry whose header libarchive has just read and describes its data.
absl::StatusOr<TarMember> CheckEntry(archive* reader, archive_entry* entry, Scan& scan, bool& is_folder) {
  const char* raw_name = archive_entry_pathname(entry);
  const std::string name = raw_name == nullptr ? "" : raw_name;
  TarMember member;
  member.offset = static_cast<uint64_t>(archive_filter_bytes(reader, 0));
  const std::string what = absl::StrCat(scan.path, ": member ", Quoted(name), " at offset ", scan.next_header);
  scan.LookAt(name, scan.next_header + kBlock);
  const mode_t type = archive_entry_filetype(entry);
  const bool hardlink = archive_entry_hardlink(entry) != nullptr;
  is_folder = type == AE_IFDIR && !hardlink;
  if (hardlink || (type != AE_IFREG && type != AE_IFDIR)) {
    return DataError(absl::StrCat(what, ": refused: it is ", KindName(type, hardlink), "; pack regular files only"));
  }
  if (const std::optional<std::string> fault = NameFault(name, scan.limits.max_name_bytes)) {
    return DataError(absl::StrCat(what, ": refused: ", *fault));
  }
  member.name = WithoutDots(name);
  if (!is_folder && member.name.empty()) return DataError(absl::StrCat(what, ": refused: it names a folder"));
  if (archive_entry_sparse_count(entry) > 0) return DataError(absl::StrCat(what, ": refused: it is a sparse file"));
  if (archive_entry_size_is_set(entry) && archive_entry_size(entry) < 0) {
    return DataError(absl::StrCat(what, ": negative size ", archive_entry_size(entry)));
  }
  member.size = static_cast<uint64_t>(archive_entry_size(entry));
  if (is_folder && member.size != 0) return DataError(absl::StrCat(what, ": refused: a folder with data"));
  if (member.offset % kBlock != 0 || member.offset < scan.next_header + kBlock || member.offset > scan.file_size) {
    return DataError(absl::StrCat(what, ": its header is damaged (its data would begin at ", member.offset, ")"));
  }
  scan.LookAt(name, member.offset + std::min(member.size, scan.file_size - member.offset));
  if (member.size > scan.file_size - member.offset) {
    return DataError(absl::StrCat(what, ": its ", member.size, " bytes from offset ", member.offset,
                                  " reach beyond the end of the file at ", scan.file_size,
                                  ": truncated or damaged; fetch the file again"));
  }
  if (member.size > scan.limits.max_member_bytes) {
    return DataError(
        absl::StrCat(what, ": ", member.size, " bytes are more than the limit of ", scan.limits.max_member_bytes));
  }
  if (!is_folder) RETURN_IF_ERROR(CheckHeaderBlock(scan.descriptor, member, what));
  scan.next_header = member.offset + (member.size + kBlock - 1) / kBlock * kBlock;
  return member;
}

absl::Status CheckEndMarker(Scan& scan) {
  std::array<char, 2 * kBlock> marker;
  scan.LookAt("", scan.next_header + marker.size());
  const std::string what = absl::StrCat(scan.path, ": end marker at offset ", scan.next_header);
  if (scan.next_header > scan.file_size || scan.file_size - scan.next_header < marker.size()) {
    return DataError(absl::StrCat(what, ": the file ends at ", scan.file_size,
                                  " without the two zero blocks that close a tar: truncated; fetch it again"));
  }
  RETURN_IF_ERROR(ReadAt(scan.descriptor, scan.next_header, marker.data(), marker.size(), what));
  if (std::any_of(marker.begin(), marker.end(), [](char byte) { return byte != 0; })) {
    return DataError(absl::StrCat(what, ": neither a member nor the two zero blocks that close a tar: damaged"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TarIndex>> TarIndex::Open(const std::string& path, const TarLimits& limits) {
  auto index = std::shared_ptr<TarIndex>(new TarIndex());
  index->path_ = path;
  DataPlace place;
  place.path = path;
  if (const absl::Status status = index->ReadHeaders(limits, place); !status.ok()) return WithDataPlace(status, place);
  return std::shared_ptr<const TarIndex>(std::move(index));
}

absl::Status TarIndex::ReadHeaders(const TarLimits& limits, DataPlace& place) {
  const std::string& path = path_;
  const PlainLocale locale;
  std::unique_ptr<Descriptor> file;
  RETURN_IF_ERROR(OpenForReading(path, file, identity_));
  Scan scan{path, file->number(), static_cast<uint64_t>(identity_.st_size), limits, place};
  scan.LookAt("", 2 * kBlock);
  if (scan.file_size < 2 * kBlock) {
    return DataError(
        absl::StrCat(path, ": ", scan.file_size, " bytes are too few for a tar archive: truncated; fetch it again"));
  }
  std::unique_ptr<archive, FreeArchiveReader> reader(archive_read_new());
  if (reader == nullptr) return InternalError(absl::StrCat(path, ": no memory for libarchive"));
  // Formats are chosen explicitly: a cpio or a compressed file under this name is an error.
  archive_read_support_format_tar(reader.get());
  std::array<char, 2 * kBlock> start;
  RETURN_IF_ERROR(ReadAt(scan.descriptor, 0, start.data(), start.size(), path));
  const bool empty = std::all_of(start.begin(), start.end(), [](char byte) { return byte == 0; });
  if (!empty && archive_read_open_fd(reader.get(), scan.descriptor, 16384) != ARCHIVE_OK) {
    return DataError(
        absl::StrCat(path, ": header at offset 0: cannot read as tar: ", archive_error_string(reader.get())));
  }
  while (!empty) {
    archive_entry* entry = nullptr;
    scan.LookAt("", scan.next_header + kBlock);
    const int result = archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) break;
    if (!HeaderIsRead(result, reader.get())) {
      const char* reason = archive_error_string(reader.get());
      return DataError(absl::StrCat(path, ": header at offset ", scan.next_header, " (after member ",
                                    members_.empty() ? "none" : Quoted(members_.back().name),
                                    "): ", reason == nullptr ? "damaged" : reason, "; fetch the file again"));
    }
    bool is_folder = false;
    const uint64_t header = scan.next_header;
    ASSIGN_OR_RETURN(TarMember member, CheckEntry(reader.get(), entry, scan, is_folder));
    if (is_folder) continue;
    if (static_cast<int64_t>(members_.size()) >= limits.max_members) {
      return DataError(absl::StrCat(path, ": more than the limit of ", limits.max_members, " members"));
    }
    if (!by_name_.emplace(member.name, members_.size()).second) {
      return DataError(absl::StrCat(path, ": member ", Quoted(member.name), " at offset ", header,
                                    ": refused: this name occurs twice"));
    }
    members_.push_back(std::move(member));
  }
  return CheckEndMarker(scan);
}

const TarMember* TarIndex::Find(std::string_view name) const {
  const auto found = by_name_.find(WithoutDots(name));
  return found == by_name_.end() ? nullptr : &members_[found->second];
}

absl::StatusOr<std::string> TarIndex::Read(const TarMember& member) const {
  std::unique_ptr<Descriptor> file;
  struct stat info;
  RETURN_IF_ERROR(OpenForReading(path_, file, info));
  const std::string what = absl::StrCat(path_, ": member ", Quoted(member.name));
  if (!SameFile(info, identity_)) {
    return DataError(absl::StrCat(what, ": the file was changed or replaced while it was in use; start again"));
  }
  if (member.offset > static_cast<uint64_t>(info.st_size) ||
      member.size > static_cast<uint64_t>(info.st_size) - member.offset) {
    return InternalError(absl::StrCat(what, ": not a member of this index"));
  }
  std::string bytes(member.size, '\0');
  RETURN_IF_ERROR(ReadAt(file->number(), member.offset, bytes.data(), member.size, what));
  return bytes;
}

absl::StatusOr<std::unique_ptr<TarWriter>> TarWriter::Create(FileOps& ops, const std::string& path) {
  std::unique_ptr<TarWriter> writer(new TarWriter());
  writer->path_ = path;
  ASSIGN_OR_RETURN(writer->file_, ops.Create(path));
  writer->archive_ = archive_write_new();
  if (writer->archive_ == nullptr) return InternalError(absl::StrCat(path, ": no memory for libarchive"));
  archive_write_set_format_ustar(writer->archive_);
  archive_write_set_bytes_per_block(writer->archive_, 10240);
  archive_write_set_bytes_in_last_block(writer->archive_, 10240);
  const auto append = [](archive* handle, void* self, const void* bytes, size_t size) -> la_ssize_t {
    auto* target = static_cast<TarWriter*>(self);
    if (target->abandoned_) return static_cast<la_ssize_t>(size);
    target->write_status_ = target->file_->Append(bytes, size);
    if (target->write_status_.ok()) return static_cast<la_ssize_t>(size);
    archive_set_error(handle, EIO, "cannot write");
    return -1;
  };
  if (archive_write_open(writer->archive_, writer.get(), nullptr, append, nullptr) != ARCHIVE_OK) {
    return writer->Failure("open", "");
  }
  return writer;
}

TarWriter::~TarWriter() {
  if (archive_ == nullptr) return;
  // Freeing closes, which would write an end marker and make a half-written file look whole.
  abandoned_ = true;
  archive_write_free(archive_);
}

absl::Status TarWriter::Failure(const std::string& operation, std::string_view name) {
  if (!write_status_.ok()) return write_status_;
  const char* reason = archive_error_string(archive_);
  return DataError(absl::StrCat(path_, ": member ", Quoted(name), ": cannot ", operation, ": ",
                                reason == nullptr ? "unknown reason" : reason));
}

absl::Status TarWriter::Add(std::string_view name, std::string_view bytes) {
  if (archive_ == nullptr) return InternalError(absl::StrCat(path_, ": Add after Finish"));
  if (const std::optional<std::string> fault = NameFault(name, TarLimits().max_name_bytes)) {
    return DataError(absl::StrCat(path_, ": member ", Quoted(name), ": refused: ", *fault));
  }
  if (WithoutDots(name) != name) return DataError(absl::StrCat(path_, ": member ", Quoted(name), ": not a plain name"));
  if (!names_.insert(std::string(name)).second) {
    return DataError(absl::StrCat(path_, ": member ", Quoted(name), ": this name is there already"));
  }
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), std::string(name).c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0444);
  archive_entry_set_size(entry.get(), static_cast<int64_t>(bytes.size()));
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_uid(entry.get(), 0);
  archive_entry_set_gid(entry.get(), 0);
  archive_entry_set_uname(entry.get(), "bigdata");
  archive_entry_set_gname(entry.get(), "bigdata");
  if (archive_write_header(archive_, entry.get()) != ARCHIVE_OK) return Failure("write the header", name);
  for (size_t done = 0; done < bytes.size();) {
    const la_ssize_t count = archive_write_data(archive_, bytes.data() + done, bytes.size() - done);
    if (count <= 0) return Failure("write the data", name);
    done += static_cast<size_t>(count);
  }
  if (archive_write_finish_entry(archive_) != ARCHIVE_OK) return Failure("write the data", name);
  return absl::OkStatus();
}

absl::Status TarWriter::Finish() {
  if (archive_ == nullptr) return InternalError(absl::StrCat(path_, ": Finish called twice"));
  if (archive_write_close(archive_) != ARCHIVE_OK) return Failure("write the end marker", "");
  archive_write_free(archive_);
  archive_ = nullptr;
  RETURN_IF_ERROR(file_->Sync());
  return file_->Close();
}

}  // namespace cubist
