// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ankus::ctl {

/// Colours, where the terminal has them: off for pipes, files and NO_COLOR.
struct Style {
  bool colour = false;

  std::string good(std::string_view text) const { return painted("32", text); }
  std::string warning(std::string_view text) const { return painted("33", text); }
  std::string bad(std::string_view text) const { return painted("31", text); }
  std::string faint(std::string_view text) const { return painted("2", text); }
  std::string strong(std::string_view text) const { return painted("1", text); }

 private:
  std::string painted(std::string_view code, std::string_view text) const;
};

enum class Align { left, right };
struct Column {
  std::string title;
  Align align = Align::left;
};

/// Columns as wide as their widest cell, two blanks between, no blanks at a line's end; no line of
/// titles if no column has one.
struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;
};
std::string to_text(const Table& table, Style style, std::string_view indent = "");
/// Without the columns in which each cell is "" or "-".
Table without_empty_columns(Table table);

/// How many columns of a terminal `text` takes: code points, without colours.
std::size_t width_of(std::string_view text);

}  // namespace ankus::ctl
