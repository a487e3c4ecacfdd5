#include "services/gateway/beam_request.hpp"

#include <string>
#include <string_view>

#include "common/sampling/beam_search.hpp"
#include "services/gateway/openai_schema.hpp"
#include "services/gateway/search_company.hpp"

namespace troupe::gateway {
namespace {

bool is_set(const Json& object, std::string_view key) {
  const Json* value = find_value(object, key);
  return value != nullptr && value->get<bool>();
}

void read_count(const Json& object, std::string_view key, std::uint32_t& out) {
  if (const Json* value = find_value(object, key)) out = value->get<std::uint32_t>();
}
void read_real(const Json& object, std::string_view key, float& out) {
  if (const Json* value = find_value(object, key)) out = value->get<float>();
}

Parsed<BeamParams> read_own(const Json& beam) {
  if (auto checked = check_fields(beam, kBeam, "troupe.beam."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  if (find_value(beam, "width") == nullptr)
    return refuse("missing_required_parameter", "troupe.beam.width", "troupe.beam.width is required");
  BeamParams out;
  read_count(beam, "width", out.width);
  read_count(beam, "groups", out.groups);
  read_real(beam, "diversity_penalty", out.diversity_penalty);
  read_real(beam, "length_penalty", out.length_penalty);
  const Json* early = find_value(beam, "early_stopping");
  if (early == nullptr) return out;
  if (early->is_string() && *early != "never") {
    return refuse("invalid_value", "troupe.beam.early_stopping",
                  "troupe.beam.early_stopping: expected true, false or \"never\", found " + describe(*early));
  }
  const EarlyStopping asked =
      !early->is_string() && early->get<bool>() ? EarlyStopping::on : EarlyStopping::off;
  out.early_stopping = early->is_string() ? EarlyStopping::never : asked;
  return out;
}

}  // namespace

Parsed<BeamParams> read_beam(const Json& object, std::uint32_t choices) {
  const Json* own = find_value(object, "troupe");
  const Json* beam = own == nullptr ? nullptr : find_value(*own, "beam");
  const bool vllm = is_set(object, "use_beam_search");
  BeamParams out;
  float length_penalty = 1.0f;
  read_real(object, "length_penalty", length_penalty);
  if (!vllm && length_penalty != 1.0f)
    return refuse("unsupported_parameter", "length_penalty",
                  "length_penalty: is that of use_beam_search, which is not true");
  if (beam == nullptr && !vllm) return out;
  if (beam != nullptr && vllm)
    return clash("use_beam_search", "troupe.beam", "which asks for a search already");
  if (beam != nullptr) {
    auto read = read_own(*beam);
    if (!read) return read;
    out = *read;
  } else {
    out.width = choices;
    read_count(object, "best_of", out.width);
    out.length_penalty = length_penalty;
  }
  const std::string name = vllm ? "use_beam_search" : "troupe.beam";
  if (const auto valid = validate(out); !valid)
    return refuse("invalid_value", name, name + ": " + valid.error().detail);
  if (choices > out.width)
    return refuse("invalid_value", "n",
                  "n: " + std::to_string(choices) + " is more than the beams of " + name + ", " +
                      std::to_string(out.width));
  std::uint32_t best_of = out.width;
  read_count(object, "best_of", best_of);
  if (best_of != out.width) return clash("best_of", name, "unless it is the width");
  if (auto checked = check_search_company(object, name); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  return out;
}

}  // namespace troupe::gateway
