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
      {"hydragen", "KV pages that several sequences begin with are attended to once a step for all of them",
       "Hydragen, Juravsky et al. 2024, arXiv:2402.05099", "prefill, decode", exact,
       "two sequences that share pages: a cached prefix, or choices of one prompt", "engine.hydragen"},
      {"disaggregated-prefill",
       "long prompts are computed on another worker, whose pages stream to the decoding one",
       "DistServe, Zhong et al. 2024, arXiv:2401.09670", "router, prefill, decode", exact,
       "a prefill and a decode worker of one model and numerics id", "disagg.min_prompt_tokens"},
  };
  return kTechniques;
}

}  // namespace troupe
