// Calls every entry point with random shapes, strides, types and settings, compares
// with the definitions written out, and leaves it to the sanitizers to see a wrong
// access: every array is a heap block of exactly its size. Built with -DNESCIO_FUZZ=ON.
//
//   fuzz [rounds] [seed]

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "calls.hpp"
#include "dispatch.hpp"

using namespace nescio;
using std::int64_t;

namespace {

std::mt19937_64 generator;

int64_t below(int64_t bound) {
    return std::uniform_int_distribution<int64_t>(0, bound - 1)(generator);
}
bool chance(int in) { return below(in) == 0; }
double normal() { return std::normal_distribution<double>()(generator); }

void fail(const char* what, const std::string& path, int64_t row, double found,
          double wanted) {
    std::printf("%s on %s, row %lld: %.17g instead of %.17g\n", what, path.c_str(),
                static_cast<long long>(row), found, wanted);
    std::exit(1);
}

void close_to(const char* what, const std::string& path, int64_t row, double found,
              double wanted, double tolerance) {
    if (found == wanted) return;  // infinities too
    if (!(std::abs(found - wanted) <= tolerance * std::max(1.0, std::abs(wanted))))
        fail(what, path, row, found, wanted);
}

// An array of exactly these bytes: no reserve that would hide a wrong access.
struct Exact {
    unsigned char* data;
    explicit Exact(std::size_t bytes)
        : data(static_cast<unsigned char*>(std::malloc(bytes ? bytes : 1))) {}
    ~Exact() { std::free(data); }
    Exact(const Exact&) = delete;
    template <class Number>
    Number* as() {
        return reinterpret_cast<Number*>(data);
    }
};

const std::size_t SIZES[] = {8, 4, 2, 2};

double decoded(Element element, const unsigned char* at) {
    double wide;
    float single;
    std::uint16_t bits;
    switch (element) {
        case Element::float64: std::memcpy(&wide, at, 8); return wide;
        case Element::float32: std::memcpy(&single, at, 4); return single;
        default: std::memcpy(&bits, at, 2);
    }
    const int mantissa = element == Element::float16 ? 10 : 7;
    const int top = element == Element::float16 ? 31 : 255, bias = top / 2;
    const int exponent = bits >> mantissa & top, rest = bits & ((1 << mantissa) - 1);
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == top) return rest ? NAN : sign * HUGE_VAL;
    if (exponent == 0) return sign * std::ldexp(rest, 1 - bias - mantissa);
    return sign * std::ldexp(rest + (1 << mantissa), exponent - bias - mantissa);
}

void encode(Element element, double value, unsigned char* at) {
    const float single = static_cast<float>(value);
    std::uint32_t bits;
    std::memcpy(&bits, &single, 4);
    std::uint16_t narrow = static_cast<std::uint16_t>(bits >> 16);  // cut, not rounded
    if (element == Element::float16) {
        const int exponent = static_cast<int>(bits >> 23 & 255) - 112;
        const std::uint16_t sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
        narrow = sign;
        if (exponent > 0)
            narrow = static_cast<std::uint16_t>(sign | (bits >> 13 & 0x3ff) |
                                                exponent << 10);
        if (exponent >= 31) narrow = sign | 0x7c00 | (std::isnan(value) ? 1 : 0);
    }
    if (std::isnan(value) && element == Element::bfloat16) narrow = 0x7fc1;
    if (element == Element::float64) std::memcpy(at, &value, 8);
    else if (element == Element::float32) std::memcpy(at, &single, 4);
    else std::memcpy(at, &narrow, 2);
}

int64_t some_vocabulary() {
    switch (below(6)) {
        case 0: return 1 + below(8);
        case 1: return 1 + below(200);
        case 2: return 64 * (1 + below(40)) + below(3) - 1;
        case 3: return 1024 * (1 + below(5)) + below(3) - 1;
        case 4: return 1 + below(6000);
        default: return chance(20) ? 200000 + below(100000) : 1 + below(3000);
    }
}

double some_logit(int kind) {
    switch (kind) {
        case 0: return 3 * normal();
        case 1: return static_cast<double>(below(4));
        case 2: return 2.5;
        case 3: return chance(3) ? -HUGE_VAL : normal();
        case 4: return chance(50) ? normal() : -HUGE_VAL;
        case 5: return 2e4 * (0.5 - below(1000) / 999.0);
        case 6: return 1e4 + normal();
        default: return normal() * std::exp(8 * normal());
    }
}

