#include "services/bench/synthetic_workloads.hpp"

#include <utility>

#include "services/bench/text.hpp"

namespace troupe::load {
namespace {

/// What the draws are for: texts of different purposes never share their stream.
enum Purpose : std::uint64_t { prompt_text = 1, shared_text = 2 };

std::uint32_t or_else(std::uint32_t given, std::uint32_t own) {
  return given != 0 ? given : own;
}

using Writer = PlannedRequest (*)(const WorkloadOptions& options, std::uint64_t index);

class Synthetic final : public Workload {
 public:
  Synthetic(WorkloadOptions options, Writer write) : options_(std::move(options)), write_(write) {}
  PlannedRequest request(std::uint64_t index) const override { return write_(options_, index); }

 private:
  WorkloadOptions options_;
  Writer write_;
};

Expected<std::unique_ptr<Workload>> synthetic(const WorkloadOptions& options, Writer write) {
  return std::make_unique<Synthetic>(options, write);
}

PlannedRequest ask(std::string text, std::uint32_t max_tokens) {
  return {{{"user", std::move(text)}}, max_tokens, {}};
}

PlannedRequest plain(const WorkloadOptions& o, std::uint64_t index, std::uint32_t tokens, std::uint32_t out) {
  Random random(o.seed, prompt_text, index);
  return ask(prose(random, or_else(o.prompt_tokens, tokens)), or_else(o.max_tokens, out));
}

/// Text number `which` of those that many requests begin with.
std::string shared(const WorkloadOptions& o, std::size_t which, std::uint32_t tokens) {
  Random random(o.seed, shared_text, which);
  return prose(random, tokens);
}

}  // namespace

Expected<std::unique_ptr<Workload>> make_chat(const WorkloadOptions& options) {
  return synthetic(options, [](const WorkloadOptions& o, std::uint64_t index) {
    Random random(o.seed, prompt_text, index);
    const std::size_t tokens = random.between(20, 200);
    return ask("Tell me more about this: " +
                   prose(random, or_else(o.prompt_tokens, static_cast<std::uint32_t>(tokens))),
               or_else(o.max_tokens, 64));
  });
}

Expected<std::unique_ptr<Workload>> make_shared_prefix(const WorkloadOptions& options) {
  return synthetic(options, [](const WorkloadOptions& o, std::uint64_t index) {
    const std::size_t group = static_cast<std::size_t>(index % or_else(o.groups, 1));
    Random random(o.seed, prompt_text, index);
    std::string text = shared(o, group, or_else(o.prefix_tokens, 1024));
    text.append(" ").append(prose(random, or_else(o.tail_tokens, 64)));
    return ask(std::move(text), or_else(o.max_tokens, 64));
  });
}

Expected<std::unique_ptr<Workload>> make_long_prompt(const WorkloadOptions& options) {
  return synthetic(options,
                   [](const WorkloadOptions& o, std::uint64_t index) { return plain(o, index, 4096, 32); });
}

Expected<std::unique_ptr<Workload>> make_decode_heavy(const WorkloadOptions& options) {
  return synthetic(options,
                   [](const WorkloadOptions& o, std::uint64_t index) { return plain(o, index, 32, 256); });
}

Expected<std::unique_ptr<Workload>> make_copy_edit(const WorkloadOptions& options) {
  return synthetic(options, [](const WorkloadOptions& o, std::uint64_t index) {
    Random random(o.seed, prompt_text, index);
    const std::uint32_t tokens = or_else(o.prompt_tokens, 200);
    const std::string from = word(random), to = word(random);
    return ask("Repeat this text word for word, but write \"" + to + "\" for \"" + from + "\":\n\n" +
                   prose(random, tokens),
               or_else(o.max_tokens, tokens + tokens / 8));
  });
}

Expected<std::unique_ptr<Workload>> make_code(const WorkloadOptions& options) {
  return synthetic(options, [](const WorkloadOptions& o, std::uint64_t index) {
    Random random(o.seed, prompt_text, index);
    return ask("Continue this file in the same style:\n\n" + code(random, or_else(o.prompt_tokens, 160)),
               or_else(o.max_tokens, 128));
  });
}

Expected<std::unique_ptr<Workload>> make_documents(const WorkloadOptions& options) {
  return synthetic(options, [](const WorkloadOptions& o, std::uint64_t index) {
    Random random(o.seed, prompt_text, index);
    const std::size_t which = random.below(or_else(o.groups, 8));
    std::string text = "Document:\n" + shared(o, which, or_else(o.prompt_tokens, 1024)) +
                       "\n\nQuestion: what does it say about " + word(random) + " and " + word(random) + "?";
    return ask(std::move(text), or_else(o.max_tokens, 64));
  });
}

}  // namespace troupe::load
