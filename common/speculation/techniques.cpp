#include "common/speculation/techniques.hpp"

namespace troupe {

std::string_view name(TechniqueClass effect) {
  switch (effect) {
    case TechniqueClass::exact:
      return "exact";
    case TechniqueClass::law:
      return "law";
    case TechniqueClass::lossy:
      return "lossy";
  }
  return "unknown";
}

const std::vector<Technique>& techniques() {
  using enum TechniqueClass;
  static const std::vector<Technique> kTechniques{
      {"chunked-prefill", "prompts are computed in chunks that share steps with decoding rows",
       "Sarathi-Serve, Agrawal et al. 2024, arXiv:2403.02310", "prefill, decode", exact, "nothing",
       "engine.chunk"},
      {"prefix-cache", "sealed KV pages of earlier prompts are found by chained block keys and reused",
       "PagedAttention, Kwon et al. 2023, arXiv:2309.06180", "prefill, decode, router", exact,
       "a prompt that begins like an earlier one of the same tenant", "kv.prefix_cache"},
      {"prefix-aware-routing", "a request goes where most of its prompt is cached, unless a queue there costs more",
       "Preble, Srivatsa et al. 2024, arXiv:2407.00023", "router", exact, "two or more workers of one model",
       "router.policy"},
      {"disaggregated-prefill",
       "long prompts are computed on another worker, whose pages stream to the decoding one",
       "DistServe, Zhong et al. 2024, arXiv:2401.09670", "router, prefill, decode", exact,
       "a prefill and a decode worker of one model and numerics id", "disagg.min_prompt_tokens"},
  };
  return kTechniques;
}

}  // namespace troupe
