// A file system in memory that knows what would survive a loss of power: replays a log of operations
// up to any point and writes out what a machine could find after starting again.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_FILE_SYSTEM_MODEL_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_FILE_SYSTEM_MODEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tools/training/checkpoint/testing/fault_file_ops.h"

namespace cubist {

// What happens to that which no sync made durable.
struct LossRule {
  // Creations, renames and removals in a folder since its last sync. kLostInRoot and kLostBelowRoot:
  // only in the model's root, only in the folders below it. A folder's names are lost all or none.
  enum class Names { kKept, kLost, kLostInRoot, kLostBelowRoot };
  // Contents of a file since its last sync: kTorn keeps the first half of what was changed.
  enum class Data { kKept, kLost, kTorn };
  Names names;
  Data data;
};

// Every combination; the first loses nothing, as when only the process dies.
std::vector<LossRule> AllLossRules();
std::string Describe(const LossRule& rule);

class FileSystemModel {
 public:
  // The tree under the folder `root` as it is on disk now, all of it durable. Operations outside of
  // `root` are ignored.
  explicit FileSystemModel(const std::string& root);
  FileSystemModel(const FileSystemModel&) = delete;
  FileSystemModel& operator=(const FileSystemModel&) = delete;

  // An operation that succeeded. Aborts on one that cannot have: a bug of the test.
  void Apply(const FileOperation& operation);

  // What `rule` leaves: contents by path below the root; a folder's path ends in '/' and has none. A
  // file whose name survives without any of its data is empty.
  using Tree = std::map<std::string, std::string>;
  Tree After(const LossRule& rule) const;
  // Replaces the folder `target` by such a tree.
  static void WriteTo(const std::string& target, const Tree& tree);

 private:
  // A file or a folder, whatever its name is at the moment.
  struct Node {
    bool is_folder = false;
    std::string bytes, durable_bytes;
    std::map<std::string, std::shared_ptr<Node>> entries, durable_entries;
  };
  static std::shared_ptr<Node> Read(const std::string& path);
  static void Collect(const Node& node, const std::string& path, const LossRule& rule, Tree& tree);
  bool IsInside(const std::string& path) const;
  std::shared_ptr<Node> Find(const std::string& path) const;
  // The folder that holds `path`, and the last component in `name`.
  Node& FolderOf(const std::string& path, std::string& name) const;

  const std::string root_path_;
  std::shared_ptr<Node> root_;
  std::map<int64_t, std::shared_ptr<Node>> opened_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_FILE_SYSTEM_MODEL_H_
