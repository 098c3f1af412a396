// SPDX-License-Identifier: Apache-2.0
#include "ctl/table.h"

#include <gtest/gtest.h>

namespace ankus::ctl {
namespace {

TEST(Table, AlignsAndLeavesNoBlanksAtTheEnd) {
  const Table table{.columns = {{"NAME"}, {"RATE", Align::right}, {"NOTE"}},
                    .rows = {{"a", "1 kbit/s", ""}, {"longer", "2", "x"}}};
  EXPECT_EQ(to_text(table, Style{}, "  "),
            "  NAME        RATE  NOTE\n"
            "  a       1 kbit/s\n"
            "  longer         2  x\n");
}

TEST(Table, CountsCodePointsAndNotColours) {
  EXPECT_EQ(width_of("h\xc3\xa9"), 2u);
  EXPECT_EQ(width_of("\033[31mab\033[0m"), 2u);
  EXPECT_EQ(width_of("\033["), 0u);
  const Style style{.colour = true};
  const Table table{.columns = {{"A"}, {"B"}},
                    .rows = {{style.bad("no"), "x"}, {"h\xc3\xa9!", "y"}}};
  EXPECT_EQ(to_text(table, style),
            "\033[2mA\033[0m    \033[2mB\033[0m\n"
            "\033[31mno\033[0m   x\n"
            "h\xc3\xa9!  y\n");
}

TEST(Style, WithoutColourAddsNothing) {
  EXPECT_EQ(Style{}.bad("x"), "x");
  EXPECT_EQ(Style{.colour = true}.bad("x"), "\033[31mx\033[0m");
  EXPECT_EQ(Style{.colour = true}.bad(""), "");
}

TEST(Table, HasNoLineOfTitlesWithoutTitles) {
  EXPECT_EQ(to_text({.columns = {{""}, {""}}, .rows = {{"a", "b"}}}, {}), "a  b\n");
}

TEST(Table, CanDoWithoutItsEmptyColumns) {
  const Table table{.columns = {{"A"}, {"B"}, {"C"}}, .rows = {{"-", "1", ""}, {"", "-", "-"}}};
  EXPECT_EQ(to_text(without_empty_columns(table), {}), "B\n1\n-\n");
}

}  // namespace
}  // namespace ankus::ctl
