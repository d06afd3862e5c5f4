// What is called from outside: every row of an array, on some threads, into arrays of
// the caller. Each call returns the first row that is not a distribution, or -1.
#pragma once

#include "kernel.hpp"

namespace nescio {

struct RowArrays {
    double* logsumexp;
    double* entropy;
    double* varentropy;
    double* logp;         // not read where there are no targets
    std::int64_t* rank;
    std::int32_t* top_ids;  // [rows, top]
    double* top_logp;
    double* log_powers;  // [rows, powers]
};

struct RowsRequest {
    const std::int64_t* targets;  // or null
    std::int64_t top;             // at most the vocabulary
    const double* powers;
    std::int64_t power_count;
};

std::int64_t row_statistics(const Kernels&, const Rows&, const RowsRequest&,
                            const RowArrays&, int threads);

struct PairArrays {
    double* forward;
    double* backward;
    double* js;
    double* delta_p;
    bool* same_top;
};

// Refuses a row where either side is not a distribution.
std::int64_t pair_statistics(const Kernels&, const Rows& p, const Rows& q,
                             const std::int64_t* targets, const PairArrays&,
                             int threads);

// How a token is drawn; what is switched off has the value in the comment.
struct Sampling {
    double temperature;
    std::int64_t top_k;  // 0
    double top_p;        // 1
    double min_p;        // 0
    double typical_p;    // 1
};

// The random numbers of draws, in [0, 1), some a row. With one, the draw inverts the distribution
// function over all ids. With LEVELS of them it goes down a tree: the last chooses a
// block, the one before a strip in it, the first a token in that. Each choice has few
// alternatives, so that rounding of the logits seldom changes one.
constexpr int LEVELS = 3;
constexpr std::int64_t STRIP = 32;  // ids
struct Uniforms {
    const double* at;
    int levels;  // numbers a row: 1 or LEVELS
};

// What is drawn, a row each, and log sum q^power of what it is drawn from.
struct DrawArrays {
    std::int32_t* ids;
    double* logp;
    const double* powers;
    std::int64_t power_count;
    double* log_powers;  // [rows, powers]
};

std::int64_t draw(const Kernels&, const Rows&, const Sampling&, const Uniforms&,
                  const DrawArrays&, int threads);

std::int64_t process(const Kernels&, const Rows&, const Sampling&, double* logp,
                     int threads);

// The sum of everything, to time how fast the array can be read.
double read(const Kernels&, const Rows&, int threads);

}  // namespace nescio
