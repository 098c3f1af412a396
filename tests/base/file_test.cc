// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/version.h"

namespace ankus {
namespace {

using ::testing::HasSubstr;

class PolicyFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/ankus-file-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
    path = directory + "/policy.toml";
    write("[fast]\n");
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  void write(const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
    ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  }
  std::string refusal(const std::string& of, uid_t reader = ::geteuid()) {
    const auto text = read_policy_file(of, reader);
    return text ? "accepted" : text.error().text;
  }

  std::string directory, path;
};

TEST_F(PolicyFile, IsRead) {
  const auto text = read_policy_file(path);
  ASSERT_TRUE(text) << text.error().text;
  EXPECT_EQ(*text, "[fast]\n");
}

TEST_F(PolicyFile, MayHave64KBAndNotAByteMore) {
  write(std::string(kPolicyFileLimit, '#'));
  EXPECT_EQ(refusal(path), "accepted");
  write(std::string(kPolicyFileLimit + 1, '#'));
  EXPECT_THAT(refusal(path), HasSubstr("is larger than 64 KB (65536 bytes)"));
}

TEST_F(PolicyFile, IsNotReachedThroughASymbolicLink) {
  const std::string link = directory + "/link.toml";
  ASSERT_EQ(::symlink(path.c_str(), link.c_str()), 0);
  EXPECT_THAT(refusal(link), HasSubstr("is a symbolic link"));
}

TEST_F(PolicyFile, IsARegularFile) {
  EXPECT_THAT(refusal(directory), HasSubstr("is a directory: a regular file is needed"));
  const std::string pipe = directory + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(refusal(pipe), HasSubstr("is a named pipe"));
  EXPECT_THAT(refusal("/dev/zero"), HasSubstr("is a device"));
}

TEST_F(PolicyFile, IsNotWritableByOthers) {
  ASSERT_EQ(::chmod(path.c_str(), 0664), 0);
  EXPECT_THAT(refusal(path), HasSubstr("can be written by others than its owner (mode 0664)"));
  ASSERT_EQ(::chmod(path.c_str(), 0602), 0);
  EXPECT_THAT(refusal(path), HasSubstr("(mode 0602): chmod go-w it"));
}

TEST_F(PolicyFile, BelongsToRootOrItsReader) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  EXPECT_THAT(refusal(path, 0), HasSubstr("is owned by uid 65534, not by root: chown root it"));
  EXPECT_THAT(refusal(path, 1000), HasSubstr("not by root or you"));
  EXPECT_EQ(refusal(path, 65534), "accepted");
}

TEST_F(PolicyFile, ThatIsMissingIsNamed) {
  const auto text = read_policy_file(directory + "/none.toml");
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::gone);
  EXPECT_THAT(text.error().text, HasSubstr("none.toml\": No such file or directory"));
}

TEST(Version, IsTheBuilds) {
  std::ifstream file(std::string(ANKUS_SOURCE_DIR) + "/CMakeLists.txt");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("project(ankus VERSION " + std::string(kVersion) + " "));
}

TEST_F(PolicyFile, ARealPathHasNoLinksAndNoSlashAtItsEnd) {
  const std::string link = directory + "/link";
  ASSERT_EQ(::symlink(directory.c_str(), link.c_str()), 0);
  EXPECT_EQ(real_path(link), directory);
  EXPECT_EQ(real_path(link + "/"), directory);
  EXPECT_EQ(real_path(link + "/nobody/made/this"), directory + "/nobody/made/this");
  EXPECT_EQ(real_path("."), std::filesystem::current_path());
}

}  // namespace
}  // namespace ankus
