// top-k [Fan et al. 2018], top-p [Holtzman et al. 2019, arXiv:1904.09751], locally typical sampling [Meister et al. 2022,
// arXiv:2202.00666], min-p [Nguyen et al. 2024, arXiv:2407.01082], top-n-sigma [Tang et al. 2024, arXiv:2411.07641]; XTC and dynamic
// temperature as llama.cpp has them. Each renormalises over what the one before it left.
#include "common/sampling/candidates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/sampling/clones.hpp"
#include "common/sampling/exact_math.hpp"
#include "common/sampling/order.hpp"

namespace troupe {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

TROUPE_CLONES float max_of(const float* x, std::size_t n) {
  float lane[32];
  for (float& value : lane) value = kLowest;
  const std::size_t whole = n / 32 * 32;
  for (std::size_t i = 0; i < whole; i += 32) {
    for (std::size_t j = 0; j < 32; ++j) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  }
  float best = kLowest;
  for (const float value : lane) best = value > best ? value : best;
  for (std::size_t i = whole; i < n; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

TROUPE_CLONES void exp_block(const float* x, std::size_t n, double temperature, double top, double* weights) {
  for (std::size_t i = 0; i < n; ++i) {
    const double weight = exact::exp(static_cast<double>(x[i]) / temperature - top);
    weights[i] = x[i] > kLowest ? weight : 0.0;  // NaN weighs nothing
  }
}

TROUPE_CLONES void add_lanes(const double* x, std::size_t n, double* lane) {
  for (std::size_t i = 0; i + 16 <= n; i += 16) {
    for (std::size_t j = 0; j < 16; ++j) lane[j] += x[i + j];
  }
}

double mass_above(std::span<const double> weights, double cut) {
  double lane[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= weights.size(); i += 8) {
    for (std::size_t j = 0; j < 8; ++j) lane[j] += weights[i + j] >= cut ? weights[i + j] : 0.0;
  }
  double mass = 0.0;
  for (const double value : lane) mass += value;
  for (; i < weights.size(); ++i) mass += weights[i] >= cut ? weights[i] : 0.0;
  return mass;
}

std::vector<double>& weight_scratch(std::size_t size) {
  thread_local std::vector<double> scratch;
  if (scratch.size() < size) scratch.resize(size);
  return scratch;
}

void weigh(std::vector<Candidate>& list, double temperature) {
  double top = -std::numeric_limits<double>::infinity();
  for (Candidate& c : list) {
    c.score = static_cast<double>(c.logit) / temperature;
    top = std::max(top, c.score);
  }
  constexpr std::size_t kBlock = 256;
  float logits[kBlock];
  double weights[kBlock];
  for (std::size_t at = 0; at < list.size(); at += kBlock) {
    const std::size_t n = std::min(kBlock, list.size() - at);
    for (std::size_t i = 0; i < n; ++i) logits[i] = list[at + i].logit;
    exp_block(logits, n, temperature, top, weights);
    for (std::size_t i = 0; i < n; ++i) list[at + i].weight = weights[i];
  }
}

double total_weight(const std::vector<Candidate>& list) {
  double total = 0.0;
  for (const Candidate& c : list) total += c.weight;
  return total;
}

// Keeps the shortest prefix of the (sorted) list that holds `target` of the weight; at least one.
void cut_at_mass(std::vector<Candidate>& list, double target) {
  double mass = 0.0;
  std::size_t keep = 0;
  while (keep < list.size()) {
    mass += list[keep++].weight;
    if (mass >= target) break;
  }
  list.resize(std::max<std::size_t>(keep, 1));
}

std::vector<Candidate> all_candidates(std::span<const float> logits) {
  std::vector<Candidate> list;
  list.reserve(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > kLowest) list.push_back({.id = static_cast<TokenId>(i), .logit = logits[i]});
  }
  if (list.empty()) list.push_back({.id = 0, .logit = 0.0f});
  return list;
}

double temperature_of_filters(const SamplingParams& params) {
  return params.dynatemp_range > 0.0f ? 1.0 : static_cast<double>(params.temperature);
}

TROUPE_CLONES void add_moments(const float* x, std::size_t n, double mean, double* count, double* sum, double* squares) {
  for (std::size_t i = 0; i + 16 <= n; i += 16) {
    for (std::size_t j = 0; j < 16; ++j) {
      const bool some = x[i + j] > kLowest;
      const double off = some ? static_cast<double>(x[i + j]) - mean : 0.0;
      count[j] += some ? 1.0 : 0.0;
      sum[j] += off;
      squares[j] += off * off;
    }
  }
}

struct Moments {
  double count = 0.0, sum = 0.0, squares = 0.0;
};

// Of what is finite, about `mean`; NaN and impossible tokens aside.
Moments moments_of(std::span<const float> logits, double mean) {
  double count[16] = {}, sum[16] = {}, squares[16] = {};
  add_moments(logits.data(), logits.size(), mean, count, sum, squares);
  float rest[16];
  std::fill(std::begin(rest), std::end(rest), kLowest);
  const std::size_t whole = logits.size() / 16 * 16;
  std::copy(logits.begin() + static_cast<std::ptrdiff_t>(whole), logits.end(), rest);
  add_moments(rest, 16, mean, count, sum, squares);
  Moments out;
  for (std::size_t j = 0; j < 16; ++j) {
    out.count += count[j];
    out.sum += sum[j];
    out.squares += squares[j];
  }
  return out;
}

// The logits that are at most `sigmas` standard deviations below the best, the others impossible; in this thread's scratch.
std::span<const float> near_top(std::span<const float> logits, double top, double sigmas) {
  const Moments first = moments_of(logits, 0.0);
  const Moments about = moments_of(logits, first.sum / first.count);
  const double least = top - sigmas * std::sqrt(about.squares / about.count);
  thread_local std::vector<float> scratch;
  scratch.assign(logits.begin(), logits.end());
  for (float& logit : scratch)
    if (!(static_cast<double>(logit) >= least)) logit = kLowest;
  return scratch;
}

// Every token that min-p alone may keep (all when it is off), and a few more: ln(min_p) below the best, with room to spare.
std::vector<Candidate> near_candidates(std::span<const float> logits, const SamplingParams& params) {
  if (!(params.min_p > 0.0f)) return all_candidates(logits);
  const double reach = temperature_of_filters(params) * (exact::log(static_cast<double>(params.min_p)) - 1e-3);
  const double top = static_cast<double>(logits[best_index(logits)]);
  std::vector<Candidate> list;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (static_cast<double>(logits[i]) >= top + reach) list.push_back({.id = static_cast<TokenId>(i), .logit = logits[i]});
  }
  return list;
}

struct Deviant {
  double deviance = 0.0;
  Candidate candidate;
};

// Keeps the tokens whose surprise is nearest to the entropy. Sorts only as many as may be needed.
void keep_typical(std::vector<Candidate>& list, double typical_p) {
  const double total = total_weight(list);
  const double log_total = exact::log(total);
  const double top = std::max_element(list.begin(), list.end(), [](const Candidate& a, const Candidate& b) {
                       return a.score < b.score;
                     })->score;
  double expected = 0.0;
  for (const Candidate& c : list) expected += c.weight * (c.score - top);
  const double entropy = log_total - expected / total;
  std::vector<Deviant> order;
  order.reserve(list.size());
  for (const Candidate& c : list) order.push_back({std::fabs(log_total - (c.score - top) - entropy), c});
  const auto nearer = [](const Deviant& a, const Deviant& b) {
    return a.deviance != b.deviance ? a.deviance < b.deviance : a.candidate.id < b.candidate.id;
  };
  const double target = typical_p * total;
  for (std::size_t count = 512;; count *= 8) {
    const std::size_t some = std::min(count, order.size());
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(some);
    if (middle != order.end()) std::nth_element(order.begin(), middle, order.end(), nearer);
    double mass = 0.0;
    for (auto it = order.begin(); it != middle; ++it) mass += it->candidate.weight;
    if (some < order.size() && mass < target * (1.0 + 1e-9)) continue;
    std::sort(order.begin(), middle, nearer);
    order.erase(middle, order.end());
    break;
  }
  list.clear();
  for (const Deviant& d : order) list.push_back(d.candidate);
  cut_at_mass(list, target);
  sort_best_first(list);
}

// The nucleus of the whole vocabulary: only tokens above a cut that surely holds it are sorted.
std::vector<Candidate> nucleus(std::span<const float> logits, double temperature, double top_p) {
  const double top = static_cast<double>(logits[best_index(logits)]) / temperature;
  std::vector<double>& weights = weight_scratch(logits.size());
  const double target = top_p * exp_sum(logits, temperature, top, weights.data());
  const std::span<const double> seen(weights.data(), logits.size());
  double cut = 0.0;
  for (const double some : {1e-2, 1e-3, 1e-4, 1e-6}) {
    if (mass_above(seen, some) >= target * (1.0 + 1e-9)) {
      cut = some;
      break;
    }
  }
  std::vector<Candidate> list;
  if (cut == 0.0) list.reserve(seen.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (!(seen[i] >= cut && seen[i] > 0.0)) continue;
    list.push_back({.id = static_cast<TokenId>(i),
                    .logit = logits[i],
                    .score = static_cast<double>(logits[i]) / temperature,
                    .weight = seen[i]});
  }
  if (list.empty()) return all_candidates(logits.first(1));
  sort_best_first(list);
  cut_at_mass(list, target);
  return list;
}

// Weighs a list and applies typical and top-p.
void narrow(std::vector<Candidate>& list, const SamplingParams& params) {
  weigh(list, temperature_of_filters(params));
  if (params.typical_p < 1.0f) keep_typical(list, static_cast<double>(params.typical_p));
  if (params.top_p < 1.0f) cut_at_mass(list, static_cast<double>(params.top_p) * total_weight(list));
}

void keep_min_p(std::vector<Candidate>& list, double min_p) {
  double most = 0.0;
  for (const Candidate& c : list) most = std::max(most, c.weight);
  std::erase_if(list, [&](const Candidate& c) { return c.weight < min_p * most; });
}

}  // namespace

