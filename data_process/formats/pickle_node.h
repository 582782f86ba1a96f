// The values behind PickleValue: nodes in an arena, which point at each other freely (cycles
// included) and are freed together. Private to pickle.cc and pickle_interpreter.cc.
#ifndef CUBIST_DATA_PROCESS_FORMATS_PICKLE_NODE_H_
#define CUBIST_DATA_PROCESS_FORMATS_PICKLE_NODE_H_

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data_process/formats/pickle.h"

namespace cubist::pickle_internal {

struct Node {
  // What only some nodes have.
  struct Extra {
    std::vector<std::pair<Node*, Node*>> pairs;
    Node* args = nullptr;
    Node* state = nullptr;
    PickleTensor tensor;
    // A dict node whose class is given; elsewhere the class name is `text`.
    std::string class_name;
  };

  PickleKind kind = PickleKind::kNone;
  union {
    bool boolean;
    int64_t integer = 0;
    double real;
  };
  std::string text;          // string, bytes, class name
  std::vector<Node*> items;  // list, tuple, set, object
  std::unique_ptr<Extra> extra;

  Extra& More() {
    if (extra == nullptr) extra = std::make_unique<Extra>();
    return *extra;
  }
};

struct Arena {
  std::deque<Node> nodes;
};

}  // namespace cubist::pickle_internal

#endif  // CUBIST_DATA_PROCESS_FORMATS_PICKLE_NODE_H_
