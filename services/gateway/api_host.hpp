#pragma once
// What the edge does for an API that has a folder of its own: threads, models, runs.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/messages.hpp"
#include "services/gateway/call.hpp"
#include "services/gateway/generate_run.hpp"

namespace troupe::gateway {

/// Threads: any.
class ApiHost {
 public:
  using Found = std::pair<std::shared_ptr<const ModelText>, ServedModel>;

  virtual ~ApiHost() = default;
  /// Runs `work` on the text pool, where JSON is read and templates run; a full queue, and what is thrown, is
  /// answered.
  virtual void on_pool(Call call, std::function<void(Call&)> work) = 0;
  /// A model that `caller` may use. Not `must_be_ready`: known is enough, then the second part may be empty
  /// but for the name. Errors: model_not_found, no_ready_worker.
  [[nodiscard]] virtual Parsed<Found> find_model(const std::string& name, bool must_be_ready,
                                                 const Caller& caller) const = 0;
  /// Models that are served and that `caller` may use.
  [[nodiscard]] virtual std::vector<Found> models(const Caller& caller) const = 0;
  /// Prepares the request, takes its tokens of the key's limits, and runs it; or answers why not. On the text
  /// pool.
  virtual void generate(Call& call, Parsed<GenerateRequest> request, AnswerForm form) = 0;
  /// The same for the answer of `record`, from event `from` on. `request` was read from the record's body.
  virtual void generate_again(Call& call, Parsed<GenerateRequest> request, AnswerForm form,
                              const wire::RequestRecord& record, std::uint64_t from) = 0;
};

}  // namespace troupe::gateway