// Logits in memory of their own, of random strides, and as plain doubles.
struct Case {
    Rows rows;
    std::unique_ptr<Exact> memory;
    std::vector<std::vector<double>> logits;
    int64_t refused = -1;

    Case(int64_t count, int64_t vocab) {
        rows.count = count;
        rows.vocab = vocab;
        rows.element = static_cast<Element>(below(4));
        const int64_t size = SIZES[static_cast<int>(rows.element)];
        const int64_t columns[] = {size, size, size, 2 * size, size + 1, 3 * size};
        rows.column_stride = columns[below(6)] * (chance(3) ? -1 : 1);
        const int64_t extent = std::abs(rows.column_stride) * (vocab - 1) + size;
        rows.row_stride = (extent + below(3) * below(20)) * (chance(3) ? -1 : 1);
        const int64_t front = below(9);
        memory = std::make_unique<Exact>(
            front + std::abs(rows.row_stride) * (count ? count - 1 : 0) + extent);
        unsigned char* start = memory->data + front;
        if (rows.row_stride < 0 && count) start -= rows.row_stride * (count - 1);
        if (rows.column_stride < 0) start -= rows.column_stride * (vocab - 1);
        rows.data = start;
        const bool wrong = chance(8);
        for (int64_t row = 0; row < count; ++row) fill(start, row, wrong);
    }

    void fill(unsigned char* start, int64_t row, bool wrong) {
        const int kind = static_cast<int>(below(8));
        logits.emplace_back(rows.vocab);
        const int64_t certain = below(rows.vocab), spoilt = below(rows.vocab);
        const int what = static_cast<int>(below(6));
        for (int64_t id = 0; id < rows.vocab; ++id) {
            unsigned char* at = start + row * rows.row_stride + id * rows.column_stride;
            double value = some_logit(kind);
            if (id == certain && !std::isfinite(value)) value = 1;
            if (wrong && what == 0) value = -HUGE_VAL;
            if (wrong && what < 3 && what > 0 && id == spoilt)
                value = what == 1 ? NAN : HUGE_VAL;
            encode(rows.element, value, at);
            logits[row][id] = decoded(rows.element, at);
        }
        double peak = -HUGE_VAL;
        bool finite = true;
        for (double x : logits[row]) {
            finite = finite && x == x && x < HUGE_VAL;
            peak = std::max(peak, x);
        }
        if (refused < 0 && !(finite && peak > -HUGE_VAL)) refused = row;
    }
};

struct Naive {
    double peak = -HUGE_VAL;
    double log_sum = 0, entropy = 0, varentropy = 0;
    std::vector<double> p;

    explicit Naive(const std::vector<double>& x, double temperature = 1) {
        long double sum = 0, first = 0, second = 0;
        for (double one : x) peak = std::max(peak, one);
        for (double one : x) {
            const double weight = std::exp((one - peak) / temperature);
            p.push_back(weight);
            sum += weight;
        }
        log_sum = static_cast<double>(std::log(sum));
        for (std::size_t i = 0; i < x.size(); ++i) {
            p[i] = static_cast<double>(p[i] / sum);
            if (p[i] > 0) first -= p[i] * ((x[i] - peak) / temperature - log_sum);
        }
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double s = log_sum - (x[i] - peak) / temperature;
            if (p[i] > 0) second += p[i] * (s - first) * (s - first);
        }
        entropy = static_cast<double>(first);
        varentropy = static_cast<double>(second);
    }
};

void expect(const char* what, const std::string& path, int64_t found, int64_t wanted) {
    if (found != wanted)
        fail(what, path, -1, static_cast<double>(found), static_cast<double>(wanted));
}

const double ON_A_LADDER[] = {1.5, -0.5, 0.9}, APART[] = {0.0, 1.2345678, 2.0};

// log sum q^power over the possible; q as its logarithms.
double naive_power_sum(const double* logp, int64_t vocab, double power) {
    double largest = -HUGE_VAL, sum = 0;
    for (int64_t i = 0; i < vocab; ++i)
        if (logp[i] > -HUGE_VAL) largest = std::max(largest, power * logp[i]);
    for (int64_t i = 0; i < vocab; ++i)
        if (logp[i] > -HUGE_VAL) sum += std::exp(power * logp[i] - largest);
    return largest + std::log(sum);
}

