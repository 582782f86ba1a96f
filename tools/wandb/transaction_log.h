// What wandb-core stores of a run: a .wandb file, a list of records (messages wandb_internal.Record).
//
// After 7 bytes ":W&B" E1 BE 00 it has LevelDB's log format, in blocks of 32768 bytes counted from the file's start:
// CRC-32 of what follows the length (32 bits), length (16 bits), both little-endian, type (1: a whole record; 2, 3, 4:
// its first, a middle and its last part), bytes. A rest of a block with under 7 bytes is not used.
#ifndef CUBIST_TOOLS_WANDB_TRANSACTION_LOG_H_
#define CUBIST_TOOLS_WANDB_TRANSACTION_LOG_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

struct TransactionLogSummary {
  int64_t records = 0;
  // Bytes that belong to no record that was given, because they or others of their record are damaged or missing.
  int64_t damaged_bytes = 0;
  // The file ends within a record, as that of a run does which is going on or was killed. Not counted as damage.
  bool cut = false;
};

// Gives each whole record's bytes in order; what is damaged is passed over, up to the next block at most. Errors:
// DataError if the file cannot be read or is no .wandb file, and what `take` returns.
absl::StatusOr<TransactionLogSummary> ReadTransactionLog(
    const std::string& path, const std::function<absl::Status(std::string_view record)>& take);

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_TRANSACTION_LOG_H_
