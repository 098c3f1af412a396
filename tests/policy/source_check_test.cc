// SPDX-License-Identifier: Apache-2.0
#include "policy/source_check.h"

#include <gtest/gtest.h>

namespace ankus {
namespace {

std::string dots(std::size_t count) { return std::string(count, '.'); }

TEST(SourceCheck, LetsOrdinaryTomlPass) {
  EXPECT_EQ(check_source(""), std::nullopt);
  EXPECT_EQ(check_source("a.b = [1, {c = 'x'}] # caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\r\n"),
            std::nullopt);
}

TEST(SourceCheck, SaysWhereTheFaultIs) {
  EXPECT_EQ(check_source(std::string_view("a = 1\nb\0", 8)),
            (SourceFault{.line = 2, .column = 2, .text = "a NUL byte; a policy is text"}));
  EXPECT_EQ(check_source("a = 1\n\"\xc3\xa9\xff\""),
            (SourceFault{.line = 2, .column = 3, .text = "not valid UTF-8"}));
}

TEST(SourceCheck, RefusesEachKindOfBadUtf8) {
  for (const char* bad : {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xe2\x82",
                          "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
    EXPECT_TRUE(check_source(bad)) << bad;
}

TEST(SourceCheck, CountsDotsPerLine) {
  EXPECT_FALSE(check_source(dots(64) + "\n" + dots(64)));
  EXPECT_TRUE(check_source(dots(65)));
}

TEST(SourceCheck, DotsInStringsAndCommentsAreText) {
  EXPECT_FALSE(check_source("a = \"" + dots(100) + "\""));
  EXPECT_FALSE(check_source("a = '" + dots(100) + "'"));
  EXPECT_FALSE(check_source("a = \"\"\"" + dots(100) + "\"\"\""));
  EXPECT_FALSE(check_source("a = '''" + dots(100) + "'''"));
  EXPECT_FALSE(check_source("# " + dots(100)));
  EXPECT_FALSE(check_source("a = \"\\\"" + dots(100) + "\""));
}

TEST(SourceCheck, SeesWhereStringsEnd) {
  EXPECT_TRUE(check_source("\"\"" + dots(65)));
  EXPECT_TRUE(check_source("\"x\\\\\"" + dots(65)));  // an escaped backslash, then the end
  EXPECT_TRUE(check_source("''" + dots(65)));
  EXPECT_TRUE(check_source("'\\'" + dots(65)));  // literal strings have no escapes
  EXPECT_TRUE(check_source("\"\"\"a\"\"\"" + dots(65)));
  EXPECT_TRUE(check_source("\"\"\"a\"\"\"\"\"" + dots(65)));  // two quotes before the closing three
  EXPECT_TRUE(check_source("\"\"\"\"\"\"" + dots(65)));       // empty
  EXPECT_TRUE(check_source("'''a'''" + dots(65)));
  EXPECT_TRUE(check_source("# comment \"\n" + dots(65)));
  EXPECT_TRUE(check_source("\"open\n" + dots(65)));       // a one-line string ends with its line
  EXPECT_FALSE(check_source("\"\"\"open\n" + dots(65)));  // a long one does not
}

TEST(SourceCheck, CountsNesting) {
  EXPECT_FALSE(check_source(std::string(32, '[')));
  EXPECT_TRUE(check_source(std::string(33, '[')));
  EXPECT_TRUE(check_source(std::string(20, '[') + std::string(13, '{')));
  std::string shallow;
  for (int i = 0; i < 1'000; ++i) shallow += "[]";
  EXPECT_FALSE(check_source(shallow));
  EXPECT_FALSE(check_source("\"" + std::string(100, '[') + "\""));
  EXPECT_TRUE(check_source("]]]]" + std::string(33, '[')));
}

TEST(SourceCheck, BoundsTheSize) {
  EXPECT_FALSE(check_source(std::string(kSourceLimit, '\n')));
  EXPECT_TRUE(check_source(std::string(kSourceLimit + 1, '\n')));
}

}  // namespace
}  // namespace ankus
