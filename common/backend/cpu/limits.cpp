#include "common/backend/limits.hpp"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "common/backend/cpu/cpu_info.hpp"
#include "common/backend/cpu/memory.hpp"
#include "common/backend/cpu/thread_pool.hpp"
#include "common/backend/cpu/tile_config.hpp"

namespace troupe::backend {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10;  ///< bytes a thread claims at once
constexpr std::uint32_t kRounds = 1u << 16;             ///< of a multiply-add loop, a task
constexpr std::chrono::milliseconds kSpan{100};

// Reads: sums that the compiler must keep. Eight independent chains, so that loads and not additions are the limit.
__attribute__((target("avx512f"))) std::uint64_t read_avx512(const std::byte* data, std::size_t bytes) {
  __m512i sum[8] = {};
  for (std::size_t at = 0; at + 512 <= bytes; at += 512)
    for (int i = 0; i < 8; ++i)
      sum[i] = _mm512_add_epi64(sum[i], _mm512_load_si512(reinterpret_cast<const __m512i*>(data + at + 64 * i)));
  for (int i = 1; i < 8; ++i) sum[0] = _mm512_add_epi64(sum[0], sum[i]);
  alignas(64) std::uint64_t lanes[8];
  _mm512_store_si512(reinterpret_cast<__m512i*>(lanes), sum[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
}

__attribute__((target("avx2"))) std::uint64_t read_avx2(const std::byte* data, std::size_t bytes) {
  __m256i sum[8] = {};
  for (std::size_t at = 0; at + 256 <= bytes; at += 256)
    for (int i = 0; i < 8; ++i)
      sum[i] = _mm256_add_epi64(sum[i], _mm256_load_si256(reinterpret_cast<const __m256i*>(data + at + 32 * i)));
  for (int i = 1; i < 8; ++i) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
  alignas(32) std::uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

std::uint64_t read_baseline(const std::byte* data, std::size_t bytes) {
  __m128i sum[8] = {};
  for (std::size_t at = 0; at + 128 <= bytes; at += 128)
    for (int i = 0; i < 8; ++i)
      sum[i] = _mm_add_epi64(sum[i], _mm_load_si128(reinterpret_cast<const __m128i*>(data + at + 16 * i)));
  for (int i = 1; i < 8; ++i) sum[0] = _mm_add_epi64(sum[0], sum[i]);
  alignas(16) std::uint64_t lanes[2];
  _mm_store_si128(reinterpret_cast<__m128i*>(lanes), sum[0]);
  return lanes[0] + lanes[1];
}

// Multiply-adds: the products the kernels are made of, twelve chains in registers. The empty asm makes every round's
// operands unknown, so that no round can be folded into another.
constexpr int kChains = 12;

/// vpdpbusd: 64 a instruction.
__attribute__((target("avx512f,avx512vnni"))) std::uint64_t multiply_avx512(std::uint32_t rounds) {
  __m512i sum[kChains] = {};
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (std::uint32_t round = 0; round < rounds; ++round) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      sum[i] = _mm512_dpbusd_epi32(sum[i], a, b);
      asm volatile("" : "+v"(sum[i]));  // all chains hold the same number: one would do for all, if that were known
    }
  }
#pragma GCC unroll 12  // an array with a counted index would live in memory, sums and all
  for (int i = 1; i < kChains; ++i) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(sum[0]))));
}

constexpr int kShortChains = 8;  // of sixteen registers
/// vpmaddubsw and vpaddw: 32 for the two. Widening the 16-bit sums is left out: a kernel does it once a block.
__attribute__((target("avx2"))) std::uint64_t multiply_avx2(std::uint32_t rounds) {
  __m256i sum[kShortChains] = {};
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
  for (std::uint32_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 8
    for (int i = 0; i < kShortChains; ++i) {
      asm volatile("" : "+x"(a), "+x"(b));
      sum[i] = _mm256_add_epi16(sum[i], _mm256_maddubs_epi16(a, b));
    }
  }
#pragma GCC unroll 8  // an array with a counted index would live in memory, sums and all
  for (int i = 1; i < kShortChains; ++i) sum[0] = _mm256_add_epi16(sum[0], sum[i]);
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(sum[0]))));
}

/// vpdpbusd of 256 bits: 32 an instruction.
__attribute__((target("avx2,avxvnni"))) std::uint64_t multiply_avx_vnni(std::uint32_t rounds) {
  __m256i sum[kShortChains] = {};
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
  for (std::uint32_t round = 0; round < rounds; ++round) {
    asm volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 8
    for (int i = 0; i < kShortChains; ++i) {
      sum[i] = _mm256_dpbusd_avx_epi32(sum[i], a, b);
      asm volatile("" : "+x"(sum[i]));
    }
  }
#pragma GCC unroll 8
  for (int i = 1; i < kShortChains; ++i) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(sum[0]))));
}

