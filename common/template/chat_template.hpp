#pragma once
// Runs a model's chat template (Jinja) under limits on steps, depth and output.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "common/base/error.hpp"

namespace troupe {

struct TemplateLimits {
  std::size_t steps = 2'000'000;         ///< evaluated nodes
  std::size_t depth = 100;               ///< nesting of expressions, macros and blocks, while parsing and while running
  std::size_t output_bytes = 16u << 20;  ///< rendered text, and any one string in between
};

/// A parsed template; immutable. Threads: any.
class ChatTemplate {
 public:
  /// Errors: template_failed with line number and reason.
  [[nodiscard]] static Expected<std::shared_ptr<const ChatTemplate>> parse(std::string_view source, TemplateLimits limits = {});
  virtual ~ChatTemplate() = default;
  /// `context` is an ordered JSON object: messages, tools, add_generation_prompt, bos_token, eos_token, ...
  /// Errors: template_failed: what the template said through raise_exception, or the limit that was passed, or the undefined operation with its line.
  [[nodiscard]] virtual Expected<std::string> render(const nlohmann::ordered_json& context) const = 0;
  /// Is there a variable of this name anywhere in the template? What it does not mention it cannot show.
  [[nodiscard]] virtual bool mentions(std::string_view name) const = 0;
  /// What was parsed: the markers of calls and of reasoning stand in it.
  [[nodiscard]] virtual std::string_view source() const = 0;
};

}  // namespace troupe
