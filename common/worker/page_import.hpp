#pragma once
// Pages of one import as frames bring them: what is there of the prompt, and pages of another format made
// into this engine's. One layer at a time, through one buffer of a page.
#include <cstdint>
#include <optional>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/kv/page_converter.hpp"
#include "common/wire/messages.hpp"

namespace troupe::worker {

/// Which pages of another format are taken: none, those whose bits are kept, or also those of other numbers.
enum class Conversion : std::uint8_t { off, exact, lossy };

[[nodiscard]] wire::PageShape to_wire(const PageFormat& format);
/// As the frame says; `own` where it says nothing. Not checked: PageConverter refuses what is no format.
[[nodiscard]] PageFormat format_of(const wire::KvFrame& frame, const PageFormat& own);

/// Blocks are counted, not frames: what comes twice, late or cut into other frames changes nothing.
/// Threads: the engine's.
class PageImport {
 public:
  /// Of tokens [first_token, tokens) of the import that `engine` has open under `id`; first_token begins a
  /// page. `foreign`: pages of another model id's numbers are what is expected; needs Conversion::lossy.
  PageImport(engine::Engine& engine, const RequestId& id, std::uint32_t first_token, std::uint32_t tokens,
             Conversion allowed, bool foreign);

  /// Errors: transfer_failed (the frame is torn, or not what was asked for), numerics_mismatch (its pages may
  /// not become this engine's). Pages before the error are taken.
  [[nodiscard]] Expected<void> take(const wire::KvFrame& frame, std::span<const std::byte> payload);
  /// Leading tokens that are here in every layer.
  [[nodiscard]] std::uint32_t leading_tokens() const;
  /// What the pages went through; none: they came as this engine holds them.
  [[nodiscard]] std::optional<Fidelity> converted() const { return converted_; }

 private:
  struct OpenPage {
    std::uint32_t layer = 0, page = 0;
  };
  [[nodiscard]] Expected<void> accept(const PageFormat& format);
  [[nodiscard]] Expected<void> check(const wire::KvFrame& frame, std::size_t payload_bytes,
                                     std::size_t page_bytes) const;
  [[nodiscard]] Expected<void> take_page(std::uint32_t layer, std::uint32_t page,
                                         std::span<const std::byte> bytes);
  [[nodiscard]] Expected<void> convert_page(std::uint32_t layer, std::uint32_t page,
                                            std::span<const std::byte> bytes);
  [[nodiscard]] Expected<void> open(std::uint32_t layer, std::uint32_t page);
  [[nodiscard]] Expected<void> close();
  [[nodiscard]] bool has(std::uint32_t layer, std::uint64_t begin, std::uint64_t end, bool all) const;
  void mark(std::uint32_t layer, std::uint64_t begin, std::uint64_t end);

  engine::Engine& engine_;
  RequestId id_;
  PageFormat own_;
  std::uint32_t layers_, first_token_, tokens_;
  std::uint64_t end_token_;  ///< of the last page
  Conversion allowed_;
  bool foreign_;
  std::vector<bool> got_;               ///< [block - first][L], of all blocks of the pages
  std::vector<std::uint32_t> missing_;  ///< [block - first] layers
  mutable std::size_t complete_ = 0;    ///< leading blocks; only rises
  std::optional<PageConverter> converter_;
  std::optional<Fidelity> converted_;
  std::vector<std::byte> buffer_;  ///< one layer of the open page
  std::optional<OpenPage> open_;
};

}  // namespace troupe::worker