constexpr int kTileChains = 4;
/// Whole tiles, 16 x 16 x 64 products each. Kernels fill half a tile's depth: a block has 32 inputs.
__attribute__((target("amx-tile,amx-int8"))) std::uint64_t multiply_amx(std::uint32_t rounds) {
  alignas(64) TileConfig config;
  for (int tile = 0; tile < kTileChains + 2; ++tile) config.set(tile, 16, 64);
  _tile_loadconfig(&config);
  alignas(64) std::uint8_t ones[16 * 64];
  std::fill_n(ones, sizeof(ones), std::uint8_t{1});
  asm volatile("" ::: "memory");
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, ones, 64);
  _tile_loadd(5, ones, 64);
  for (std::uint32_t round = 0; round < rounds; ++round) {
    _tile_dpbsud(0, 4, 5);
    _tile_dpbsud(1, 4, 5);
    _tile_dpbsud(2, 4, 5);
    _tile_dpbsud(3, 4, 5);
  }
  alignas(64) std::int32_t sums[16 * 16];
  _tile_stored(0, sums, 64);
  _tile_release();
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(sums[0]));
}

/// pmaddwd and paddd, which every x86-64 has: 8 for the two.
std::uint64_t multiply_baseline(std::uint32_t rounds) {
  __m128i sum[kChains] = {};
  __m128i a = _mm_set1_epi16(3), b = _mm_set1_epi16(5);
  for (std::uint32_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      asm volatile("" : "+x"(a), "+x"(b));
      sum[i] = _mm_add_epi32(sum[i], _mm_madd_epi16(a, b));
    }
  }
#pragma GCC unroll 12  // an array with a counted index would live in memory, sums and all
  for (int i = 1; i < kChains; ++i) sum[0] = _mm_add_epi32(sum[0], sum[i]);
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_cvtsi128_si32(sum[0])));
}

struct Loops {
  std::uint64_t (*read)(const std::byte* data, std::size_t bytes);
  std::uint64_t (*multiply)(std::uint32_t rounds);
  double products;  ///< multiply-adds of one round
};

Loops loops_of(Isa isa) {
  switch (isa) {
    case Isa::amx: return {read_avx512, multiply_amx, 16384.0 * kTileChains};
    case Isa::avx512: return {read_avx512, multiply_avx512, 64.0 * kChains};
    case Isa::avx_vnni: return {read_avx2, multiply_avx_vnni, 32.0 * kShortChains};
    case Isa::avx2: return {read_avx2, multiply_avx2, 32.0 * kShortChains};
    default: return {read_baseline, multiply_baseline, 8.0 * kChains};
  }
}

class CpuLimitProbe final : public LimitProbe {
 public:
  CpuLimitProbe(std::uint32_t threads, Isa isa, std::size_t bytes)
      : loops_(loops_of(isa)), pool_(threads), memory_((bytes + kPiece - 1) / kPiece * kPiece), sink_(threads) {
    if (memory_.data() == nullptr) return;
    // Pages never written share one page of zeros, which a cache holds.
    pool_.run(pieces(), [&](std::uint32_t piece, std::uint32_t) {
      std::fill_n(memory_.data() + piece * kPiece, kPiece, static_cast<std::byte>(piece * 7 + 1));
    });
  }
  [[nodiscard]] bool fits() const { return memory_.data() != nullptr; }

  double read_bandwidth() override {
    return rate(static_cast<double>(memory_.bytes()), [&] {
      pool_.run(pieces(), [&](std::uint32_t piece, std::uint32_t worker) {
        sink_[worker].value = sink_[worker].value + loops_.read(memory_.data() + piece * kPiece, kPiece);
      });
    });
  }

  double multiply_adds() override {
    return rate(loops_.products * kRounds * pool_.threads(), [&] {
      pool_.run(pool_.threads(), [&](std::uint32_t, std::uint32_t worker) { sink_[worker].value = sink_[worker].value + loops_.multiply(kRounds); });
    });
  }

 private:
  struct alignas(64) Sink {
    volatile std::uint64_t value = 0;
  };

  [[nodiscard]] std::uint32_t pieces() const { return static_cast<std::uint32_t>(memory_.bytes() / kPiece); }

  template <class Pass>
  static double rate(double work, const Pass& pass) {
    const auto begin = std::chrono::steady_clock::now();
    double done = 0;
    std::chrono::duration<double> taken{};
    do {
      pass();
      done += work;
      taken = std::chrono::steady_clock::now() - begin;
    } while (taken < kSpan);
    return done / taken.count();
  }

  const Loops loops_;
  cpu::ThreadPool pool_;
  cpu::Memory memory_;
  std::vector<Sink> sink_;
};

}  // namespace

Expected<std::unique_ptr<LimitProbe>> make_cpu_limit_probe(const CpuOptions& options, std::size_t buffer_bytes) {
  const Isa isa = options.isa == Isa::automatic ? cpu::best_isa() : options.isa;
  if (!cpu::supports(isa))
    return fail(Errc::invalid_argument, "this machine lacks the instruction set " + std::string(isa_name(isa)));
  if (buffer_bytes == 0 || buffer_bytes > std::size_t{kPiece} * cpu::ThreadPool::kMaxTasks)
    return fail(Errc::invalid_argument, "a probe reads 1 byte to 16 GiB, found " + std::to_string(buffer_bytes));
  const std::uint32_t threads = options.threads != 0 ? options.threads : cpu::usable_cpus();
  auto probe = std::make_unique<CpuLimitProbe>(threads, isa, buffer_bytes);
  if (!probe->fits()) return fail(Errc::does_not_fit, "no memory for a buffer of " + std::to_string(buffer_bytes) + " bytes");
  return probe;
}

}  // namespace troupe::backend
