// From one row to the distribution drawn from, and a draw.
#pragma once

#include <vector>

#include "calls.hpp"

namespace nescio {

// A token that is still possible: its score is log p up to a constant, its weight p up
// to a factor; the largest of the row have 0 and 1.
struct Token {
    double score;
    double weight;
    std::int64_t id;
};

// One thread's sampler; its memory is kept from row to row.
class Sampler {
  public:
    Sampler(const Kernels& kernels, const Rows& rows, const Sampling& sampling);

    // False where the row is not a distribution. `log_powers` takes log sum q^power of
    // what is drawn from.
    bool draw(std::int64_t row, const Uniforms& uniforms, std::int32_t& id,
              double& logp, const Powers& powers, double* log_powers);
    bool process(std::int64_t row, double* logp);

  private:
    const Kernels& kernels;
    const Rows& rows;
    const Sampling sampling;
    const bool greedy, whole;    // temperature 0; nothing is truncated
    std::vector<Token> tokens;   // what is left, by ascending id
    std::vector<Token> ordered;  // scratch of the cuts
    std::vector<double> scores, weights, sums;
    std::vector<double> scratch;      // of the tree: weights,
    std::vector<std::size_t> bounds;  // and where each begins
    std::vector<std::int32_t> best;
    std::vector<unsigned char> pool;

    bool survive(std::int64_t row);
    bool take_top_k(std::int64_t row);
    void take_fewest(std::int64_t row, double peak, double centre, double needed);
    void keep_fewest(double centre, double needed);
    bool draw_whole(std::int64_t row, const Uniforms& uniforms, std::int32_t& id,
                    double& logp, double& peak);
    void sum_powers_left(const Powers& powers, double* log_powers);
    bool place(std::int64_t row, std::int64_t block, double peak, double aim,
               std::int32_t& id);
    bool place_in_strip(std::int64_t row, std::int64_t block, double peak,
                        const double* uniforms, std::int32_t& id);
    const Token* pick(double uniform, double total) const;
    const Token* pick_by_levels(const double* uniforms);
    template <class Keep>
    void take(std::int64_t row, double peak, Keep keep);
    template <class Drop>
    void drop(Drop drop);
};

}  // namespace nescio
