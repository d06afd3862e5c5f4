// Sums of powers of what a row predicts, log sum q^power over the possible tokens, q
// being proportional to exp((logit - peak) / temperature).
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

// log sum exp(power (score - log_sum)) over the possible tokens, in double precision; a
// pass or two.
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

template <class V>
inline V load_lanes(const typename V::Lane* from) {
    using Own = std::conditional_t<sizeof(typename V::Lane) == 4, Float32, Float64>;
    return V::load(Own(), reinterpret_cast<const unsigned char*>(from));
}

// Columns whose powers are held at a time; sixteen additions a lane, as in a scan.
template <class V>
constexpr int held = stretch<V> * STEP;

template <class V>
inline Doubles wide_sum_of(const V (&parts)[STEP]) {
    Doubles sum = wide_sum(parts[0]);
    for (int j = 1; j < STEP; ++j) sum = sum + wide_sum(parts[j]);
    return sum;
}

template <class V>
inline Doubles sum_of(const typename V::Lane* values, int columns) {
    V parts[STEP];
    for (int j = 0; j < STEP; ++j) parts[j] = V::fill(0);
    for (int i = 0; i < columns; i += STEP * V::width)
        for (int j = 0; j < STEP; ++j)
            parts[j] = parts[j] + load_lanes<V>(values + i + j * V::width);
    return wide_sum_of(parts);
}

// The products of two rungs: kept where another rung needs them, added up where they
// are asked for.
template <class V, bool kept, bool summed>
inline Doubles products_of(const typename V::Lane* left, const typename V::Lane* right,
                           int columns, typename V::Lane* products) {
    V parts[STEP];
    for (int j = 0; j < STEP; ++j) parts[j] = V::fill(0);
    for (int i = 0; i < columns; i += STEP * V::width)
        for (int j = 0; j < STEP; ++j) {
            const int place = i + j * V::width;
            const V a = load_lanes<V>(left + place), b = load_lanes<V>(right + place);
            if constexpr (kept) {
                const V product = a * b;
                product.store(products + place);
                if constexpr (summed) parts[j] = parts[j] + product;
            } else {
                parts[j] = fma(a, b, parts[j]);
            }
        }
    return wide_sum_of(parts);
}

// The root of every column, p^step.
template <class E, class V>
inline void roots(const unsigned char* at, int columns, V origin,
                  const Exponential<V>& exponential, typename V::Lane* found) {
    for (int i = 0; i < columns; i += STEP * V::width) {
        V d[STEP], root[STEP];
        for (int j = 0; j < STEP; ++j)
            d[j] = V::load(E(), at + (i + j * V::width) * Blocks<E>::size) - origin;
        exponential(d, root);
        for (int j = 0; j < STEP; ++j) root[j].store(found + i + j * V::width);
    }
}

// The sums of all rungs that are asked for, from one exponential a token, in the lanes
// of the logits' type; stretches are added up in double precision.
template <class E>
inline void ladder_sums(Blocks<E>& row, double peak, double temperature,
                        const Powers& powers, double* sums) {
    using V = typename Working<E>::Vector;
    using Lane = typename V::Lane;
    static_assert(GROUP % (STEP * V::width) == 0, "columns are whole steps");
    alignas(64) Lane values[MOST_RUNGS][held<V>];
    Doubles totals[MOST_RUNGS];
    for (int r = 0; r < powers.rung_count; ++r) totals[r] = Doubles::fill(0);
    const Exponential<V> exponential(powers.step / temperature);
    const V origin = V::fill(static_cast<Lane>(peak));
    int columns;
    for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
        const unsigned char* at = row.at(from, columns);
        for (int start = 0; start < columns; start += held<V>) {
            const int count = columns - start < held<V> ? columns - start : held<V>;
            const unsigned char* here = at + start * Blocks<E>::size;
            read_ahead(here, count * Blocks<E>::size);
            roots<E, V>(here, count, origin, exponential, values[0]);
            if (powers.rungs[0].summed)
                totals[0] = totals[0] + sum_of<V>(values[0], count);
            for (int r = 1; r < powers.rung_count; ++r) {
                const Rung& rung = powers.rungs[r];
                const Lane* left = values[rung.left];
                const Lane* right = values[rung.right];
                if (!rung.summed)
                    products_of<V, true, false>(left, right, count, values[r]);
                else if (rung.kept)
                    totals[r] = totals[r] + products_of<V, true, true>(
                                                left, right, count, values[r]);
                else
                    totals[r] = totals[r] + products_of<V, false, true>(
                                                left, right, count, values[r]);
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
    if (climbs) ladder_sums(row, peak, temperature, powers, sums);
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