void try_rows(const std::string& path, const Case& one, int threads) {
    const int64_t count = one.rows.count, vocab = one.rows.vocab;
    const int64_t tops[] = {0, 1, 5, 20, 50, 700, vocab};
    const int64_t top = std::min(vocab, tops[below(7)]);
    const double* const powers = chance(2) ? ON_A_LADDER : APART;
    const int64_t power_count = chance(3) ? 3 : 0;
    Exact targets(8 * count), numbers(32 * count), rank(8 * count);
    Exact ids(4 * count * top), best(8 * count * top);
    Exact sums(8 * count * power_count);
    for (int64_t row = 0; row < count; ++row)
        targets.as<int64_t>()[row] = below(vocab);
    double* all = numbers.as<double>();
    const RowArrays arrays = {all,
                              all + count,
                              all + 2 * count,
                              all + 3 * count,
                              rank.as<int64_t>(),
                              ids.as<std::int32_t>(),
                              best.as<double>(),
                              sums.as<double>()};
    const int64_t refused = row_statistics(
        *kernels_of(path), one.rows, {targets.as<int64_t>(), top, powers, power_count},
        arrays, threads);
    expect("the refused row", path, refused, one.refused);
    if (refused >= 0) return;
    const double exact = one.rows.element == Element::float64 ? 1e-11 : 1e-6;
    for (int64_t row = 0; row < count; ++row) {
        const std::vector<double>& x = one.logits[row];
        const Naive naive(x);
        const double target = x[targets.as<int64_t>()[row]];
        close_to("logsumexp", path, row, arrays.logsumexp[row],
                 naive.peak + naive.log_sum, exact);
        close_to("entropy", path, row, arrays.entropy[row], naive.entropy, exact);
        const double scale = std::max(1.0, naive.entropy * naive.entropy);
        close_to("varentropy", path, row, arrays.varentropy[row] / scale,
                 naive.varentropy / scale, 10 * exact);
        close_to("logp", path, row, arrays.logp[row],
                 target - naive.peak - naive.log_sum, exact);
        int64_t larger = 0;
        for (double value : x) larger += value > target;
        expect("rank", path, arrays.rank[row], larger + 1);
        std::vector<int64_t> order(vocab);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(),
                         [&](int64_t a, int64_t b) { return x[a] > x[b]; });
        for (int64_t i = 0; i < top; ++i) {
            expect("top id", path, arrays.top_ids[row * top + i], order[i]);
            close_to("top logp", path, row, arrays.top_logp[row * top + i],
                     x[order[i]] - naive.peak - naive.log_sum, exact);
        }
        std::vector<double> logp;
        for (const double value : x) logp.push_back(value - naive.peak - naive.log_sum);
        for (int64_t i = 0; i < power_count; ++i) {
            const double sum = naive_power_sum(logp.data(), vocab, powers[i]);
            const double scale = std::max(1.0, std::abs(sum));
            close_to("a power sum", path, row,
                     arrays.log_powers[row * power_count + i] / scale, sum / scale,
                     std::max(1e-9, exact));
        }
    }
}

void try_pairs(const std::string& path, const Case& p, const Case& q, int threads) {
    const int64_t count = p.rows.count;
    Exact targets(8 * count), numbers(32 * count), same(count);
    for (int64_t row = 0; row < count; ++row)
        targets.as<int64_t>()[row] = below(p.rows.vocab);
    double* all = numbers.as<double>();
    const PairArrays arrays = {all, all + count, all + 2 * count, all + 3 * count,
                               same.as<bool>()};
    const int64_t refused = pair_statistics(*kernels_of(path), p.rows, q.rows,
                                            targets.as<int64_t>(), arrays, threads);
    const int64_t first = p.refused < 0   ? q.refused
                          : q.refused < 0 ? p.refused
                                          : std::min(p.refused, q.refused);
    expect("the refused pair", path, refused, first);
    if (refused >= 0) return;
    for (int64_t row = 0; row < count; ++row) {
        const std::vector<double>&x = p.logits[row], &y = q.logits[row];
        const Naive one(x), other(y);
        double forward = 0, js = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double gap = (x[i] - one.peak - one.log_sum) -
                               (y[i] - other.peak - other.log_sum);
            if (x[i] > -HUGE_VAL && y[i] == -HUGE_VAL) forward = HUGE_VAL;
            else if (one.p[i] > 0) forward += one.p[i] * gap;
            const double middle = (one.p[i] + other.p[i]) / 2;
            if (one.p[i] > 0) js += one.p[i] * std::log(one.p[i] / middle) / 2;
            if (other.p[i] > 0) js += other.p[i] * std::log(other.p[i] / middle) / 2;
        }
        close_to("KL", path, row, arrays.forward[row], std::max(0.0, forward), 1e-9);
        close_to("JS", path, row, arrays.js[row], js, 1e-9);
        const auto top = [](const std::vector<double>& v) {
            return std::max_element(v.begin(), v.end()) - v.begin();
        };
        expect("same top", path, arrays.same_top[row], top(x) == top(y));
        const int64_t at = targets.as<int64_t>()[row];
        close_to("delta p", path, row, arrays.delta_p[row], one.p[at] - other.p[at],
                 1e-12);
    }
}

