#include "tools/wandb/transaction_log.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "libdeflate.h"

namespace cubist {
namespace {

constexpr size_t kBlock = 32768;
constexpr size_t kHeader = 7;
constexpr std::string_view kMagic(":W&B\xe1\xbe\0", 7);

enum PartType : uint8_t { kWhole = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

uint32_t LittleEndian(std::string_view bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value |= uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  return value;
}

class Parser {
 public:
  explicit Parser(const std::function<absl::Status(std::string_view)>& take) : take_(take) {}

  // Blocks in order; `at`: where the parts begin in it.
  absl::Status Block(std::string_view block, size_t at) {
    const bool is_last = block.size() < kBlock;
    while (block.size() - at >= kHeader) {
      const size_t length = LittleEndian(block, at + 4, 2);
      const size_t end = at + kHeader + length;
      if (end > block.size()) {
        if (is_last) {  // the rest was not written yet
          summary_.cut = true;
          return absl::OkStatus();
        }
        Damaged(block.size() - at);
        return absl::OkStatus();
      }
      const std::string_view checked = block.substr(at + 6, length + 1);
      if (libdeflate_crc32(0, checked.data(), checked.size()) != LittleEndian(block, at, 4)) {
        Damaged(block.size() - at);  // its length may be what is wrong
        return absl::OkStatus();
      }
      RETURN_IF_ERROR(Part(static_cast<uint8_t>(block[at + 6]), block.substr(at + kHeader, length)));
      at = end;
    }
    if (is_last && at < block.size()) summary_.cut = true;
    return absl::OkStatus();
  }

  TransactionLogSummary Summary() {
    if (open_) summary_.cut = true;
    return summary_;
  }

 private:
  void Damaged(size_t bytes) {
    summary_.damaged_bytes += static_cast<int64_t>(bytes);
    DropOpen();
  }

  void DropOpen() {
    if (open_) summary_.damaged_bytes += static_cast<int64_t>(record_.size());
    open_ = false;
    record_.clear();
  }

  absl::Status Part(uint8_t type, std::string_view bytes) {
    const bool goes_on = type == kMiddle || type == kLast;
    if (type < kWhole || type > kLast || goes_on != open_) DropOpen();
    if (type < kWhole || type > kLast || (goes_on && !open_)) {  // its beginning is missing
      summary_.damaged_bytes += static_cast<int64_t>(bytes.size());
      return absl::OkStatus();
    }
    record_.append(bytes);
    open_ = type == kFirst || type == kMiddle;
    if (open_) return absl::OkStatus();
    ++summary_.records;
    const absl::Status status = take_(record_);
    record_.clear();
    return status;
  }

  const std::function<absl::Status(std::string_view)>& take_;
  TransactionLogSummary summary_;
  std::string record_;
  bool open_ = false;
};

}  // namespace

absl::StatusOr<TransactionLogSummary> ReadTransactionLog(
    const std::string& path, const std::function<absl::Status(std::string_view record)>& take) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return DataError(absl::StrCat(path, ": cannot open it"));
  Parser parser(take);
  std::string block(kBlock, '\0');
  for (bool first = true;; first = false) {
    file.read(block.data(), static_cast<std::streamsize>(kBlock));
    const std::string_view bytes(block.data(), static_cast<size_t>(file.gcount()));
    if (file.bad()) return DataError(absl::StrCat(path, ": cannot read it"));
    if (first && bytes.substr(0, kMagic.size()) != kMagic) {
      return DataError(absl::StrCat(path, ": no run of Weights & Biases: it does not begin as a .wandb file does"));
    }
    RETURN_IF_ERROR(parser.Block(bytes, first ? kMagic.size() : 0));
    if (bytes.size() < kBlock) return parser.Summary();
  }
}

}  // namespace cubist
