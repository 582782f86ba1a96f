#include "base/program_version.h"

#include <elf.h>
#include <link.h>

#include <cstring>

namespace cubist {
namespace {

constexpr char kRelease[] = "cubist 0.1";
constexpr size_t kShownBytes = 8;

constexpr size_t Padded(size_t size) { return (size + 3) / 4 * 4; }

// The build id among the notes in [notes, notes + size), in hexadecimal; empty if there is none.
std::string BuildIdIn(const char* notes, size_t size) {
  size_t at = 0;
  while (at + sizeof(ElfW(Nhdr)) <= size) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes + at, sizeof(header));
    const char* name = notes + at + sizeof(header);
    const size_t bytes_at = at + sizeof(header) + Padded(header.n_namesz);
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
      std::string digits;
      for (size_t i = 0; i < header.n_descsz && i < kShownBytes; ++i) {
        const auto byte = static_cast<unsigned char>(notes[bytes_at + i]);
        digits += "0123456789abcdef"[byte >> 4];
        digits += "0123456789abcdef"[byte & 15];
      }
      return digits;
    }
    at = bytes_at + Padded(header.n_descsz);
  }
  return std::string();
}

// The first object that is visited is the program itself.
int VisitProgram(dl_phdr_info* info, size_t, void* build_id) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    auto& result = *static_cast<std::string*>(build_id);
    if (segment.p_type == PT_NOTE && result.empty()) {
      result = BuildIdIn(reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr), segment.p_memsz);
    }
  }
  return 1;
}

}  // namespace

std::string ProgramVersion() {
  std::string build_id;
  dl_iterate_phdr(VisitProgram, &build_id);
  return std::string(kRelease) + " (build " + (build_id.empty() ? "unknown" : build_id) + ")";
}

}  // namespace cubist
