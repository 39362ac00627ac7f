/* Sums of the leaves of boosted trees: each split moves the rows that are at it to one of its
   children, from the root down. ROWS_AT_ONCE, the rows of a block, comes from library.py. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Where a row is in a tree: at a split, by its place among the tree's, or at a leaf. */
enum { LEAF = 64, N_PLACES = 128, NOWHERE = 255 };
enum { LANES = 16 };

/* An inner node. Its children are places. */
typedef struct {
    int32_t column;
    int32_t left;
    int32_t right;
    int32_t nan_left;
    float threshold; /* values up to it go left */
} Split;

typedef struct {
    int32_t split; /* the first; each comes before those below it */
    int32_t n_splits;
    int32_t leaf; /* the first */
} Tree;

typedef struct {
    const float *columns;     /* ROWS_AT_ONCE values of each column that is used */
    const uint8_t *is_shared; /* whether they are equal, as those of the customer are */
    int32_t n_rows;
} Block;

static int goes_left(float value, const Split *split) {
    return (value <= split->threshold) | ((value != value) & split->nan_left);
}

/* Move the rows that are at a place. Two loops, each without a branch: compilers vectorise them. */
static void move(const Split *split, const float *values, uint8_t from, uint8_t *at, int32_t n) {
    const uint8_t left = (uint8_t)split->left, right = (uint8_t)split->right;
    const float threshold = split->threshold;
    if (split->nan_left) {
        for (int32_t i = 0; i < n; i++) {
            const uint8_t to = !(values[i] > threshold) ? left : right;
            at[i] = at[i] == from ? to : at[i];
        }
    } else {
        for (int32_t i = 0; i < n; i++) {
            const uint8_t to = values[i] <= threshold ? left : right;
            at[i] = at[i] == from ? to : at[i];
        }
    }
}

/* Add a tree's leaves to sums. Where all rows have one value, they stay where they are, under the
   name of the place that they would go to. */
static void add_tree(const Split *splits, const double *leaves, int32_t n_splits, const Block *block,
                     double *sums) {
    uint8_t at[ROWS_AT_ONCE], names[N_PLACES];
    double values[N_PLACES];
    const int32_t n = (block->n_rows + LANES - 1) / LANES * LANES;
    memset(at, 0, (size_t)n);
    memset(names, NOWHERE, sizeof names);
    names[n_splits ? 0 : LEAF] = 0;
    for (int32_t k = 0; k < n_splits; k++) {
        const Split *split = splits + k;
        const float *column = block->columns + (ptrdiff_t)split->column * ROWS_AT_ONCE;
        if (names[k] == NOWHERE) continue;
        if (block->is_shared[split->column]) {
            names[goes_left(*column, split) ? split->left : split->right] = names[k];
            continue;
        }
        names[split->left] = (uint8_t)split->left;
        names[split->right] = (uint8_t)split->right;
        move(split, column, names[k], at, n);
    }
    for (int32_t leaf = 0; leaf <= n_splits; leaf++) {
        if (names[LEAF + leaf] != NOWHERE) values[names[LEAF + leaf]] = leaves[leaf];
    }
    for (int32_t i = 0; i < block->n_rows; i++) sums[i] += values[at[i]];
}

/* Copy columns of n rows of a matrix, and find out which have one value. In tiles of rows, which
   stay in the first-level cache. */
static void copy_columns(const float *matrix, int32_t n, int32_t n_features, const int32_t *used,
                         int32_t n_used, float *columns, uint8_t *is_shared) {
    memset(is_shared, 1, (size_t)n_used);
    for (int32_t start = 0; start < n; start += LANES) {
        const int32_t end = start + LANES < n ? start + LANES : n;
        for (int32_t k = 0; k < n_used; k++) {
            float *column = columns + (ptrdiff_t)k * ROWS_AT_ONCE;
            const float first = matrix[used[k]];
            int is_equal = 1;
            for (int32_t row = start; row < end; row++) {
                const float value = matrix[(ptrdiff_t)row * n_features + used[k]];
                column[row] = value;
                is_equal &= (value == first) | ((value != value) & (first != first));
            }
            for (int32_t row = end; row < start + LANES; row++) column[row] = first;
            is_shared[k] &= (uint8_t)is_equal;
        }
    }
}

/*
 * Add the trees of several models to sums (n_models, n_rows), in the order of the trees.
 * ends: where the trees of each model end.
 * used: the columns of matrix (n_rows, n_features) that splits count by.
 * columns, is_shared: scratch for n_used * ROWS_AT_ONCE values and n_used flags.
 */
void add_leaves(const Split *splits, const double *leaves, const Tree *trees, const int32_t *ends,
                int32_t n_models, const int32_t *used, int32_t n_used, const float *matrix,
                int64_t n_rows, int32_t n_features, float *columns, uint8_t *is_shared,
                double *sums) {
    for (int64_t start = 0; start < n_rows; start += ROWS_AT_ONCE) {
        const int64_t left = n_rows - start;
        const Block block = {columns, is_shared, left < ROWS_AT_ONCE ? (int32_t)left : ROWS_AT_ONCE};
        copy_columns(matrix + start * n_features, block.n_rows, n_features, used, n_used, columns,
                     is_shared);
        const Tree *tree = trees;
        for (int32_t model = 0; model < n_models; model++) {
            for (; tree < trees + ends[model]; tree++) {
                add_tree(splits + tree->split, leaves + tree->leaf, tree->n_splits, &block,
                         sums + model * n_rows + start);
            }
        }
    }
}