std::uint32_t best_index(std::span<const float> logits) {
  const float best = max_of(logits.data(), logits.size());
  const auto at = std::find(logits.begin(), logits.end(), best);
  return at == logits.end() ? 0 : static_cast<std::uint32_t>(at - logits.begin());
}

double exp_sum(std::span<const float> logits, double temperature, double top, double* weights) {
  constexpr std::size_t kBlock = 1024;
  double lane[16] = {};
  double block[kBlock];
  double rest[16] = {};
  for (std::size_t at = 0; at < logits.size(); at += kBlock) {
    const std::size_t n = std::min(kBlock, logits.size() - at);
    double* out = weights != nullptr ? weights + at : block;
    exp_block(logits.data() + at, n, temperature, top, out);
    add_lanes(out, n, lane);
    const std::size_t whole = n / 16 * 16;
    for (std::size_t i = whole; i < n; ++i) rest[i - whole] += out[i];
  }
  for (std::size_t j = 0; j < 16; ++j) lane[j] += rest[j];
  for (std::size_t half = 8; half > 0; half /= 2) {
    for (std::size_t j = 0; j < half; ++j) lane[j] += lane[j + half];
  }
  return lane[0];
}

std::vector<Candidate> best_candidates(std::span<const float> logits, std::uint32_t count) {
  const std::size_t want = std::min<std::size_t>(count, logits.size());
  if (want == 0) return {};
  const std::size_t room = std::max<std::size_t>(2 * want, 256);
  std::vector<Candidate> list;
  list.reserve(room);
  float worst = kLowest;  // of the best `want` so far: a later token must beat it, an equal one has a higher id
  bool full = false;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (full ? !(logits[i] > worst) : !(logits[i] > kLowest)) continue;
    list.push_back({.id = static_cast<TokenId>(i), .logit = logits[i]});
    if (list.size() < room) continue;
    std::nth_element(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(want - 1), list.end(), better);
    list.resize(want);
    worst = list.back().logit;
    full = true;
  }
  if (list.empty()) return all_candidates(logits.first(1));
  sort_best_first(list);
  if (list.size() > want) list.resize(want);
  return list;
}

