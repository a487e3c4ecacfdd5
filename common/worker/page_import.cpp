#include "common/worker/page_import.hpp"

#include <algorithm>

#include "common/kv/block_key.hpp"

namespace troupe::worker {

wire::PageShape to_wire(const PageFormat& format) {
  return {format.page_tokens,
          format.kv_heads,
          format.key_dim,
          format.value_dim,
          static_cast<std::uint8_t>(format.numbers),
          static_cast<std::uint8_t>(format.keys)};
}

PageFormat format_of(const wire::KvFrame& frame, const PageFormat& own) {
  const wire::PageShape& s = frame.shape;
  if (s.page_tokens == 0) return own;
  return {s.page_tokens,
          s.kv_heads,
          s.key_dim,
          s.value_dim,
          static_cast<PageNumbers>(s.numbers),
          static_cast<KeyOrder>(s.keys)};
}

PageImport::PageImport(engine::Engine& engine, const RequestId& id, std::uint32_t first_token,
                       std::uint32_t tokens, Conversion allowed, bool foreign)
    : engine_(engine),
      id_(id),
      own_(engine.page_format()),
      layers_(engine.layers()),
      first_token_(first_token),
      tokens_(tokens),
      end_token_((std::uint64_t{tokens} + own_.page_tokens - 1) / own_.page_tokens * own_.page_tokens),
      allowed_(allowed),
      foreign_(foreign) {
  const std::size_t blocks = (end_token_ - first_token) / kBlockTokens;
  got_.assign(blocks * layers_, false);
  missing_.assign(blocks, layers_);
}

std::uint32_t PageImport::leading_tokens() const {
  while (complete_ < missing_.size() && missing_[complete_] == 0) ++complete_;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(first_token_ + complete_ * kBlockTokens, tokens_));
}

/// Whether pages of that format may come, and how they become this engine's.
Expected<void> PageImport::accept(const PageFormat& format) {
  if (format == own_) {
    converter_.reset();
    return {};
  }
  if (converter_ && converter_->from() == format) return {};
  auto made = PageConverter::create(format, own_);
  if (!made) return tl::unexpected<Error>(std::move(made.error()));
  const bool exact = made->fidelity() == Fidelity::same_bits;
  if (allowed_ == Conversion::off || (!exact && (allowed_ != Conversion::lossy || !foreign_)))
    return fail(Errc::numerics_mismatch,
                "KV pages of " + to_string(format) + " are not converted to " + to_string(own_));
  converter_.emplace(std::move(*made));
  buffer_.resize(own_.layer_page_bytes());
  return {};
}

Expected<void> PageImport::check(const wire::KvFrame& frame, std::size_t payload_bytes,
                                 std::size_t page_bytes) const {
  if (frame.layer_page_bytes != page_bytes || frame.layers == 0 || frame.layers > layers_ ||
      frame.first_layer > layers_ - frame.layers ||
      payload_bytes != std::size_t{frame.layers} * frame.pages.size() * page_bytes)
    return fail(Errc::transfer_failed, "a KV frame has another shape than this model's pages");
  return {};
}

Expected<void> PageImport::take(const wire::KvFrame& frame, std::span<const std::byte> payload) {
  const PageFormat format = format_of(frame, own_);
  TROUPE_TRY(accept(format));
  const std::size_t size = format.layer_page_bytes();
  TROUPE_TRY(check(frame, payload.size(), size));
  for (const std::uint32_t page : frame.pages) {
    const std::uint64_t begin = std::uint64_t{page} * format.page_tokens;
    if (begin + format.page_tokens <= first_token_ || begin >= end_token_)
      return fail(Errc::transfer_failed,
                  "a KV frame brings page " + std::to_string(page) + ", which nobody asked for");
  }
  for (std::uint32_t layer = frame.first_layer; layer < frame.first_layer + frame.layers; ++layer) {
    for (const std::uint32_t page : frame.pages) {
      const auto bytes = payload.first(size);
      payload = payload.subspan(size);
      TROUPE_TRY(converter_ ? convert_page(layer, page, bytes) : take_page(layer, page, bytes));
    }
    TROUPE_TRY(close());
  }
  // Of other numbers, even pages that lie alike are not what this engine would compute.
  if (converter_) converted_ = std::max(converted_.value_or(Fidelity::same_bits), converter_->fidelity());
  return {};
}

Expected<void> PageImport::take_page(std::uint32_t layer, std::uint32_t page,
                                     std::span<const std::byte> bytes) {
  const std::uint64_t begin = std::uint64_t{page} * own_.page_tokens, end = begin + own_.page_tokens;
  if (has(layer, begin, end, true)) return {};
  TROUPE_TRY(engine_.import_page(id_, layer, page, bytes));
  mark(layer, begin, end);
  return {};
}

/// The sender's page may begin before what was asked for, end behind it, or lie across several of this
/// engine's.
Expected<void> PageImport::convert_page(std::uint32_t layer, std::uint32_t page,
                                        std::span<const std::byte> bytes) {
  const std::uint64_t size = converter_->from().page_tokens, first = page * size;
  const std::uint64_t end = std::min(first + size, end_token_);
  for (std::uint64_t at = std::max<std::uint64_t>(first, first_token_); at < end;) {
    const std::uint64_t own_first = at / own_.page_tokens * own_.page_tokens;
    const std::uint64_t run_end = std::min(end, own_first + own_.page_tokens);
    if (!has(layer, at, run_end, true)) {
      TROUPE_TRY(open(layer, static_cast<std::uint32_t>(own_first / own_.page_tokens)));
      TROUPE_TRY(converter_->move(bytes, static_cast<std::uint32_t>(at - first), buffer_,
                                  static_cast<std::uint32_t>(at - own_first),
                                  static_cast<std::uint32_t>(run_end - at)));
      mark(layer, at, run_end);
    }
    at = run_end;
  }
  return {};
}

/// `page` is in the buffer, with what came of it before.
Expected<void> PageImport::open(std::uint32_t layer, std::uint32_t page) {
  if (open_ && open_->layer == layer && open_->page == page) return {};
  TROUPE_TRY(close());
  const std::uint64_t begin = std::uint64_t{page} * own_.page_tokens;
  if (has(layer, begin, begin + own_.page_tokens, false)) {
    TROUPE_TRY(engine_.imported_page(id_, layer, page, buffer_));
  } else {
    std::ranges::fill(buffer_, std::byte{0});
  }
  open_ = OpenPage{layer, page};
  return {};
}

Expected<void> PageImport::close() {
  if (!open_) return {};
  const OpenPage page = *open_;
  open_.reset();
  return engine_.import_page(id_, page.layer, page.page, buffer_);
}

/// Of the blocks of tokens [begin, end): all are here, or any is.
bool PageImport::has(std::uint32_t layer, std::uint64_t begin, std::uint64_t end, bool all) const {
  for (std::uint64_t at = begin; at < end; at += kBlockTokens)
    if (got_[(at - first_token_) / kBlockTokens * layers_ + layer] != all) return !all;
  return all;
}

void PageImport::mark(std::uint32_t layer, std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t at = begin; at < end; at += kBlockTokens) {
    const std::size_t block = (at - first_token_) / kBlockTokens;
    if (got_[block * layers_ + layer]) continue;
    got_[block * layers_ + layer] = true;
    --missing_[block];
  }
}

}  // namespace troupe::worker
