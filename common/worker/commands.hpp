#pragma once
// What a worker's actor and its engine's thread tell each other. Engine ids are the worker's own: one per
// request, epoch, first choice and attempt, so that a replay never meets what is left of its predecessor.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/transport/data_plane.hpp"
#include "common/wire/messages.hpp"
#include "common/worker/page_import.hpp"

namespace troupe::worker {

// ---- to the engine ----

struct Submit {
  engine::Request request;
  grammar::Source grammar = {};  ///< compiled on its way (GrammarDesk)
};
/// Reserves pages for the first `tokens` prompt tokens; runs the request at once when the cache already
/// covers `enough` of them.
struct ReserveImport {
  engine::Request request;  ///< `pages_of` names the sender's model id where that is another
  std::uint32_t tokens = 0;
  std::uint32_t enough = 0;
  Conversion conversion = Conversion::exact;
  grammar::Source grammar = {};
};
struct ImportFrame {
  RequestId engine_id;
  wire::KvFrame header;
  FramePayload payload;
};
/// `tokens`: leading ones to take.
struct CommitImport {
  RequestId engine_id;
  std::uint32_t tokens = 0;
  std::optional<TokenId> drawn = {};  ///< the next token of the answer: it was drawn elsewhere and is told
};
/// Computes the first `tokens` prompt tokens and sends their pages, but the first `skip_tokens`, to
/// `data_address`. A request that draws its first token is computed whole.
struct Prefill {
  engine::Request request;
  std::uint32_t tokens = 0;
  std::uint32_t skip_tokens = 0;
  TransferId transfer;
  std::string data_address;
  std::string host;  ///< of the receiver
};
/// Sends the pages of those leading blocks of `keys` that are held here, but the first `skip_tokens`, to
/// `data_address`.
struct Export {
  RequestId engine_id;
  std::vector<BlockKey> keys;
  std::uint32_t skip_tokens = 0;
  TransferId transfer;
  std::string data_address;
  std::string host;
};
/// Ends a stream, an import, a prefill or an export; no report follows.
struct CancelRequest {
  RequestId engine_id;
};
/// The data plane gave up on a prefill's or an export's frames.
struct FailTransfer {
  TransferId transfer;
  Error error;
};
struct ListBlocks {};
/// A request that did not get as far as the engine: reported as Refused.
struct Reject {
  RequestId engine_id;
  Error error;
};

using Command = std::variant<Submit, ReserveImport, ImportFrame, CommitImport, Prefill, Export, CancelRequest,
                             FailTransfer, ListBlocks, Reject>;

// ---- from the engine ----

/// A submit, reserve, import or commit failed.
struct Refused {
  RequestId engine_id;
  Error error;
};
struct Reserved {
  RequestId engine_id;
  std::uint32_t skip_tokens = 0;  ///< whole pages already here
  bool running = false;           ///< nothing to import
};
/// A frame came; the first `tokens` of the prompt are here now, in every layer.
struct Imported {
  RequestId engine_id;
  std::uint32_t tokens = 0;
};
struct Committed {
  RequestId engine_id;
  std::optional<Fidelity> converted = {};  ///< what the pages went through; none: nothing
};
/// The first token behind a prompt that is computed for somebody else; its last pages may have yet to leave.
struct Drawn {
  RequestId engine_id;
  GeneratedToken token;
  std::uint32_t cached_tokens = 0;
};
struct Prefilled {
  RequestId engine_id;
  std::uint32_t frames = 0;
  std::uint32_t cached_tokens = 0;
  std::optional<Error> error;
  std::shared_ptr<const engine::StageNews> news = {};  ///< of a traced one that was computed
};
/// Every frame left; they and what was skipped cover the first `tokens`.
struct Exported {
  RequestId engine_id;
  std::uint32_t tokens = 0;
  std::optional<Error> error;
};
struct Stepped {
  std::vector<engine::TokenEvent> tokens;
  std::vector<engine::KvEvent> kv;
};
struct Blocks {
  std::vector<BlockKey> keys;  ///< in memory
  std::vector<BlockKey> on_disk;
};
using Report =
    std::variant<Refused, Reserved, Imported, Committed, Drawn, Prefilled, Exported, Stepped, Blocks>;

struct ReportBatch {
  std::vector<Report> reports;
  engine::EngineStats stats;
};

}  // namespace troupe::worker
