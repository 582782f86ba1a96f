// Names in a line of a message.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_NAME_LIST_H_
#define CUBIST_DATA_PROCESS_INSPECTION_NAME_LIST_H_

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cubist {

// "a, b, c", of more than `most` names "a, b, c, d, e and 3 more".
inline std::string ListNames(const std::vector<std::string>& names, size_t most = 5) {
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), most));
  return absl::StrCat(absl::StrJoin(names.begin(), end, ", "),
                      names.size() > most ? absl::StrCat(" and ", names.size() - most, " more") : "");
}

// "1 clip", "2 clips".
inline std::string CountClips(size_t count) { return absl::StrCat(count, count == 1 ? " clip" : " clips"); }

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_NAME_LIST_H_
