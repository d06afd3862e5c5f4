// Sums of powers of what a row predicts, log sum q^power over the possible tokens, q
// being proportional to exp((logit - peak) / temperature); in double precision.
namespace nescio::NESCIO_VARIANT {

// (logit - peak) / temperature; a product is faster than a quotient.
struct Scores {
    Doubles origin, factor;

    Scores(double peak, double temperature)
        : origin(Doubles::fill(peak)), factor(Doubles::fill(1 / temperature)) {}

    template <class E>
    Doubles at(E, const unsigned char* at) const {
        return (Doubles::load(E(), at) - origin) * factor;
    }
};

// log sum exp(power (score - log_sum)) over the possible tokens; a pass or two.
template <class E>
inline double log_power_sum(Blocks<E>& row, const Scores& scores, double log_sum,
                            double power) {
    const Doubles never = Doubles::fill(-HUGE_VAL), zero = Doubles::fill(0);
    double anchor = 0;  // the possible score of the largest q^power
    int columns;
    if (power < 0)
        for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
            const unsigned char* at = row.at(from, columns);
            Doubles deepest = zero;
            for (int i = 0; i < columns; i += Doubles::width) {
                const Doubles d = scores.at(E(), at + i * Blocks<E>::size);
                deepest = larger(choose(above(d, never), zero - d, zero), deepest);
            }
            const double lowest = -largest_lane(deepest);
            if (lowest < anchor) anchor = lowest;
        }
    const Doubles start = Doubles::fill(anchor), exponent = Doubles::fill(power);
    const Exponential<Doubles> exponential;
    Doubles sum = zero;
    for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
        const unsigned char* at = row.at(from, columns);
        for (int i = 0; i < columns; i += Doubles::width) {
            const Doubles d = scores.at(E(), at + i * Blocks<E>::size);
            const auto possible = above(d, never);
            const Doubles power_of_q = exponential((choose(possible, d, zero) - start) *
                                                   exponent);
            sum = sum + choose(possible, power_of_q, zero);
        }
    }
    return power * (anchor - log_sum) + std::log(total(sum));
}

// The sums of all rungs that are asked for, from one exponential a token.
template <class E>
inline void ladder_sums(Blocks<E>& row, const Scores& scores, const Powers& powers,
                        double* sums) {
    static_assert(GROUP % (STEP * Doubles::width) == 0, "groups are whole steps");
    alignas(64) double values[MOST_RUNGS][GROUP];
    Doubles totals[MOST_RUNGS];
    for (int r = 0; r < powers.rung_count; ++r) totals[r] = Doubles::fill(0);
    const Exponential<Doubles> exponential(powers.step);
    const auto load = [](const double* from) {
        return Doubles::load(Float64(), reinterpret_cast<const unsigned char*>(from));
    };
    int columns;
    for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
        const unsigned char* at = row.at(from, columns);
        for (int start = 0; start < columns; start += GROUP) {
            for (int i = 0; i < GROUP; i += STEP * Doubles::width) {
                Doubles d[STEP], root[STEP];
                for (int j = 0; j < STEP; ++j)
                    d[j] = scores.at(E(), at + (start + i + j * Doubles::width) *
                                                   Blocks<E>::size);
                exponential(d, root);
                for (int j = 0; j < STEP; ++j)
                    root[j].store(values[0] + i + j * Doubles::width);
            }
            for (int r = 0; r < powers.rung_count; ++r) {
                const Rung& rung = powers.rungs[r];
                Doubles part[STEP];
                for (int j = 0; j < STEP; ++j) part[j] = Doubles::fill(0);
                for (int i = 0; i < GROUP; i += STEP * Doubles::width)
                    for (int j = 0; j < STEP; ++j) {
                        const int place = i + j * Doubles::width;
                        Doubles product = load(values[rung.left] + place);
                        if (r > 0) {
                            product = product * load(values[rung.right] + place);
                            product.store(values[r] + place);
                        }
                        part[j] = part[j] + product;
                    }
                if (rung.summed)
                    for (int j = 0; j < STEP; ++j) totals[r] = totals[r] + part[j];
            }
        }
    }
    for (int r = 0; r < powers.rung_count; ++r) sums[r] = total(totals[r]);
}

template <class E>
void power_sums(const Rows& rows, std::int64_t index, double temperature, double peak,
                const Powers& powers, double* found) {
    Blocks<E> row(rows, index);
    const Scores scores(peak, temperature);
    double sums[MOST_RUNGS];
    const bool climbs = powers.step > 0;
    if (climbs) ladder_sums(row, scores, powers, sums);
    const double log_sum =
        climbs ? std::log(sums[powers.one]) : log_power_sum(row, scores, 0.0, 1.0);
    for (std::int64_t i = 0; i < powers.count; ++i) {
        const double power = powers.values[i];
        found[i] = climbs && powers.places[i] >= 0
                       ? std::log(sums[powers.places[i]]) - power * log_sum
                       : log_power_sum(row, scores, log_sum, power);
    }
}

}  // namespace nescio::NESCIO_VARIANT
