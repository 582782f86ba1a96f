// The shapes and dtypes that an attribute has in its clips: which agree, and which do not.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_PAYLOAD_KINDS_H_
#define CUBIST_DATA_PROCESS_INSPECTION_PAYLOAD_KINDS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "data_process/scenes/payload.h"

namespace cubist {

class PayloadKinds {
 public:
  // Adds what a clip has. Payloads are of one kind if their files' kind, the arrays' names, dtypes and ranks and all
  // extents agree; of arrays that are no pictures the first extent may differ. Names of an npz that end in "_xyz" and
  // the like count as one array "*_xyz", since what stands before is an object's id.
  void Add(const std::string& clip, const Payload& payload);

  struct Kind {
    std::string description;         // "float64[4,4]", "points float32[12..340,3], semantics uint8[12..340]"
    std::vector<std::string> clips;  // in the order they were added
  };
  // The most frequent first, equally frequent ones in the order they came.
  std::vector<Kind> kinds() const;

 private:
  struct Array {
    std::string name;
    DType dtype = DType::kFloat32;
    std::vector<std::pair<int64_t, int64_t>> extents;  // least and most
  };
  struct Entry {
    std::string key;
    std::string file_kind;
    std::vector<Array> arrays;
    std::vector<std::string> clips;
  };
  static std::string Describe(const Entry& entry);

  std::vector<Entry> entries_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_PAYLOAD_KINDS_H_
