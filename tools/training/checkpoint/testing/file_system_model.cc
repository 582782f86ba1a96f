#include "tools/training/checkpoint/testing/file_system_model.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace cubist {
namespace {

namespace fs = std::filesystem;
using Kind = FileOperation::Kind;

void Require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "FileSystemModel: %s\n", what.c_str());
  std::abort();
}

std::string AfterLoss(const std::string& current, const std::string& durable, LossRule::Data rule) {
  if (rule == LossRule::Data::kKept || current == durable) return current;
  if (rule == LossRule::Data::kLost) return durable;
  size_t same = 0;
  while (same < current.size() && same < durable.size() && current[same] == durable[same]) ++same;
  return current.substr(0, same + (current.size() - same) / 2);
}

}  // namespace

std::vector<LossRule> AllLossRules() {
  std::vector<LossRule> rules;
  for (int names = 0; names < 4; ++names) {
    for (int data = 0; data < 3; ++data) {
      rules.push_back({static_cast<LossRule::Names>(names), static_cast<LossRule::Data>(data)});
    }
  }
  return rules;
}

std::string Describe(const LossRule& rule) {
  static constexpr const char* kNames[] = {"names kept", "names lost", "names lost in the root",
                                           "names lost below the root"};
  static constexpr const char* kData[] = {"data kept", "data lost", "data torn"};
  return std::string(kNames[static_cast<int>(rule.names)]) + ", " + kData[static_cast<int>(rule.data)];
}

FileSystemModel::FileSystemModel(const std::string& root) : root_path_(root), root_(Read(root)) {}

std::shared_ptr<FileSystemModel::Node> FileSystemModel::Read(const std::string& path) {
  auto node = std::make_shared<Node>();
  node->is_folder = fs::is_directory(path);
  if (node->is_folder) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      node->entries[entry.path().filename().string()] = Read(entry.path().string());
    }
    node->durable_entries = node->entries;
  } else {
    std::ifstream stream(path, std::ios::binary);
    Require(stream.good(), "cannot read " + path);
    node->bytes.assign(std::istreambuf_iterator<char>(stream), {});
    node->durable_bytes = node->bytes;
  }
  return node;
}

bool FileSystemModel::IsInside(const std::string& path) const {
  return path == root_path_ || path.compare(0, root_path_.size() + 1, root_path_ + "/") == 0;
}

std::shared_ptr<FileSystemModel::Node> FileSystemModel::Find(const std::string& path) const {
  std::shared_ptr<Node> node = root_;
  size_t begin = root_path_.size();
  while (begin < path.size()) {
    const size_t end = std::min(path.find('/', begin + 1), path.size());
    const auto found = node->entries.find(path.substr(begin + 1, end - begin - 1));
    if (found == node->entries.end()) return nullptr;
    node = found->second;
    begin = end;
  }
  return node;
}

FileSystemModel::Node& FileSystemModel::FolderOf(const std::string& path, std::string& name) const {
  const size_t slash = path.find_last_of('/');
  name = path.substr(slash + 1);
  const std::shared_ptr<Node> folder = Find(path.substr(0, slash));
  Require(folder != nullptr && folder->is_folder, "no folder for " + path);
  return *folder;
}

void FileSystemModel::Apply(const FileOperation& operation) {
  const std::string& path = operation.path;
  if (!IsInside(path)) return;
  std::string name;
  switch (operation.kind) {
    case Kind::kCreate:
    case Kind::kOpenForAppend: {
      Node& folder = FolderOf(path, name);
      std::shared_ptr<Node>& node = folder.entries[name];
      if (node == nullptr) node = std::make_shared<Node>();
      if (operation.kind == Kind::kCreate) node->bytes.clear();
      opened_[operation.file] = node;
      return;
    }
    case Kind::kAppend:
      opened_.at(operation.file)->bytes += operation.bytes;
      return;
    case Kind::kSync: {
      Node& node = *opened_.at(operation.file);
      node.durable_bytes = node.bytes;
      return;
    }
    case Kind::kClose:
      opened_.erase(operation.file);
      return;
    case Kind::kMakeExecutable:
      return;
    case Kind::kMakeDirectory: {
      std::shared_ptr<Node>& node = FolderOf(path, name).entries[name];
      if (node == nullptr) node = std::make_shared<Node>();
      node->is_folder = true;
      return;
    }
    case Kind::kLink:
    case Kind::kRename: {
      Require(IsInside(operation.to), "rename out of the root: " + operation.to);
      const std::shared_ptr<Node> node = Find(path);
      Require(node != nullptr, "rename of nothing: " + path);
      if (operation.kind == Kind::kRename) FolderOf(path, name).entries.erase(name);
      FolderOf(operation.to, name).entries[name] = node;
      return;
    }
    case Kind::kRemoveFile:
    case Kind::kRemoveDirectory:
      Require(FolderOf(path, name).entries.erase(name) == 1, "removal of nothing: " + path);
      return;
    case Kind::kTruncate: {
      const std::shared_ptr<Node> node = Find(path);
      Require(node != nullptr, "truncation of nothing: " + path);
      node->bytes.resize(operation.size);
      return;
    }
    case Kind::kSyncDirectory: {
      const std::shared_ptr<Node> node = Find(path);
      Require(node != nullptr && node->is_folder, "sync of no folder: " + path);
      node->durable_entries = node->entries;
      return;
    }
  }
}

FileSystemModel::Tree FileSystemModel::After(const LossRule& rule) const {
  Tree tree;
  Collect(*root_, "", rule, tree);
  return tree;
}

void FileSystemModel::Collect(const Node& node, const std::string& path, const LossRule& rule, Tree& tree) {
  const bool is_root = path.empty();
  const bool lost = rule.names == LossRule::Names::kLost ||
                    rule.names == (is_root ? LossRule::Names::kLostInRoot : LossRule::Names::kLostBelowRoot);
  for (const auto& [name, entry] : lost ? node.durable_entries : node.entries) {
    if (entry->is_folder) {
      tree[path + name + "/"] = "";
      Collect(*entry, path + name + "/", rule, tree);
    } else {
      tree[path + name] = AfterLoss(entry->bytes, entry->durable_bytes, rule.data);
    }
  }
}

void FileSystemModel::WriteTo(const std::string& target, const Tree& tree) {
  fs::remove_all(target);
  fs::create_directory(target);
  // Sorted: a folder comes before what it holds.
  for (const auto& [name, bytes] : tree) {
    const std::string path = target + "/" + name;
    if (name.back() == '/') {
      fs::create_directory(path.substr(0, path.size() - 1));
      continue;
    }
    std::ofstream stream(path, std::ios::binary);
    stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    stream.close();
    Require(stream.good(), "cannot write " + path);
  }
}

}  // namespace cubist
