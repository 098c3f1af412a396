// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace ankus {

/// A literal directory tree that goes away with it: a fake /proc, cgroup hierarchy or /run.
class TempTree {
 public:
  TempTree() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ankus-tree-XXXXXX").string();
    root = ::mkdtemp(pattern.data()) ? pattern : "";
    EXPECT_FALSE(root.empty());
  }
  ~TempTree() {
    std::error_code ignored;  // a leftover below /tmp fails no test
    std::filesystem::remove_all(root, ignored);
  }
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;

  void file(const std::string& path, std::string_view text) const {
    directory(std::filesystem::path(path).parent_path().string());
    std::ofstream(root + "/" + path, std::ios::binary) << text;
  }
  void directory(const std::string& path) const {
    std::filesystem::create_directories(root + "/" + path);
  }
  void link(const std::string& path, const std::string& target) const {
    directory(std::filesystem::path(path).parent_path().string());
    std::filesystem::create_symlink(target, root + "/" + path);
  }
  void remove(const std::string& path) const { std::filesystem::remove_all(root + "/" + path); }

  std::string root;
};

}  // namespace ankus
