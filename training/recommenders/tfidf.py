"""Fits the text space: TF-IDF and a truncated SVD (latent semantic analysis)."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from typing import Final

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from models.recommenders.text_embedding import TextSpace, terms

N_DIMENSIONS: Final = 128  # chosen, not measured, as is the size of the vocabulary
MAX_WORDS: Final = 20_000
MIN_TEXTS: Final = 2  # a term of a single text does not relate it to others
MAX_SHARE: Final = 0.5  # of texts: more frequent terms do not discriminate; chosen

_SEED: Final = 0  # of the randomised SVD: the seed of a run must not move the text space


def fit_text_space(texts: Sequence[str]) -> TextSpace:
    """Weight terms by inverse document frequency, and reduce them to `N_DIMENSIONS`.

    There are no terms where none is in two texts and in at most half of them.
    """
    # Repeated texts, as of sales that open again, would make their terms look frequent.
    distinct = sorted(set(texts))
    vectorizer = TfidfVectorizer(
        analyzer=terms,  # pyright: ignore[reportArgumentType] - any callable will do
        min_df=MIN_TEXTS,
        max_df=max(MAX_SHARE, MIN_TEXTS / max(len(distinct), 1)),
        max_features=MAX_WORDS,
        sublinear_tf=True,
    )
    try:
        weights = vectorizer.fit_transform(distinct)
    except ValueError:  # scikit-learn's error where no term is left
        return TextSpace((), np.empty(0), np.empty((0, 0)))
    n_terms = weights.shape[1]
    words = tuple(str(word) for word in vectorizer.get_feature_names_out())
    idf = np.asarray(vectorizer.idf_, dtype=np.float64)
    # Few terms need no reduction, and the SVD cannot make more dimensions than terms.
    if n_terms <= N_DIMENSIONS:
        return TextSpace(words, idf, np.eye(n_terms))
    decomposition = TruncatedSVD(N_DIMENSIONS, random_state=_SEED).fit(weights)
    axes = np.asarray(decomposition.components_, dtype=np.float64).T
    return TextSpace(words, idf, np.ascontiguousarray(axes))
