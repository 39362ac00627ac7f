/* Sums of the leaves of boosted trees: each tree divides the rows from its root down.
   ROWS_AT_ONCE, the rows of a block, comes from library.py. */

#include <stddef.h>
#include <stdint.h>

/* An inner node. Children from 0 are nodes, others the complements of leaves. */
typedef struct {
    int32_t column;
    int32_t left;
    int32_t right;
    int32_t nan_left;
    float threshold; /* values up to it go left */
} Split;

typedef struct {
    const Split *splits;
    const double *leaves;
    const float *columns;     /* ROWS_AT_ONCE values of each column that is used */
    const uint8_t *is_shared; /* whether they are equal, as those of the customer are */
    double *sums;
    int32_t *spare;
} Forest;

static int goes_left(float value, const Split *split) {
    return (value <= split->threshold) | ((value != value) & split->nan_left);
}

/* Add the leaves below a node to the sums of n rows, and reorder these. */
static void descend(const Forest *forest, int32_t node, int32_t *rows, int32_t n) {
    while (node >= 0 && n > 0) {
        const Split split = forest->splits[node];
        const float *values = forest->columns + (ptrdiff_t)split.column * ROWS_AT_ONCE;
        if (forest->is_shared[split.column]) {
            node = goes_left(values[0], &split) ? split.left : split.right;
            continue;
        }
        int32_t n_left = 0, n_right = 0;
        for (int32_t i = 0; i < n; i++) { /* without a branch that depends on the values */
            const int32_t row = rows[i];
            const int is_left = goes_left(values[row], &split);
            rows[n_left] = row;
            forest->spare[n_right] = row;
            n_left += is_left;
            n_right += 1 - is_left;
        }
        for (int32_t i = 0; i < n_right; i++) rows[n_left + i] = forest->spare[i];
        descend(forest, split.right, rows + n_left, n_right);
        node = split.left;
        n = n_left;
    }
    for (int32_t i = 0; i < n; i++) forest->sums[rows[i]] += forest->leaves[~node];
}

/* Copy a column of n rows of a matrix, and return whether its values are equal. */
static int copy_column(const float *from, int32_t n, int32_t n_features, float *column) {
    int is_shared = 1;
    for (int32_t row = 0; row < n; row++) {
        const float value = from[(ptrdiff_t)row * n_features];
        column[row] = value;
        is_shared &= (value == *from) | ((value != value) & (*from != *from));
    }
    return is_shared;
}

/*
 * Add the trees of several models to sums (n_models, n_rows), in the order of the trees.
 * ends: where the trees of each model end among the roots.
 * used: the columns of matrix (n_rows, n_features) that splits count by.
 * columns, is_shared: scratch for n_used * ROWS_AT_ONCE values and n_used flags.
 */
void add_leaves(const Split *splits, const double *leaves, const int32_t *roots,
                const int32_t *ends, int32_t n_models, const int32_t *used, int32_t n_used,
                const float *matrix, int64_t n_rows, int32_t n_features, float *columns,
                uint8_t *is_shared, double *sums) {
    int32_t rows[ROWS_AT_ONCE], spare[ROWS_AT_ONCE];
    for (int64_t start = 0; start < n_rows; start += ROWS_AT_ONCE) {
        const int64_t left = n_rows - start;
        const int32_t n = left < ROWS_AT_ONCE ? (int32_t)left : ROWS_AT_ONCE;
        for (int32_t k = 0; k < n_used; k++) {
            const float *from = matrix + start * n_features + used[k];
            float *column = columns + (ptrdiff_t)k * ROWS_AT_ONCE;
            is_shared[k] = (uint8_t)copy_column(from, n, n_features, column);
        }
        int32_t tree = 0;
        for (int32_t model = 0; model < n_models; model++) {
            double *of_model = sums + model * n_rows + start;
            const Forest forest = {splits, leaves, columns, is_shared, of_model, spare};
            for (; tree < ends[model]; tree++) {
                for (int32_t row = 0; row < n; row++) rows[row] = row;
                descend(&forest, roots[tree], rows, n);
            }
        }
    }
}
