#pragma once
// Pages between workers: frames of a transfer, and blocks fetched from a peer's cache.
#include "common/wire/message.hpp"

namespace troupe::wire {

/// How one layer of a page lies in a frame: common/kv/page_format.hpp, which names `numbers` and `keys`.
struct PageShape {
  std::uint32_t page_tokens = 0;  ///< 0: not said, the pages are laid out as the receiver's
  std::uint32_t kv_heads = 0, key_dim = 0, value_dim = 0;
  std::uint8_t numbers = 0, keys = 0;
  bool operator==(const PageShape&) const = default;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("page_tokens", s.page_tokens);
    v("kv_heads", s.kv_heads);
    v("key_dim", s.key_dim);
    v("value_dim", s.value_dim);
    v("numbers", s.numbers);
    v("keys", s.keys);
  }
};

/// Header of a data-plane frame: layers x pages of one prompt, payload layer-major, one layer's page after another.
struct KvFrame {
  TROUPE_MESSAGE(KvFrame, 3, 1);
  RequestId request;
  Epoch epoch;
  ModelId model;
  std::uint32_t frame = 0;              ///< counts up from 0 per request
  std::uint32_t first_layer = 0;
  std::uint32_t layers = 0;
  std::vector<std::uint32_t> pages;     ///< indices within the sequence
  std::uint32_t layer_page_bytes = 0;
  std::uint64_t checksum = 0;           ///< XXH3-64 of the payload
  LeaseId lease;                        ///< of the pages it is for; any other reservation refuses it
  PageShape shape = {};                 ///< of the sender's pages; `pages` counts in these
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("model", s.model);
    v("frame", s.frame);
    v("first_layer", s.first_layer);
    v("layers", s.layers);
    v("pages", s.pages);
    v("layer_page_bytes", s.layer_page_bytes);
    v("checksum", s.checksum);
    v.since(2, "lease", s.lease);
    v.since(3, "shape", s.shape);
  }
};

/// Receiver to sender on the data plane: the frame left the receiver's queue and its credit returns.
struct FrameAck {
  TROUPE_MESSAGE(FrameAck, 2, 1);
  RequestId request;
  Epoch epoch;
  std::uint32_t frame = 0;
  bool accepted = true;                 ///< false: nobody waits for this request, stop sending
  LeaseId lease;                        ///< as in the frame
  bool again = false;                   ///< with !accepted: it came damaged or cannot be mapped, send it once more, whole
  bool held = false;                    ///< with accepted: its memory is still read, the credit is yet to come
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("frame", s.frame);
    v("accepted", s.accepted);
    v.since(2, "lease", s.lease);
    v.since(2, "again", s.again);
    v.since(2, "held", s.held);
  }
};

/// Header of a data-plane frame whose payload is a long prompt's token ids (i32 each).
struct PromptFrame {
  TROUPE_MESSAGE(PromptFrame, 1, 1);
  RequestId request;
  Epoch epoch;
  std::uint32_t frame = 0;
  std::uint32_t tokens = 0;
  std::uint64_t checksum = 0;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("frame", s.frame);
    v("tokens", s.tokens);
    v("checksum", s.checksum);
  }
};

/// Worker to worker: send the pages of these blocks that you hold to `data_address`, from the first block on and as far
/// as they follow each other. A long list comes in parts, in order. Keys are salted by tenant: who asks knows the prompt.
struct KvFetch {
  TROUPE_MESSAGE(KvFetch, 2, 1);
  RequestId request;
  Epoch epoch;
  LeaseId lease;                        ///< of the asker's reserved pages; names the fetch
  ModelId model;
  std::uint32_t first_block = 0;        ///< of keys[0]
  std::uint32_t blocks = 0;             ///< in all parts
  std::vector<BlockKey> keys;
  std::uint32_t skip_tokens = 0;        ///< what the asker already holds (whole pages)
  std::string data_address;
  std::string host;                     ///< of who asks: equal ones share memory; empty: none
  TraceLink trace = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("lease", s.lease);
    v("model", s.model);
    v("first_block", s.first_block);
    v("blocks", s.blocks);
    v("keys", s.keys, kMaxBlocks);
    v("skip_tokens", s.skip_tokens);
    v("data_address", s.data_address);
    v("host", s.host);
    v.since(2, "trace", s.trace);
  }
};

struct KvFetched {
  TROUPE_MESSAGE(KvFetched, 1, 1);
  RequestId request;
  Epoch epoch;
  LeaseId lease;
  std::optional<WireError> error;
  bool done = false;                    ///< every frame left; false: a sign of life, frames follow
  std::uint32_t tokens = 0;             ///< leading ones whose pages were sent, skipped ones included
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("lease", s.lease);
    v("error", s.error);
    v("done", s.done);
    v("tokens", s.tokens);
  }
};

/// The asker needs no more frames of this fetch.
struct KvFetchCancel {
  TROUPE_MESSAGE(KvFetchCancel, 1, 1);
  LeaseId lease;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("lease", s.lease);
  }
};

}  // namespace troupe::wire
