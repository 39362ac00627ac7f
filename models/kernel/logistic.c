/* Logistic regressions over standardised features; models/ranker/logistic.py says what they mean. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const int64_t *logarithmic; /* columns that are taken by their logarithm */
    int64_t n_logarithmic;
    const double *centres;
    const double *scales;
} Scale;

typedef struct {
    Scale scale;
    const double *weights;
    const double *unknown_weights; /* of features without a value */
    double intercept;
} Line;

static double standardised(double x, double centre, double scale, double most) {
    const double z = (x - centre) / scale, below = z < most ? z : most; /* one instruction each */
    return below > -most ? below : -most;
}

/* Standardise a row: z is 0 and unknown 1 where a value is NaN. before: the row that `logarithmic` is
   of, or NULL; equal values, as of the customer, need no other logarithm. */
static void standardise_row(const Scale *scale, const float *row, const float *before, int64_t n,
                            double most, double *logarithmic, double *z, double *unknown) {
    for (int64_t k = 0; k < n; k++) { /* without a branch */
        const double value = standardised(row[k], scale->centres[k], scale->scales[k], most);
        unknown[k] = row[k] != row[k];
        z[k] = row[k] != row[k] ? 0.0 : value;
    }
    for (int64_t j = 0; j < scale->n_logarithmic; j++) {
        const int64_t k = scale->logarithmic[j];
        if (row[k] != row[k]) continue;
        if (!before || row[k] != before[k]) {
            const double logarithm = copysign(log1p(fabs(row[k])), row[k]);
            logarithmic[j] = standardised(logarithm, scale->centres[k], scale->scales[k], most);
        }
        z[k] = logarithmic[j];
    }
}

/* Standardise a matrix (n_rows, n_columns). logarithmic: scratch, one for each such column. */
void standardise(const Scale *scale, const float *matrix, int64_t n_rows, int64_t n_columns,
                 double most, double *logarithmic, double *z, double *unknown) {
    for (int64_t i = 0; i < n_rows; i++) {
        const int64_t start = i * n_columns;
        standardise_row(scale, matrix + start, i ? matrix + start - n_columns : NULL, n_columns, most,
                        logarithmic, z + start, unknown + start);
    }
}

/* Four sums at a time: one alone would wait for each addition. */
static double sum_terms(const Line *line, const double *z, const double *unknown, int64_t n) {
    double lanes[4] = {0.0, 0.0, 0.0, 0.0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int k = 0; k < 4; k++) {
            lanes[k] += z[i + k] * line->weights[i + k];
            lanes[k] += unknown[i + k] * line->unknown_weights[i + k];
        }
    }
    double sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (; i < n; i++) sum += z[i] * line->weights[i] + unknown[i] * line->unknown_weights[i];
    return line->intercept + sum;
}

/*
 * Log-odds (n_lines, n_rows) of regressions; those of one scale standardise once.
 * work: 3 n_columns.
 */
void log_odds(const Line *lines, int64_t n_lines, const float *matrix, int64_t n_rows,
              int64_t n_columns, double most, double *work, double *sums) {
    for (int64_t l = 0, of_scale = 0; l < n_lines; l++) {
        if (l && lines[l].scale.scales == lines[of_scale].scale.scales) continue;
        double *z = work, *unknown = work + n_columns, *logarithmic = work + 2 * n_columns;
        of_scale = l;
        for (int64_t i = 0; i < n_rows; i++) {
            const float *row = matrix + i * n_columns;
            standardise_row(&lines[l].scale, row, i ? row - n_columns : NULL, n_columns, most,
                            logarithmic, z, unknown);
            for (int64_t m = l; m < n_lines && lines[m].scale.scales == lines[l].scale.scales; m++) {
                sums[m * n_rows + i] = sum_terms(lines + m, z, unknown, n_columns);
            }
        }
    }
}
