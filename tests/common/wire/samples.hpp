#pragma once
// One filled sample of every message, for golden files and round trips.
#include <vector>

#include "common/wire/draft_messages.hpp"
#include "common/wire/messages.hpp"

namespace troupe::wire {

inline std::vector<Envelope> message_samples() {
  const NodeId node{1, 2};
  const RequestId request{3, 4};
  const ModelId model{5, 6};
  const Epoch epoch{7};
  const LeaseId lease{0x5566778899AABBCC};
  const TraceLink trace{{41, 42}, {43}};
  const ModelInfo info{"smollm2", model, 8192, 30, 49152, "arith1-act32-kvf16"};
  const Load load{model, 1, 2, 100, 50, 20, 5, 77, 1000, 2000, 300, 320};
  SamplingParams sampling;
  sampling.temperature = 0.7f;
  sampling.logit_bias = {{11, -1.5f}, {12, 2.5f}};
  sampling.seed = 0x1122334455667788ULL;
  sampling.logprobs = 3;
  sampling.report_logprobs = true;
  sampling.repeat_last_n = 64, sampling.top_n_sigma = 1.5f, sampling.xtc_probability = 0.25f, sampling.xtc_threshold = 0.125f;
  sampling.dynatemp_range = 0.5f, sampling.dynatemp_exponent = 2.0f;
  sampling.dry = {0.75f, 1.5f, 3, 256, {10, 13}, {{14, 15}, {14, 16, 17}}};
  const WireToken token{42, -0.5f, {{42, -0.5f}, {7, -1.25f}}};
  const WireError error{Errc::queue_full, "64 of 64"};
  const std::vector<BlockKey> keys = {{21, 22}, {23, 24}};
  return {
      pack(Join{node, Role::prefill, "prefill-0", "tcp://127.0.0.1:7001", "tcp://127.0.0.1:7002", {info}, "tcp://router:7000",
                {ModelId{33, 34}}, Release{"1.2.3", 7, 6}}),
      pack(JoinReply{node, error, 500, "tcp://router:7000", Release{"1.2.3", 7, 6}}),
      pack(Heartbeat{node, 99, true, false, {load}}),
      pack(Leave{node, "drain"}),
      pack(KvUpdate{node, model, 5, false, keys, {{25, 26}}, {{27, 28}}, {{29, 30}}}),
      pack(KvSnapshotRequest{node, model}),
      pack(ModelTable{{{info, 2}}}),
      pack(PlaceRequest{request, epoch, "smollm2", "default", 100, 50, 2, keys, {node}, 60000, -3, 0x99, trace}, epoch),
      pack(Placement{request, epoch, node, "tcp://127.0.0.1:7003", "tcp://127.0.0.1:7004", NodeId{8, 9},
                     "tcp://127.0.0.1:7001", 32, "prefix", "tcp://127.0.0.1:7002", "tcp://127.0.0.1:7005", 640, ModelId{35, 36}}, epoch),
      pack(PlaceRefused{request, epoch, error, 1500}, epoch),
      pack(RequestEnded{request, epoch, Outcome::failed}, epoch),
      pack(Generate{request, epoch, model, "default", {1, 2, 3}, false, 3, 1, 0, 2, 50, {2}, {sampling}, true, 60000,
                    "tcp://127.0.0.1:7001", "tcp://127.0.0.1:7002", -5, "tcp://127.0.0.1:7005", 640, ModelId{35, 36}, "prompt-lookup",
                    trace, {grammar::Kind::regex, "[a-z]+"}, {6, 3, 0.5f, 0.75f, EarlyStopping::never}, {5, {1, 2, 3}, {{7}, {8, 9}}}, {21, 22},
                    {3, 0.54f, 0.06f, 9}}, epoch),
      pack(Tokens{node, 17, {{request, epoch, 1, 4, {token}, FinishReason::stop, error, 32, {token}, 0, 0, 5, 3, -0.25}}, {0}}, epoch),
      pack(Resend{request, epoch, 1, 3}, epoch),
      pack(Cancel{request, epoch}, epoch),
      pack(PrefillRequest{request, epoch, model, "default", {1, 2, 3}, false, 2, 0, "tcp://127.0.0.1:7004", 60000, 7, lease, "host",
                          trace, 3, {10, 0, 1, 0}}, epoch),
      pack(PrefillDone{request, epoch, error, 9, 16, true, token, 1, 4}, epoch),
      pack(KvFrame{request, epoch, model, 3, 4, 2, {0, 1}, 128, 0xABCDEF, lease, {64, 3, 32, 32, 1, 0}}, epoch),
      pack(FrameAck{request, epoch, 3, false, lease, true, true}, epoch),
      pack(PromptFrame{request, epoch, 0, 20000, 0x123456}, epoch),
      pack(Ping{12}),
      pack(Pong{12, node}),
      pack(WorkerGone{node, "lost", true}),
      pack(PlacementCheck{{{request, epoch}}}),
      pack(RequestStarted{request, epoch, 123456, 32}, epoch),
      pack(PagesMoved{request, epoch, node, model, "tcp://127.0.0.1:7005", 640, 4321}, epoch),
      pack(RequestRecord{request, true, true, "{\"model\":\"smollm2\"}", {1, 2, 3}, 0x1122334455667788ULL, 1700000000, model,
                         RequestId{31, 32}}),
      pack(WorkerTable{node, 9, 1, 2, {{NodeId{8, 9}, Role::prefill, "prefill-0", "tcp://127.0.0.1:7001",
                                         "tcp://127.0.0.1:7002", {"smollm2"}}}}),
      pack(KvFetch{request, epoch, lease, model, 2, 4, keys, 64, "tcp://127.0.0.1:7004", "host", trace}, epoch),
      pack(KvFetched{request, epoch, lease, error, true, 96}, epoch),
      pack(KvFetchCancel{lease}),
      pack(Handover{node, {{request, epoch}}}),
      pack(ChangeRole{node, Role::prefill, 30000}),
      pack(ClusterReport{node, 9, 1, 2,
                         {{NodeId{8, 9}, Role::prefill, "prefill-0", "tcp://127.0.0.1:7001", true, false, true, 120, 3, 1,
                           {{"smollm2", 1, 2, 320, 100, 50, 20, 5, 77, 1000, 2000, 300}}}},
                         {{request, epoch, "{\"decode\":\"decode-0\"}"}}}),
      pack(Operate{node, Operation::drain}),
      pack(Spans{request, epoch, 1, Role::prefill, "prefill-0", 5000, 2,
                 {{{44}, {43}, "prefill", 1000, 4000, true, {{"troupe.tokens", 640}}, {{"error.type", "out_of_pages"}}}}}, epoch),
      pack(DraftAsk{node, {51, 52}, 250, {{61, 7, 3, 0x99887766, {10, 11}, 4}}}),
      pack(DraftProposal{node, {{61, 7, DraftOutcome::lost, 5, {12, 13}, {0.5f, 0.25f}, {14, 15}, {0.125f, 0.0625f}}}}),
      pack(DraftOffer{12, node, {{51, 52}}, true}),
      pack(DraftForget{node, {61, 62}}),
      pack(Embed{request, epoch, model, "default", {1, 2, 3}, false, 3, Pooling::last, 60000, -5, trace}, epoch),
      pack(EmbedReply{request, epoch, {0.6f, -0.8f}, 2}, epoch),
  };
}

}  // namespace troupe::wire