std::vector<Candidate> filter_candidates(std::span<const float> logits, const SamplingParams& params) {
  const std::uint32_t best = best_index(logits);
  if (!std::isfinite(logits[best])) return {{.id = static_cast<TokenId>(best)}};  // no softmax: what arg-max takes
  const double temperature = temperature_of_filters(params);
  if (params.top_n_sigma > 0.0f)
    logits = near_top(logits, static_cast<double>(logits[best]), static_cast<double>(params.top_n_sigma));
  const bool top_k = params.top_k > 0 && params.top_k < logits.size();
  const bool typical = params.typical_p < 1.0f;
  const bool top_p = params.top_p < 1.0f;
  std::vector<Candidate> list;
  if (!top_k && !typical && top_p) {
    list = nucleus(logits, temperature, static_cast<double>(params.top_p));
  } else {
    list = top_k ? best_candidates(logits, params.top_k)
                 : (typical ? all_candidates(logits) : near_candidates(logits, params));
    narrow(list, params);
  }
  if (params.min_p > 0.0f) keep_min_p(list, static_cast<double>(params.min_p));
  return list;
}

std::vector<Candidate> filter_best(std::span<const TokenLogit> best, const SamplingParams& params) {
  if (!std::isfinite(best.front().logit)) return {{.id = best.front().token}};
  std::vector<Candidate> list;
  list.reserve(best.size());
  for (const TokenLogit& each : best) {
    if (each.logit > kLowest) list.push_back({.id = each.token, .logit = each.logit});
  }
  narrow(list, params);
  if (params.min_p > 0.0f) keep_min_p(list, static_cast<double>(params.min_p));
  return list;
}

