// The drafters, one line each.
#include "common/speculation/drafters/drafters.hpp"

namespace troupe::speculation {

const std::vector<DrafterEntry>& builtin_drafters() {
  using enum TechniqueClass;
  static const std::vector<DrafterEntry> kEntries = {
      {"prompt-lookup", "what followed the last tokens where they stood before, in the prompt or the answer",
       "Prompt Lookup Decoding, Saxena 2023; LLMA, Yang et al. 2023, arXiv:2304.04487", exact,
       "text that repeats itself or its prompt", "about 40 bytes a token of a sequence", false,
       make_prompt_lookup},
      {"suffix-automaton",
       "what followed the longest end of the text that stood before, in it or in the tenant's finished "
       "answers",
       "SAM Decoding, Hu et al. 2024, arXiv:2411.10666", exact,
       "text that repeats itself, its prompt or earlier answers",
       "about 100 bytes a token of a sequence and of the store", false, make_suffix_automaton},
      {"input-copy", "the continuation of the prompt, or of a request's prediction, taken up again after each edit",
       "Aggressive Decoding (IAD), Ge et al. 2022, arXiv:2205.10350", exact,
       "answers that copy the prompt with edits", "about 150 bytes a token of a prompt", false,
       make_input_copy},
      {"token-recycling", "a tree of what the target ranked highest after each token, the last time",
       "Token Recycling, Luo et al. 2024, arXiv:2408.08696", exact,
       "nothing; better the longer a tenant is served", "32 bytes a token of the vocabulary and tenant", true,
       make_token_recycling},
      {"draft-service", "a small model's own continuation, made beside the target and always a few tokens ahead of it",
       "PEARL, Liu et al. 2024, arXiv:2408.11850", exact, "a draft service that hosts a model of the target's vocabulary",
       "steps of the draft model, in its own process", false, make_draft_service, true},
      {"jump-forward", "the text that the form of an answer leaves no way around",
       "jump-forward decoding, Zheng et al. 2023 (SGLang), arXiv:2312.07104", exact,
       "answers of a given form; it drafts for them whatever else is chosen", "none", false, make_jump_forward, false,
       true},
  };
  return kEntries;
}

}  // namespace troupe::speculation
