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
      {"stall-free-batching",
       "streams are in every step; prompts fill it up to a budget chosen by measured step times",
       "Sarathi-Serve, Agrawal et al. 2024, arXiv:2403.02310", "prefill, decode", exact, "nothing",
       "engine.itl_slo_ms"},
      {"swap-preemption",
       "a request that gives way keeps its KV pages in host memory when that costs less than computing them again",
       "PagedAttention, Kwon et al. 2023, arXiv:2309.06180", "prefill, decode", exact, "nothing", "engine.preemption"},
      {"grouped-batches",
       "offline requests are grouped by the prefixes that save most; a group's prefix is computed once and stays",
       "BatchLLM, Zheng et al. 2024, arXiv:2412.03594", "decode", exact, "a batch of requests known as a whole",
       "kv.prefix_cache"},
      {"fair-tenants", "tenants that compete are admitted, and their prompts computed, by virtual token counters",
       "VTC, Sheng et al. 2024, arXiv:2401.00588", "prefill, decode", exact,
       "requests of more than one tenant", "engine.tenant_weights"},
      {"prefix-cache", "sealed KV pages of earlier prompts are found by chained block keys and reused",
       "PagedAttention, Kwon et al. 2023, arXiv:2309.06180", "prefill, decode, router", exact,
       "a prompt that begins like an earlier one of the same tenant", "kv.prefix_cache"},
      {"prefix-aware-routing", "a request goes where its first token is predicted soonest: queue, uncached prompt, transfer, costs learnt",
       "Preble, Srivatsa et al. 2024, arXiv:2407.00023", "router", exact, "two or more workers of one model",
       "router.policy"},
      {"hydragen", "KV pages that several sequences begin with are attended to once a step for all of them",
       "Hydragen, Juravsky et al. 2024, arXiv:2402.05099", "prefill, decode", exact,
       "two sequences that share pages: a cached prefix, or choices of one prompt", "engine.hydragen"},
      {"disaggregated-prefill",
       "long prompts are computed on another worker, whose pages stream to the decoding one",
       "DistServe, Zhong et al. 2024, arXiv:2401.09670", "router, prefill, decode", exact,
       "a prefill and a decode worker of one model and numerics id", "disagg.min_prompt_tokens"},
      {"kv-convert", "KV pages of a prefill worker become those of a decode worker that holds other numbers",
       "house", "router, prefill, decode", lossy, "workers of the same weights with another kv.codec or engine.numerics",
       "disagg.convert"},
      {"kv-int8", "KV pages hold 8-bit codes with a scale for each token and head: half the bytes",
       "as LLM.int8 scales rows, Dettmers et al. 2022, arXiv:2208.07339", "prefill, decode", lossy,
       "fast numerics; every worker of the model with the same codec", "kv.codec"},
  };
  return kTechniques;
}

}  // namespace troupe
