#pragma once
// What an answer consists of, in the pieces it comes in.
#include <cstddef>
#include <string>
#include <vector>

namespace troupe::gateway {

/// A piece of a call of a tool. Calls of an answer are numbered from 0.
struct CallDelta {
  std::size_t index = 0;
  std::string name;       ///< of the tool; only in the piece that begins the call
  std::string arguments;  ///< JSON, as far as it is known
  bool operator==(const CallDelta&) const = default;
};

struct AnswerParts {
  std::string text;       ///< content
  std::string reasoning;  ///< before it
  std::vector<CallDelta> calls;
  [[nodiscard]] bool empty() const { return text.empty() && reasoning.empty() && calls.empty(); }
  bool operator==(const AnswerParts&) const = default;
};

/// Appends to the call that `parts` ends with where that is the same one.
inline void add_call(AnswerParts& parts, const CallDelta& piece) {
  if (!parts.calls.empty() && parts.calls.back().index == piece.index) {
    parts.calls.back().arguments += piece.arguments;
  } else {
    parts.calls.push_back(piece);
  }
}

}  // namespace troupe::gateway
