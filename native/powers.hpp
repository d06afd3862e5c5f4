// How sums of several powers of one number are found: where all are whole multiples of
// one fraction, as products of one root, else by an exponential each. Plain data.
#pragma once

#include <cstdint>

namespace nescio {

constexpr int MOST_RUNGS = 32;
constexpr std::int64_t MOST_LADDER_POWERS = 32;

// A product of two rungs before it; the first rung is the root itself.
struct Rung {
    std::uint8_t left, right;
    bool kept;    // a rung after it needs it
    bool summed;  // its sum is asked for
};

struct Powers {
    const double* values;
    std::int64_t count;
    double step;       // of the root, p^step; 0: there is no ladder
    int rung_count;    // at most MOST_RUNGS
    int one;           // the rung of the power 1
    Rung rungs[MOST_RUNGS];
    std::int8_t places[MOST_LADDER_POWERS];  // rung of each power; -1: none
};

Powers powers_of(const double* values, std::int64_t count);

}  // namespace nescio
