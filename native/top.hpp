// The pool of candidates for a row's largest logits, and what needs the standard
// library's algorithms; compiled once, for every processor.
#pragma once

#include <cstdint>

namespace nescio {

// A single-precision logit and its id as one number: larger is better, and of equal
// logits the lower id. A double-precision logit does not fit and stands beside its id.
using NarrowEntry = std::uint64_t;
struct WideEntry {
    double value;
    std::int64_t id;
};

// Moves the `top` best of `count` entries to the front, the worst of them last.
void keep_best(NarrowEntry* pool, std::int64_t count, std::int64_t top);
void keep_best(WideEntry* pool, std::int64_t count, std::int64_t top);

// Sorts, best first.
void sort_best(NarrowEntry* pool, std::int64_t count);
void sort_best(WideEntry* pool, std::int64_t count);

// The rank-th largest number (1 is the largest); changes the order.
float nth_largest(float* numbers, std::int64_t count, std::int64_t rank);
double nth_largest(double* numbers, std::int64_t count, std::int64_t rank);

}  // namespace nescio
