// Any bytes as a chat template over one conversation: parsing and rendering must end, with text or an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/template/chat_template.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto kContext = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Gr\u00fc\u00dfe \ud83d\ude42"}]},
                 {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1.5, "b": [true, null]}}}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "strftime_now": "2024-07-26", "n": -7, "big": 9007199254740993})");
  constexpr troupe::TemplateLimits kLimits{.steps = 20'000, .depth = 60, .output_bytes = 1u << 16};
  const auto parsed = troupe::ChatTemplate::parse(std::string_view(reinterpret_cast<const char*>(data), size), kLimits);
  if (!parsed) return 0;
  const auto text = (*parsed)->render(kContext);
  return text && text->size() > kLimits.output_bytes ? -1 : 0;
}
