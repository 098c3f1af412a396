// SPDX-License-Identifier: Apache-2.0
#include "ctl/table.h"

#include <algorithm>
#include <cassert>

namespace ankus::ctl {

std::string Style::painted(std::string_view code, std::string_view text) const {
  if (!colour || text.empty()) return std::string(text);
  return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      i = std::min(text.find('m', i), text.size() - 1);
      continue;
    }
    width += (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;  // not a continuation byte
  }
  return width;
}

Table without_empty_columns(Table table) {
  const auto says_nothing = [](const std::string& cell) { return cell.empty() || cell == "-"; };
  for (std::size_t i = table.columns.size(); i-- > 0;) {
    if (!std::ranges::all_of(table.rows, [&](const auto& row) { return says_nothing(row[i]); }))
      continue;
    const auto at = static_cast<std::ptrdiff_t>(i);
    table.columns.erase(table.columns.begin() + at);
    for (auto& row : table.rows) row.erase(row.begin() + at);
  }
  return table;
}

std::string to_text(const Table& table, Style style, std::string_view indent) {
  std::vector<std::size_t> widths;
  for (const Column& column : table.columns) widths.push_back(width_of(column.title));
  for (const auto& row : table.rows) {
    assert(row.size() == widths.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }

  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string padding(widths[i] - width_of(cells[i]), ' ');
      if (i > 0) line += "  ";
      line += table.columns[i].align == Align::right ? padding + cells[i] : cells[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += std::string(indent) + line + "\n";
  };
  std::vector<std::string> titles;
  for (const Column& column : table.columns) titles.push_back(style.faint(column.title));
  if (std::ranges::any_of(titles, [](const std::string& title) { return !title.empty(); }))
    add_line(titles);
  for (const auto& row : table.rows) add_line(row);
  return text;
}

}  // namespace ankus::ctl
