#pragma once
// The seam between a run and the form of its answer: GenerateRun says what happens, an AnswerWriter says how
// an API writes that, as one body or as a stream.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizer/tokenizer.hpp"
#include "services/gateway/answer_format.hpp"

namespace troupe::gateway {

/// What an answer says of itself, whatever its form.
struct AnswerHead {
  std::string id;            ///< hex; an API adds its prefix
  std::int64_t created = 0;  ///< seconds since 1970
  std::string model;         ///< as the client named it
  std::string fingerprint;
  bool lossy_pages = false;
  std::string search;  ///< technique that chose the answer, or how it was drawn; empty: none
  std::shared_ptr<const Tokenizer> tokenizer;
};

/// One answer. Its calls come in this order:
///   stream: begin, delta..., finish of each choice, then end; or error at any place
///   whole:  whole
/// Each string it appends to `events` is one whole event of the stream ("data: ...\n\n"), or a line. Only
/// what follows from the request, its tokens and `head` may be written before the end where a stream is
/// recorded: it must be the same bytes when another gateway makes it again. Threads: one, the connection's.
class AnswerWriter {
 public:
  using Events = std::vector<std::string>;

  virtual ~AnswerWriter() = default;
  /// Pages were converted, which is lossy: may come between any two of the others.
  virtual void say_converted() = 0;

  /// Content-Type of a stream.
  [[nodiscard]] virtual std::string_view stream_type() const = 0;
  /// `so_far` has the prompt's tokens; of those that were cached what is known by now.
  virtual void begin(std::size_t choice, const Usage& so_far, Events& events) = 0;
  virtual void delta(std::size_t choice, const TextDelta& delta, Events& events) = 0;
  virtual void finish(std::size_t choice, ChoiceEnd end, const ChoiceExtras& extras, Events& events) = 0;
  /// All choices have finished.
  virtual void end(const Usage& usage, Events& events) = 0;
  /// The stream ends here, without end().
  virtual void error(const ApiError& error, Events& events) = 0;

  /// The body of a whole answer.
  [[nodiscard]] virtual std::string whole(std::vector<ChoiceResult> choices, const Usage& usage) = 0;

  /// After end() or whole(), before their bytes leave: something may have to be kept first, so that a client
  /// which has them finds it. Returns whether there is; then `kept` is called once, from any thread, also
  /// before this returns.
  [[nodiscard]] virtual bool keep(std::function<void()> kept) = 0;
};

/// Makes the writer of a run. Must not hold the run.
using MakeWriter = std::function<std::unique_ptr<AnswerWriter>(AnswerHead head)>;

/// In which form an answer is written.
struct AnswerForm {
  MakeWriter make_writer = {};  ///< null: as chats and completions are written
  std::string api =
      {};  ///< beside make_writer: who reads the body again; empty: nobody, so no record is kept

  /// Whether the answer can be made again from the request's record.
  [[nodiscard]] bool repeatable() const { return !make_writer || !api.empty(); }
};

}  // namespace troupe::gateway
