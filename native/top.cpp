#include "top.hpp"

#include <algorithm>
#include <functional>

namespace nescio {

namespace {

bool better(const WideEntry& one, const WideEntry& other) {
    return one.value != other.value ? one.value > other.value : one.id < other.id;
}

template <class Number>
Number nth(Number* numbers, std::int64_t count, std::int64_t rank) {
    std::nth_element(numbers, numbers + rank - 1, numbers + count,
                     std::greater<Number>());
    return numbers[rank - 1];
}

}  // namespace

void keep_best(NarrowEntry* pool, std::int64_t count, std::int64_t top) {
    std::nth_element(pool, pool + top - 1, pool + count, std::greater<NarrowEntry>());
}

void keep_best(WideEntry* pool, std::int64_t count, std::int64_t top) {
    std::nth_element(pool, pool + top - 1, pool + count, better);
}

void sort_best(NarrowEntry* pool, std::int64_t count) {
    std::sort(pool, pool + count, std::greater<NarrowEntry>());
}

void sort_best(WideEntry* pool, std::int64_t count) {
    std::sort(pool, pool + count, better);
}

float nth_largest(float* numbers, std::int64_t count, std::int64_t rank) {
    return nth(numbers, count, rank);
}

double nth_largest(double* numbers, std::int64_t count, std::int64_t rank) {
    return nth(numbers, count, rank);
}

}  // namespace nescio