void try_sampler(const std::string& path, const Case& one, int threads) {
    const int64_t count = one.rows.count, vocab = one.rows.vocab;
    const double temperatures[] = {1, 1, 0.7, 2, 0, 1e-9, 1e9};
    const bool whole = chance(2);
    const Sampling sampling = {temperatures[below(7)],
                               whole || chance(2) ? 0 : 1 + below(60),
                               whole || chance(2) ? 1 : 0.05 + below(90) / 100.0,
                               whole || chance(2) ? 0 : below(50) / 100.0,
                               whole || chance(2) ? 1 : 0.05 + below(90) / 100.0};
    const int levels = chance(2) ? 1 : LEVELS;
    Exact uniforms(8 * count * levels), ids(4 * count), drawn(8 * count);
    Exact table(8 * count * vocab);
    const double* const powers = chance(2) ? ON_A_LADDER : APART;
    const int64_t power_count = chance(2) ? 3 : 0;
    Exact sums(8 * count * power_count);
    for (int64_t at = 0; at < count * levels; ++at)
        uniforms.as<double>()[at] = chance(5) ? 0 : below(1 << 30) / double(1 << 30);
    const Kernels& kernels = *kernels_of(path);
    expect("the refused draw", path,
           draw(kernels, one.rows, sampling, {uniforms.as<double>(), levels},
                {ids.as<std::int32_t>(), drawn.as<double>(), powers, power_count,
                 sums.as<double>()},
                threads),
           one.refused);
    expect("the refused process", path,
           process(kernels, one.rows, sampling, table.as<double>(), threads),
           one.refused);
    for (int64_t row = 0; one.refused < 0 && row < count; ++row) {
        const double* logp = table.as<double>() + row * vocab;
        const int64_t id = ids.as<std::int32_t>()[row];
        double sum = 0, under = 0;
        for (int64_t i = 0; i < vocab; ++i) {
            if (i < id) under += std::exp(logp[i]);
            sum += std::exp(logp[i]);
        }
        const double uniform = uniforms.as<double>()[row * levels], p = std::exp(logp[id]);
        close_to("the mass", path, row, sum, 1, 1e-9);
        close_to("the drawn logp", path, row, drawn.as<double>()[row], logp[id], 1e-6);
        for (int64_t i = 0; i < power_count; ++i) {
            const double wanted = naive_power_sum(logp, vocab, powers[i]);
            const double scale = std::max(1.0, std::abs(wanted));
            close_to("a power sum of the drawn", path, row,
                     sums.as<double>()[row * power_count + i] / scale, wanted / scale,
                     one.rows.element == Element::float64 ? 1e-9 : 1e-6);
        }
        if (levels == 1 && !(under <= uniform + 1e-6 && uniform <= under + p + 1e-6))
            fail("the inverse", path, row, under, uniform);
        if (whole && sampling.temperature >= 0.5 && sampling.temperature < 3) {
            const Naive naive(one.logits[row], sampling.temperature);
            close_to("p", path, row, p, naive.p[id], 1e-9);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int64_t rounds = argc > 1 ? std::atoll(argv[1]) : 300;
    generator.seed(argc > 2 ? std::atoll(argv[2]) : 0);
    for (int64_t round = 0; round < rounds; ++round) {
        const int64_t vocab = some_vocabulary();
        const int64_t count = vocab > 100000 ? 3 : below(6);
        const Case one(count, vocab), other(count, vocab);
        for (const std::string& path : available_paths()) {
            const int threads = static_cast<int>(1 + below(3));
            try_rows(path, one, threads);
            try_pairs(path, one, other, threads);
            try_sampler(path, one, threads);
            read(*kernels_of(path), other.rows, threads);
        }
    }
    std::printf("%lld rounds\n", static_cast<long long>(rounds));
}
