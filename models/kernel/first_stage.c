/* Estimates of all sales by a linear form; models/scoring/first_stage.py says of what. */

#include <stdint.h>

enum { LANES = 8, N_TEXTS = 3 };

/*
 * numbers: (n_sales, width), width a multiple of LANES; usual: (n_sales); codes: (n_sales, N_TEXTS).
 * weights: of the numbers; by_code: what a text adds, by its code. found: (n_rows).
 */
void estimate(const float *numbers, int64_t width, const float *usual, const int64_t *codes,
              const float *weights, float usual_weight, const float *by_code, const int64_t *rows,
              int64_t n_rows, float *found) {
    for (int64_t i = 0; i < n_rows; i++) {
        const float *own = numbers + rows[i] * width;
        const int64_t *texts = codes + rows[i] * N_TEXTS;
        float lanes[LANES] = {0.0f};
        for (int64_t k = 0; k < width; k += LANES) {
            for (int j = 0; j < LANES; j++) lanes[j] += own[k + j] * weights[k + j];
        }
        float sum = usual_weight * usual[rows[i]];
        for (int j = 0; j < N_TEXTS; j++) sum += by_code[texts[j]];
        for (int j = 0; j < LANES; j++) sum += lanes[j];
        found[i] = sum;
    }
}
