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
      {"speculative-verification",
       "several guesses of a stream are verified in one step; each is accepted iff it is the target's own draw",
       "Speculative Decoding, Leviathan et al. 2023, arXiv:2211.17192", "decode", exact, "a drafter", "speculation.drafter"},
      {"prompt-lookup", "guesses what followed the last tokens where they stood before, in the prompt or the answer",
       "Prompt Lookup Decoding, Saxena 2023; LLMA, Yang et al. 2023, arXiv:2304.04487", "decode", exact,
       "text that repeats itself or its prompt", "speculation.drafter"},
      {"suffix-automaton", "guesses what followed the longest end of the text that stood before, in it or in the tenant's answers",
       "SAM Decoding, Hu et al. 2024, arXiv:2411.10666", "decode", exact,
       "text that repeats itself, its prompt or earlier answers", "speculation.drafter"},
      {"input-copy", "guesses the prompt's own continuation, or that of a request's prediction, taken up again after each edit",
       "Aggressive Decoding (IAD), Ge et al. 2022, arXiv:2205.10350", "decode", exact,
       "answers that copy the prompt with edits", "speculation.drafter"},
      {"token-recycling", "guesses a tree of what the target ranked highest after each token, the last time",
       "Token Recycling, Luo et al. 2024, arXiv:2408.08696", "decode", exact, "nothing; better the longer a tenant is served",
       "speculation.drafter"},
      {"draft-service", "a small model of the same vocabulary drafts in a process of its own, on beyond what is being verified",
       "PEARL, Liu et al. 2024, arXiv:2408.11850", "draft, decode", exact, "troupe draft with a model of the target's vocabulary",
       "speculation.service"},
      {"jump-forward", "guesses the text that the form of an answer leaves no way around, for every answer of a given form",
       "jump-forward decoding, Zheng et al. 2023 (SGLang), arXiv:2312.07104", "decode", exact, "an answer of a given form",
       "speculation.drafter"},
      {"draft-control", "drafter and draft size of each step by measured step times and discounted acceptance, 0 included",
       "house", "decode", exact, "measured steps", "speculation.max_draft"},
      {"beam-search", "the best hypotheses of a beam search in place of draws: troupe.beam in a request",
       "Beam Search Strategies, Freitag and Al-Onaizan 2017, arXiv:1702.01806", "decode", lossy,
       "as many places among running sequences as beams, temperature 0", "engine.max_sequences"},
      {"diverse-beam-search", "groups of beams that avoid the tokens of earlier groups: troupe.beam with groups in a request",
       "Diverse Beam Search, Vijayakumar et al. 2016, arXiv:1610.02424", "decode", lossy,
       "as many places among running sequences as beams, temperature 0", "engine.max_sequences"},
      {"superposed-decoding",
       "n short answers from one row a step, whose input is the blend of their newest tokens, told apart by n-grams: troupe.decoding "
       "superposed in a request. All but the best go on from a blended history; not for chat",
       "Superposed Decoding, Shen et al. 2024, arXiv:2405.18400", "decode", lossy,
       "20 tokens at most, temperature 0; a text like the prompts, for n-grams", "superposed.text"},
      {"sharpened-sampling",
       "draws from the squared distribution over plausible tokens, away from repetition: troupe.preset sharpened in a request. Not "
       "hyperfitting, which is training: the model's arg-max stays",
       "after Contrastive Decoding, Li et al. 2023, arXiv:2210.15097, and Hyperfitting, Carlsson et al. 2024, arXiv:2412.04318",
       "gateway, decode", lossy, "nothing", ""},
      {"kv-int8", "KV pages hold 8-bit codes with a scale for each token and head: half the bytes",
       "as LLM.int8 scales rows, Dettmers et al. 2022, arXiv:2208.07339", "prefill, decode", lossy,
       "fast numerics; every worker of the model with the same codec", "kv.codec"},
  };
  return kTechniques;
}

}  // namespace troupe
