#include "sampler.hpp"

#include <algorithm>
#include <cmath>

#include "top.hpp"

namespace nescio {

namespace {

constexpr int BINS = 2048;
constexpr double BINS_PER_NAT = 64;
constexpr double NO_CENTRE = HUGE_VAL;

// How far a score stands from the centre; without one, from the largest score, 0.
double distance(double score, double centre) {
    return centre == NO_CENTRE ? -score : std::abs(score - centre);
}

int bin_of(double distance) {
    const double bin = distance * BINS_PER_NAT;
    return bin < BINS - 1 ? static_cast<int>(bin) : BINS - 1;
}

// The nearest come first, equally near ones by lower id.
struct Nearer {
    double centre;
    bool operator()(const Token& one, const Token& other) const {
        const double near = distance(one.score, centre);
        const double far = distance(other.score, centre);
        return near != far ? near < far : one.id < other.id;
    }
};

double total_weight(const std::vector<Token>& tokens) {
    double sum = 0;
    for (const Token& token : tokens) sum += token.weight;
    return sum;
}

double mean_score(const std::vector<Token>& tokens) {
    double sum = 0;
    for (const Token& token : tokens)
        if (token.weight > 0) sum += token.weight * token.score;
    return sum / total_weight(tokens);
}

// The last of the fewest nearest tokens whose weights reach `needed`: halves are put
// aside whole, so that only a few tokens are ever sorted.
Token last_needed(std::vector<Token>& tokens, const Nearer& nearer, double needed) {
    auto begin = tokens.begin(), end = tokens.end();
    double reached = 0;
    while (end - begin > 32) {
        const auto middle = begin + (end - begin) / 2;
        std::nth_element(begin, middle, end, nearer);
        double nearer_half = 0;
        for (auto token = begin; token != middle; ++token)
            nearer_half += token->weight;
        if (reached + nearer_half >= needed) {
            end = middle;
        } else {
            reached += nearer_half;
            begin = middle;
        }
    }
    std::sort(begin, end, nearer);
    for (auto token = begin; token != end; ++token) {
        reached += token->weight;
        if (reached >= needed) return *token;
    }
    return *(end - 1);
}

}  // namespace

Sampler::Sampler(const Kernels& kernels_, const Rows& rows_, const Sampling& wanted)
    : kernels(kernels_),
      rows(rows_),
      sampling(wanted),
      greedy(wanted.temperature == 0),
      whole((wanted.top_k == 0 || wanted.top_k >= rows_.vocab) && wanted.top_p == 1 &&
            wanted.min_p == 0 && wanted.typical_p == 1),
      scores(BLOCK),
      weights(BLOCK),
      sums(block_count(rows_.vocab)) {
    if (!whole && !greedy && 0 < wanted.top_k && wanted.top_k < rows_.vocab) {
        best.resize(wanted.top_k);
        pool.resize(pool_size(wanted.top_k) * sizeof(WideEntry));
    }
}

// Takes those tokens of the row for which keep(score, weight) holds.
template <class Keep>
void Sampler::take(std::int64_t row, double peak, Keep keep) {
    for (std::int64_t from = 0; from < rows.vocab; from += BLOCK) {
        kernels.scores(rows, row, from, sampling.temperature, peak, scores.data(),
                       weights.data());
        const std::int64_t columns = std::min(BLOCK, rows.vocab - from);
        for (std::int64_t i = 0; i < columns; ++i)
            if (keep(scores[i], weights[i]))
                tokens.push_back({scores[i], weights[i], from + i});
    }
}

template <class Drop>
void Sampler::drop(Drop drop) {
    tokens.erase(std::remove_if(tokens.begin(), tokens.end(), drop), tokens.end());
}

bool Sampler::take_top_k(std::int64_t row) {
    double peak;
    if (!kernels.top(rows, row, sampling.top_k, {pool.data()}, best.data(), peak))
        return false;
    std::sort(best.begin(), best.end());
    for (const std::int32_t id : best) {
        double score = kernels.value(rows, row, id) - peak;
        if (sampling.temperature != 1) score /= sampling.temperature;
        tokens.push_back({score, std::exp(score), id});
    }
    return true;
}

// Keeps the fewest of the tokens nearest to the centre whose weights reach `needed`.
void Sampler::keep_fewest(double centre, double needed) {
    const Nearer nearer{centre};
    ordered = tokens;
    const Token last = last_needed(ordered, nearer, needed);
    drop([&](const Token& token) { return nearer(last, token); });
}

// The same of the whole row. The mass is first added up by distance, so that no more
// tokens are taken than can be kept, and only the farthest of them are compared.
void Sampler::take_fewest(std::int64_t row, double peak, double centre, double needed) {
    std::vector<double> bins(BINS);
    take(row, peak, [&](double score, double weight) {
        bins[bin_of(distance(score, centre))] += weight;
        return false;
    });
    double before = 0;
    int farthest = 0;
    while (farthest < BINS - 1 && before + bins[farthest] < needed)
        before += bins[farthest++];
    take(row, peak, [&](double score, double) {
        return bin_of(distance(score, centre)) <= farthest;
    });
    ordered.clear();
    for (const Token& token : tokens)
        if (bin_of(distance(token.score, centre)) == farthest) ordered.push_back(token);
    if (ordered.empty()) return;
    const Nearer nearer{centre};
    const Token last = last_needed(ordered, nearer, needed - before);
    drop([&](const Token& token) { return nearer(last, token); });
}

// Fills `tokens` with what the steps leave, in their order; each sees what the one
// before has left. The first reads the row, the others what has been taken from it.
bool Sampler::survive(std::int64_t row) {
    tokens.clear();
    bool taken = !best.empty();
    double peak = 0, total = 0, moment = 0;
    std::int64_t id;
    if (taken ? !take_top_k(row) : !kernels.peak(rows, row, peak, id)) return false;
    const auto sum_up = [&] {
        kernels.score_sums(rows, row, sampling.temperature, peak, total, moment);
    };
    if (const double mass = sampling.top_p; mass < 1) {
        if (taken) {
            keep_fewest(NO_CENTRE, mass * total_weight(tokens));
        } else {
            sum_up();
            take_fewest(row, peak, NO_CENTRE, mass * total);
        }
        taken = true;
    }
    if (const double share = sampling.min_p; share > 0) {
        if (taken)
            drop([&](const Token& token) { return !(token.weight >= share); });
        else
            take(row, peak, [&](double, double weight) { return weight >= share; });
        taken = true;
    }
    if (const double mass = sampling.typical_p; mass < 1) {
        // Surprisal and entropy are score and mean score but for sign and a constant.
        if (taken) {
            keep_fewest(mean_score(tokens), mass * total_weight(tokens));
        } else {
            sum_up();
            take_fewest(row, peak, moment / total, mass * total);
        }
        taken = true;
    }
    if (!taken) take(row, peak, [](double, double) { return true; });
    return true;
}

// Looks in one block for the token at which the running sum exceeds `aim`, else for the
// last that can be drawn; false if none can.
bool Sampler::place(std::int64_t row, std::int64_t block, double peak, double aim,
                    std::int32_t& id) {
    const std::int64_t from = block * BLOCK;
    const std::int64_t columns = std::min(BLOCK, rows.vocab - from);
    kernels.weights(rows, row, from, sampling.temperature, peak, weights.data());
    double reached = 0;
    std::int64_t last = -1;
    for (std::int64_t i = 0; i < columns && reached <= aim; ++i) {
        reached += weights[i];
        if (weights[i] > 0) last = i;
    }
    id = static_cast<std::int32_t>(from + last);
    return last >= 0;
}

// The first of `count` weights at which their running sum exceeds the share `uniform` of
// their total, else the last that is positive; -1 if none is.
std::int64_t chosen(const double* weights, std::int64_t count, double uniform) {
    double total = 0, reached = 0;
    for (std::int64_t i = 0; i < count; ++i) total += weights[i];
    const double aim = uniform * total;
    std::int64_t last = -1;
    for (std::int64_t i = 0; i < count && reached <= aim; ++i) {
        reached += weights[i];
        if (weights[i] > 0) last = i;
    }
    return last;
}

// Looks in one block for a strip, and in that for a token.
bool Sampler::place_in_strip(std::int64_t row, std::int64_t block, double peak,
                             const double* uniforms, std::int32_t& id) {
    const std::int64_t from = block * BLOCK;
    const std::int64_t columns = std::min(BLOCK, rows.vocab - from);
    kernels.weights(rows, row, from, sampling.temperature, peak, weights.data());
    double strips[BLOCK / STRIP] = {};
    for (std::int64_t i = 0; i < columns; ++i) strips[i / STRIP] += weights[i];
    const std::int64_t strip = chosen(strips, BLOCK / STRIP, uniforms[1]);
    if (strip < 0) return false;
    const std::int64_t first = strip * STRIP;
    const std::int64_t token = chosen(weights.data() + first,
                                      std::min(STRIP, columns - first), uniforms[0]);
    id = static_cast<std::int32_t>(from + first + token);
    return true;
}

// A draw from the row as it is: one pass for the sums of its blocks, and one block.
bool Sampler::draw_whole(std::int64_t row, const Uniforms& uniforms, std::int32_t& id,
                         double& logp, double& peak) {
    double total = 0, before = 0;
    const double uniform = uniforms.at[uniforms.levels - 1];
    if (!kernels.block_sums(rows, row, sampling.temperature, sums.data(), peak))
        return false;
    for (const double sum : sums) total += sum;
    const double aim = uniform * total;  // less than the total, u being below 1
    const std::int64_t blocks = static_cast<std::int64_t>(sums.size());
    std::int64_t block = 0;
    while (block < blocks - 1 && before + sums[block] <= aim) before += sums[block++];
    // A sum may be positive and every weight too small for single precision.
    bool found = uniforms.levels > 1
                     ? place_in_strip(row, block, peak, uniforms.at, id)
                     : place(row, block, peak, aim - before, id);
    for (std::int64_t next = block + 1; !found && next < blocks; ++next)
        found = place(row, next, peak, 0, id);
    for (std::int64_t next = block - 1; !found && next >= 0; --next)
        found = place(row, next, peak, HUGE_VAL, id);
    const double score = (kernels.value(rows, row, id) - peak) / sampling.temperature;
    logp = std::min(score - std::log(total), 0.0);
    return true;
}

const Token* Sampler::pick(double uniform, double total) const {
    const double aim = uniform * total;
    const Token* drawn = nullptr;
    double reached = 0;
    for (const Token& token : tokens) {
        if (token.weight > 0) drawn = &token;
        if ((reached += token.weight) > aim) break;
    }
    return drawn;
}

// The same tree over what the cuts have left.
const Token* Sampler::pick_by_levels(const double* uniforms) {
    std::size_t begin = 0, end = tokens.size();
    for (const std::int64_t width : {BLOCK, STRIP, std::int64_t{1}}) {
        scratch.clear();
        bounds.clear();
        for (std::size_t i = begin; i < end; ++i) {
            if (i == begin || tokens[i].id / width != tokens[i - 1].id / width) {
                scratch.push_back(0);
                bounds.push_back(i);
            }
            scratch.back() += tokens[i].weight;
        }
        bounds.push_back(end);
        const double uniform = uniforms[width == BLOCK ? 2 : width == STRIP ? 1 : 0];
        const auto at = static_cast<std::size_t>(
            chosen(scratch.data(), static_cast<std::int64_t>(scratch.size()), uniform));
        begin = bounds[at];
        end = bounds[at + 1];
    }
    return &tokens[begin];
}

// The sums over the tokens that the cuts have left, read as a row of their own.
void Sampler::sum_powers_left(const Powers& powers, double* log_powers) {
    scratch.clear();
    for (const Token& token : tokens) scratch.push_back(token.score);
    const double peak = *std::max_element(scratch.begin(), scratch.end());
    const auto count = static_cast<std::int64_t>(scratch.size());
    const auto* at = reinterpret_cast<const unsigned char*>(scratch.data());
    const Rows left = {at,    count * static_cast<std::ptrdiff_t>(sizeof(double)),
                       sizeof(double), 1, count, Element::float64};
    kernels.power_sums(left, 0, 1.0, peak, powers, log_powers);
}

bool Sampler::draw(std::int64_t row, const Uniforms& uniforms, std::int32_t& id,
                   double& logp, const Powers& powers, double* log_powers) {
    double peak;
    if (greedy) {
        std::int64_t first;
        if (!kernels.peak(rows, row, peak, first)) return false;
        id = static_cast<std::int32_t>(first);
        logp = 0;
        std::fill(log_powers, log_powers + powers.count, 0.0);
        return true;
    }
    // Beyond these temperatures their reciprocals do not suit single precision.
    const bool moderate = sampling.temperature > 1e-6 && sampling.temperature < 1e6;
    if (whole && moderate) {
        if (!draw_whole(row, uniforms, id, logp, peak)) return false;
        if (powers.count > 0)
            kernels.power_sums(rows, row, sampling.temperature, peak, powers,
                               log_powers);
        return true;
    }
    if (!survive(row)) return false;
    const double total = total_weight(tokens);
    const Token* drawn =
        uniforms.levels > 1 ? pick_by_levels(uniforms.at) : pick(uniforms.at[0], total);
    id = static_cast<std::int32_t>(drawn->id);
    logp = std::min(drawn->score - std::log(total), 0.0);
    if (powers.count > 0) sum_powers_left(powers, log_powers);
    return true;
}

bool Sampler::process(std::int64_t row, double* logp) {
    double peak, total, moment;
    std::int64_t id;
    if (whole && !greedy) {  // written in place: no list of tokens is needed
        if (!kernels.peak(rows, row, peak, id)) return false;
        kernels.score_sums(rows, row, sampling.temperature, peak, total, moment);
        const double log_total = std::log(total);
        for (std::int64_t from = 0; from < rows.vocab; from += BLOCK) {
            kernels.scores(rows, row, from, sampling.temperature, peak, scores.data(),
                           weights.data());
            const std::int64_t columns = std::min(BLOCK, rows.vocab - from);
            for (std::int64_t i = 0; i < columns; ++i)
                logp[from + i] = std::min(scores[i] - log_total, 0.0);
        }
        return true;
    }
    std::fill(logp, logp + rows.vocab, -HUGE_VAL);
    if (greedy) {
        if (!kernels.peak(rows, row, peak, id)) return false;
        logp[id] = 0;
        return true;
    }
    if (!survive(row)) return false;
    const double log_total = std::log(total_weight(tokens));
    for (const Token& token : tokens)
        logp[token.id] = std::min(token.score - log_total, 0.0);
    return true;
}

}  // namespace nescio
