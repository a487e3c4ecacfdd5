#include "services/cli/top/frame.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "common/terminal/printable.hpp"

namespace troupe::cli::top {
namespace {

constexpr std::size_t kLeastWidth = 10;
constexpr std::size_t kLongestName = 32;
constexpr std::size_t kBar = 12;

enum class Style : std::uint8_t { plain, bold, warn, bad };

struct Line {
  std::string text;
  Style style = Style::plain;
};

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

bool continues(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

/// Characters, each taken for one column.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return !continues(c); }));
}

/// The first `columns` characters; what is cut off leaves a "~".
std::string cut(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  std::size_t bytes = 0;
  for (std::size_t seen = 0; bytes < text.size(); ++bytes)
    if (!continues(text[bytes]) && ++seen == columns) break;
  return std::string(text.substr(0, bytes)) + "~";
}

/// Text of others on one line.
std::string plain(std::string_view text) {
  std::string out = printable(text);
  std::ranges::replace_if(
      out, [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return out;
}

/// "7", "12.5k", "3.4M".
std::string count_text(double value) {
  if (value >= 999'950) return format("%.1fM", value / 1e6);
  if (value >= 9'999.5) return format("%.1fk", value / 1e3);
  return format("%.0f", value);
}

std::string rate_text(const std::optional<double>& rate) {
  if (!rate) return "-";
  return *rate < 99.95 ? format("%.1f", *rate) : count_text(*rate);
}

std::string time_text(double ms) {
  return ms < 9'999.5 ? format("%.0f ms", ms) : format("%.1f s", ms / 1000);
}

std::string state_text(const Node& node) {
  if (node.hung) return "hung";
  if (node.draining) return "draining";
  return node.busy ? "busy" : "ready";
}

/// "####++......": in use, cached, free.
std::string page_bar(const Node& node) {
  if (node.pages_total == 0) return {};
  const auto part = [&](std::uint64_t pages) {
    return static_cast<std::size_t>((pages * kBar + node.pages_total / 2) / node.pages_total);
  };
  const std::size_t used = std::min(kBar, part(node.pages_used()));
  const std::size_t held = std::min(kBar, part(node.pages_used() + node.pages_cached));
  return std::string(used, '#') + std::string(std::max(held, used) - used, '+') +
         std::string(kBar - std::max(held, used), '.');
}

std::string used_text(const Node& node) {
  if (node.pages_total == 0) return "-";
  return format("%.0f %%",
                100 * static_cast<double>(node.pages_used()) / static_cast<double>(node.pages_total));
}

std::string of_worker(const Node& node, std::uint64_t value) {
  return node.computes ? count_text(static_cast<double>(value)) : "-";
}

struct Column {
  const char* title;
  int rank;  ///< the highest goes first when the terminal is narrow; 0 stays
  bool right;
  std::string (*cell)(const Node&);
};

constexpr std::array<Column, 11> kColumns{{
    {"NAME", 0, false, [](const Node& n) { return cut(plain(n.name), kLongestName); }},
    {"ROLE", 4, false, [](const Node& n) { return plain(n.role); }},
    {"STATE", 0, false, state_text},
    {"RUN", 1, true, [](const Node& n) { return of_worker(n, n.running); }},
    {"WAIT", 2, true, [](const Node& n) { return of_worker(n, n.waiting); }},
    {"PAGES", 6, false, page_bar},
    {"USED", 3, true, used_text},
    {"OUT/s", 3, true, [](const Node& n) { return rate_text(n.answer_rate); }},
    {"IN/s", 5, true, [](const Node& n) { return rate_text(n.prompt_rate); }},
    {"QUEUED", 7, true, [](const Node& n) { return of_worker(n, n.queued_prompt_tokens); }},
    {"HEARD", 8, true, [](const Node& n) { return time_text(static_cast<double>(n.silent_ms)); }},
}};

/// Every column's cells, the title first.
struct Cells {
  const Column* column;
  std::vector<std::string> texts;
  std::size_t width = 0;
};

std::vector<Cells> fitting(const std::vector<Node>& nodes, std::size_t width) {
  std::vector<Cells> all;
  for (const Column& column : kColumns) {
    Cells cells{&column, {column.title}, 0};
    for (const Node& node : nodes) cells.texts.push_back(column.cell(node));
    for (const std::string& text : cells.texts) cells.width = std::max(cells.width, columns_of(text));
    all.push_back(std::move(cells));
  }
  for (;;) {
    std::size_t total = 2 * (all.size() - 1);
    for (const Cells& cells : all) total += cells.width;
    const auto least =
        std::ranges::max_element(all, {}, [](const Cells& cells) { return cells.column->rank; });
    if (total <= width || least->column->rank == 0) return all;
    all.erase(least);
  }
}

Style style_of(const Node& node) {
  if (node.hung) return Style::bad;
  return node.draining ? Style::warn : Style::plain;
}

std::vector<Line> table(const std::vector<Node>& nodes, std::size_t width) {
  const std::vector<Cells> columns = fitting(nodes, width);
  std::vector<Line> lines;
  for (std::size_t row = 0; row <= nodes.size(); ++row) {
    std::string text;
    for (const Cells& cells : columns) {
      const std::string& cell = cells.texts[row];
      const std::string space(cells.width - columns_of(cell), ' ');
      if (!text.empty()) text += "  ";
      text += cells.column->right ? space + cell : cell + space;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    lines.push_back({std::move(text), row == 0 ? Style::bold : style_of(nodes[row - 1])});
  }
  return lines;
}

/// Parts side by side, as many as a line holds.
void flow(const std::vector<std::string>& parts, std::size_t width, std::vector<Line>& lines) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty() && columns_of(text) + 3 + columns_of(part) > width)
      lines.push_back({std::exchange(text, {}), {}});
    if (!text.empty()) text += "   ";
    text += part;
  }
  lines.push_back({std::move(text), {}});
}

std::string workers_text(const ClusterState& state) {
  const auto workers = std::ranges::count_if(state.nodes, &Node::computes);
  return std::to_string(workers) + (workers == 1 ? " worker" : " workers");
}

std::vector<Line> head(const ClusterState& state, std::size_t width) {
  std::vector<Line> lines;
  flow({"gateway " + plain(state.gateway) + (state.draining ? " (draining)" : ""),
        state.joined ? "router " + plain(state.router) : "no router answers", workers_text(state)},
       width, lines);
  std::string requests = "requests " + rate_text(state.request_rate) + "/s";
  if (state.failures > 0) requests += ", " + std::to_string(state.failures) + " failed";
  double answers = 0, prompts = 0;
  for (const Node& node : state.nodes) {
    answers += node.answer_rate.value_or(0);
    prompts += node.prompt_rate.value_or(0);
  }
  std::vector<std::string> parts{requests, "in flight " + std::to_string(state.in_flight),
                                 "text queue " + std::to_string(state.text_queue),
                                 "answers " + rate_text(answers) + " tokens/s",
                                 "prompts " + rate_text(prompts) + " tokens/s"};
  if (state.first_token_p50_ms && state.first_token_p99_ms)
    parts.push_back("first token p50 " + time_text(*state.first_token_p50_ms) + ", p99 " +
                    time_text(*state.first_token_p99_ms));
  flow(parts, width, lines);
  if (!state.trouble.empty()) lines.push_back({"! " + plain(state.trouble), Style::bad});
  lines.push_back({});
  return lines;
}

/// As many as fit, and how many do not.
void shorten(std::vector<Line>& lines, std::size_t height) {
  if (height == 0 || lines.size() <= height) return;
  const std::size_t left = lines.size() - height + 1;
  lines.resize(height - 1);
  lines.push_back({"... " + std::to_string(left) + " more", Style::plain});
}

std::string_view escape_of(Style style) {
  switch (style) {
    case Style::bold:
      return "\x1b[1m";
    case Style::warn:
      return "\x1b[33m";
    case Style::bad:
      return "\x1b[31m";
    case Style::plain:
      break;
  }
  return {};
}

}  // namespace

std::string frame(const ClusterState& state, const FrameOptions& options) {
  const std::size_t width = std::max(options.width, kLeastWidth);
  std::vector<Line> lines = head(state, width);
  for (Line& line : table(state.nodes, width)) lines.push_back(std::move(line));
  shorten(lines, options.height);
  std::string out;
  for (const Line& line : lines) {
    const std::string_view escape = options.colour ? escape_of(line.style) : std::string_view{};
    out.append(escape).append(cut(line.text, width));
    if (!escape.empty()) out += "\x1b[0m";
    out += '\n';
  }
  return out;
}

}  // namespace troupe::cli::top
