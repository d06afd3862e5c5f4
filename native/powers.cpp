#include "powers.hpp"

#include <cmath>

namespace nescio {

namespace {

constexpr int MOST_PARTS = 64;  // of the fraction 1 / parts
constexpr int HIGHEST = 255;    // the largest multiple of it
constexpr double SLACK = 1e-15;  // of a product that should be whole, beside itself

bool is_whole(double product) {
    return std::abs(product - std::nearbyint(product)) <= SLACK * product;
}

// The fewest parts of 1 of which every positive power is a whole number; 0 for none.
int parts_of(const Powers& powers) {
    for (int parts = 1; parts <= MOST_PARTS; ++parts) {
        bool fits = true;
        for (std::int64_t i = 0; fits && i < powers.count; ++i) {
            const double product = powers.values[i] * parts;
            fits = !(product > 0) || (product <= HIGHEST && is_whole(product));
        }
        if (fits) return parts;
    }
    return 0;
}

// Builds rungs until the multiples that are wanted stand among them.
class Builder {
  public:
    explicit Builder(Powers& powers_) : powers(powers_) {
        for (int& place : place_of) place = -1;
        add(1, 0, 0);
    }

    // The rung of a multiple; -1 where there are too many.
    int rung(int multiple) {
        if (place_of[multiple] >= 0) return place_of[multiple];
        if (multiple % 2 == 0) return product(multiple, multiple / 2);
        for (int part = multiple - 1; part > multiple / 2; --part)
            if (place_of[part] >= 0 && place_of[multiple - part] >= 0)
                return product(multiple, part);
        return product(multiple, multiple - 1);
    }

  private:
    Powers& powers;
    int place_of[HIGHEST + 1];

    int product(int multiple, int part) {
        const int left = rung(part), right = rung(multiple - part);
        return left < 0 || right < 0 ? -1 : add(multiple, left, right);
    }

    int add(int multiple, int left, int right) {
        if (powers.rung_count == MOST_RUNGS) return -1;
        const auto near = static_cast<std::uint8_t>(left);
        powers.rungs[powers.rung_count] = {near, static_cast<std::uint8_t>(right),
                                           false, false};
        powers.rungs[left].kept = powers.rungs[right].kept = true;
        return place_of[multiple] = powers.rung_count++;
    }
};

}  // namespace

Powers powers_of(const double* values, std::int64_t count) {
    Powers powers{};
    powers.values = values;
    powers.count = count;
    const int parts = count <= MOST_LADDER_POWERS ? parts_of(powers) : 0;
    if (count == 0 || parts == 0) return powers;
    Builder builder(powers);
    powers.one = builder.rung(parts);
    bool fits = powers.one >= 0;
    for (std::int64_t i = 0; fits && i < count; ++i) {
        powers.places[i] = -1;
        if (!(values[i] > 0)) continue;
        const int rung = builder.rung(static_cast<int>(std::lround(values[i] * parts)));
        fits = rung >= 0;
        if (!fits) break;
        powers.rungs[rung].summed = true;
        powers.places[i] = static_cast<std::int8_t>(rung);
    }
    if (!fits) return powers;
    powers.rungs[powers.one].summed = true;
    powers.step = 1.0 / parts;
    return powers;
}

}  // namespace nescio
