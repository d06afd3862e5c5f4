// What the compiled variants and their callers share: rows, requests, one table of
// functions. Plain data alone: nothing here may be compiled differently in two files.
#pragma once

#include <cstddef>
#include <cstdint>

#include "powers.hpp"

namespace nescio {

enum class Element : int { float64, float32, float16, bfloat16 };

// Logits as they lie in memory; strides in bytes, of any sign.
struct Rows {
    const unsigned char* data;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t column_stride;
    std::int64_t count;
    std::int64_t vocab;
    Element element;
};

// What one row is asked for.
struct RowRequest {
    std::int64_t target;   // -1: none
    std::int64_t top;      // at most the vocabulary
    const Powers* powers;  // of log sum p^power
};

// What one row gives; pointers lead into the caller's arrays.
struct RowAnswer {
    double logsumexp;
    double entropy;
    double varentropy;
    double logp;
    std::int64_t rank;
    std::int32_t* top_ids;
    double* top_logp;
    double* log_powers;
};

struct PairAnswer {
    double forward;
    double backward;
    double js;
};

// The largest logit, its lowest id, and log sum exp(logits - largest).
struct Normaliser {
    double peak;
    std::int64_t id;
    double log_sum;
};

// Memory of one thread, allocated before any work begins. `pool` holds the best of a
// row as they are collected: at least pool_size(top) entries of 16 bytes.
struct Scratch {
    void* pool;
};

constexpr std::int64_t BLOCK = 1024;  // columns that stay in the first cache

constexpr std::int64_t block_count(std::int64_t vocab) {
    return (vocab + BLOCK - 1) / BLOCK;
}

constexpr std::int64_t pool_size(std::int64_t top) { return 2 * top + 512; }

// One variant: the same functions, compiled for one set of instructions. A function
// that returns bool says whether the row is a distribution: no NaN, no +inf, and
// something other than -inf.
struct Kernels {
    bool (*row)(const Rows&, std::int64_t row, const RowRequest&, const Scratch&,
                RowAnswer&);
    bool (*normaliser)(const Rows&, std::int64_t row, Normaliser&);
    void (*divergences)(const Rows& p, const Rows& q, std::int64_t row,
                        const Normaliser&, const Normaliser&, PairAnswer&);
    // The ids of the largest, largest first, equal ones by lower id.
    bool (*top)(const Rows&, std::int64_t row, std::int64_t top, const Scratch&,
                std::int32_t* ids, double& peak);
    // The largest logit and its lowest id.
    bool (*peak)(const Rows&, std::int64_t row, double& peak, std::int64_t& id);
    // Sums of exp((logit - peak) / temperature) over each block, single precision.
    bool (*block_sums)(const Rows&, std::int64_t row, double temperature,
                       double* sums, double& peak);
    // The same weights one by one, from column `from` on, at most BLOCK.
    void (*weights)(const Rows&, std::int64_t row, std::int64_t from,
                    double temperature, double peak, double* weights);
    // (logit - peak) / temperature and its exponential, in double precision.
    void (*scores)(const Rows&, std::int64_t row, std::int64_t from,
                   double temperature, double peak, double* scores,
                   double* weights);
    // The sums of those exponentials, and of exponential times score.
    void (*score_sums)(const Rows&, std::int64_t row, double temperature, double peak,
                       double& total, double& moment);
    // log sum q^power, q being proportional to exp((logit - peak) / temperature).
    void (*power_sums)(const Rows&, std::int64_t row, double temperature, double peak,
                       const Powers&, double* found);
    double (*value)(const Rows&, std::int64_t row, std::int64_t id);
    double (*read)(const Rows&, std::int64_t row);  // sums it up, to time reading
};

}  // namespace nescio