void exclude_top(std::vector<Candidate>& list, double threshold) {
  const double least = threshold * total_weight(list);
  const Candidate* worst = nullptr;
  std::size_t above = 0;
  for (const Candidate& c : list) {
    if (!(c.weight >= least)) continue;
    ++above;
    if (worst == nullptr || better(*worst, c)) worst = &c;
  }
  if (above < 2) return;
  const TokenId kept = worst->id;
  std::erase_if(list, [&](const Candidate& c) { return c.weight >= least && c.id != kept; });
}

double apply_dynamic_temperature(std::vector<Candidate>& list, const SamplingParams& params) {
  const double middle = static_cast<double>(params.temperature), range = static_cast<double>(params.dynatemp_range);
  double temperature = middle;
  if (list.size() > 1) {
    weigh(list, 1.0);
    const double total = total_weight(list);
    double expected = 0.0;  // of the surprise
    for (const Candidate& c : list) {
      const double p = c.weight / total;
      if (p > 1e-300) expected -= p * exact::log(p);  // log wants a normal number
    }
    const double share = std::clamp(expected / exact::log(static_cast<double>(list.size())), 0.0, 1.0);
    const double exponent = static_cast<double>(params.dynatemp_exponent);
    const double power = share > 0.0 ? exact::exp(exponent * exact::log(share)) : (exponent > 0.0 ? 0.0 : 1.0);
    const double low = std::max(0.0, middle - range);
    temperature = low + (middle + range - low) * power;
  }
  if (!(temperature > 0.0)) {
    std::iter_swap(list.begin(), std::min_element(list.begin(), list.end(), better));
    return 0.0;
  }
  for (Candidate& c : list) c.score = static_cast<double>(c.logit) / temperature;
  return temperature;
}

}  // namespace troupe
