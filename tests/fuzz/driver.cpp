// A small stand-in for libFuzzer's main where only g++ is: runs every seed file, then seeded mutations of them (byte flips,
// cuts, insertions, splices, interesting numbers) until the count is reached. TROUPE_FUZZ_RUNS sets the count (default 20000,
// or fewer when TROUPE_FUZZ_SECONDS, default 10, pass first: a slow machine does less, it does not fail).
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

std::vector<Input> read_seeds(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Input> seeds;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (seeds.empty()) seeds.push_back({'{', '}'});
  return seeds;
}

class Mutator {
 public:
  explicit Mutator(std::vector<Input> seeds) : seeds_(std::move(seeds)) {}

  Input next() {
    Input input = pick(seeds_);
    const int edits = 1 + static_cast<int>(below(8));
    for (int i = 0; i < edits; ++i) edit(input);
    if (input.size() > kMaxBytes) input.resize(kMaxBytes);
    return input;
  }

 private:
  static constexpr std::size_t kMaxBytes = 1 << 16;
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  const Input& pick(const std::vector<Input>& from) { return from[below(from.size())]; }

  void edit(Input& input) {
    const std::size_t at = below(input.size() + 1);
    switch (below(7)) {
      case 0:
        if (at < input.size()) input[at] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<std::uint8_t>(below(256));
        break;
      case 2:
        input.resize(at);
        break;
      case 3:
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), below(16) + 1, static_cast<std::uint8_t>(below(256)));
        break;
      case 4:
        if (at < input.size()) {
          const std::size_t count = 1 + below(std::min<std::size_t>(input.size() - at, 32));
          input.erase(input.begin() + static_cast<std::ptrdiff_t>(at), input.begin() + static_cast<std::ptrdiff_t>(at + count));
        }
        break;
      case 5: {
        const Input& other = pick(seeds_);
        const std::size_t from = below(other.size() + 1);
        const std::size_t count = std::min<std::size_t>(other.size() - from, 1 + below(64));
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), other.begin() + static_cast<std::ptrdiff_t>(from),
                     other.begin() + static_cast<std::ptrdiff_t>(from + count));
        break;
      }
      default: {
        static constexpr std::uint64_t kNumbers[] = {0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF,
                                                     0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF};
        const std::uint64_t number = kNumbers[below(std::size(kNumbers))];
        const std::size_t width = std::size_t{1} << below(4);
        for (std::size_t i = 0; i < width && at + i < input.size(); ++i)
          input[at + i] = static_cast<std::uint8_t>(number >> (8 * i));
      }
    }
  }

  std::vector<Input> seeds_;
  std::mt19937_64 random_{20240601};
};

long from_environment(const char* name, long fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtol(text, nullptr, 10);
}

}  // namespace

int main(int argc, char** argv) {
  const auto seeds = read_seeds(argc > 1 ? argv[1] : "");
  for (const Input& seed : seeds) LLVMFuzzerTestOneInput(seed.data(), seed.size());
  Mutator mutator(seeds);
  const long runs = from_environment("TROUPE_FUZZ_RUNS", 20000);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(from_environment("TROUPE_FUZZ_SECONDS", 10));
  long done = 0;
  for (; done < runs && std::chrono::steady_clock::now() < until; ++done) {
    const Input input = mutator.next();
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%zu seeds, %ld mutations\n", seeds.size(), done);
  return done > 0 ? 0 : 1;
}
