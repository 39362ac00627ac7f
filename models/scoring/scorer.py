"""Scorer: a verified bundle, ready to score queries; the only path to probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot
from models.covers.cover_model import COVERS_FILE, CoverModel
from models.domain.customer import Window
from models.domain.event import VIEW
from models.domain.profile import Profile
from models.domain.recent_impressions import NOTHING_SHOWN
from models.domain.sale import PictureScores
from models.features.attributes import AttributeFeatures
from models.features.context import device_code
from models.features.schema import FeatureSchema
from models.kernel.features import hash_of
from models.pictures.topics import Topics
from models.query.query import Context, Query
from models.ranker.drift_baseline import DriftBaseline
from models.ranker.explanation import Explanation, explain, relative_to, value_orders
from models.ranker.logistic import LogisticRanker
from models.ranker.objective import (
    AMOUNTS,
    OBJECTIVES,
    Objective,
    Policy,
    TrainingObjective,
    expected_value,
    known_margins,
    usual_margin_share,
)
from models.ranker.order_size import OrderSizes
from models.ranker.ranker import Ranker
from models.ranker.two_stage import (
    BUYING_FILE,
    BUYING_OFFSET_FILE,
    CALIBRATION_FILE,
    OFFSET_FILE,
    RANKER_FILE,
    read_ranker,
)
from models.recommenders.recommender import Recommender
from models.recommenders.registry import RECOMMENDERS
from models.scoring.bundle import Bundle, BundleError
from models.scoring.first_stage import RANKED_IN_FULL, FirstStage
from models.scoring.golden_rows import GoldenRows
from models.scoring.model_card import read_model_card
from models.scoring.probability import ProbabilityOf

META: Final = Policy.META.value
"""The default policy."""

TOPICS_FILE: Final = "topics.npz"
ATTRIBUTES_FILE: Final = "attributes.npz"
SNAPSHOT_FILE: Final = "catalogue.npz"
COUNTS_FILE: Final = "counts.npz"
GOLDEN_FILE: Final = "golden.npz"
LOGISTIC_FILE: Final = "logistic.npz"
SCENES_FILE: Final = "scenes.onnx"
DRIFT_BASELINE_FILE: Final = "reference.npz"
EXPLANATION_FILE: Final = "explanation.npz"
ORDER_SIZES_FILE: Final = "order_sizes.npz"
LABELS_FILE: Final = "scenes.json"

# Chosen, not measured: scores are bit-identical on one machine, but libraries for other processors
# may round differently.
GOLDEN_TOLERANCE: Final = 1e-6
"""Allowed difference of golden rows."""


def recommender_file(name: str) -> str:
    """Return the name of a recommender's file in a bundle."""
    return f"recommender-{name}.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of the candidates of a query.

    Attributes:
        order: Sort key of the policy, higher first, shape ``(n_sales,)``.
        probabilities: Probability of the outcome of the objective; see `probability_of` of
            `Scorer`. Same shape.
        features: The feature matrix, shape ``(n_sales, n_features)``.
        prices: Prices, NaN if unknown, same shape as ``order``.
        margins: Margin of a purchase, NaN if unknown, same shape.
        sizes: Usual size of a purchase, see `OrderSizes`, same shape.
    """

    order: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    features: NDArray[np.float32]
    prices: NDArray[np.float64]
    margins: NDArray[np.float64]
    sizes: NDArray[np.float64]

    @property
    def feature_hash(self) -> str:
        """Hash of the feature matrix, 32 hexadecimal digits; no caller gains by a collision."""
        return hash_of(self.features)


@dataclass(frozen=True)
class Scorer:
    """Scorer of one bundle: features, recommenders and ranker, from queries to scores.

    Attributes:
        bundle_id: The bundle's id.
        scene_model: Id of the scene model that its picture vectors come from.
        schema: Recommenders and feature columns.
        ranker: The meta-model.
        topics: Maps label probabilities to topic shares.
        snapshot: The catalogue at the end of training.
        counts: Its counts at that time.
        logistic: The logistic baseline; None if none was fitted.
        drift_baseline: Distribution of scores and features in training; None in older bundles.
        usual_contributions: Mean contribution of each feature over what was shown in training,
            shape ``(n_features,)``; None: explanations are relative to the ranker's own base.
        probability_of: What the probabilities are of.
        objective: What it was trained for; with `VALUE`, `META` orders by expected revenue.
        order_sizes: Usual sizes of purchases, as of the end of the data.
        covers: Predicts clicks by cover, as of the same moment; None if no sale has two pictures.
    """

    bundle_id: str
    scene_model: str
    schema: FeatureSchema
    ranker: Ranker
    topics: Topics
    snapshot: Snapshot
    counts: SaleCounts
    logistic: LogisticRanker | None = None
    drift_baseline: DriftBaseline | None = None
    usual_contributions: NDArray[np.float64] | None = None
    probability_of: ProbabilityOf = ProbabilityOf.SHOWN_FIRST
    objective: TrainingObjective = TrainingObjective.PURCHASE
    order_sizes: OrderSizes = field(default_factory=OrderSizes.single)
    covers: CoverModel | None = None

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """Build the scorer of a bundle and recompute its golden rows.

        Raises:
            BundleError: If a file is malformed, the feature schema is not that of this
                software, or a golden row is not reproduced.
        """
        try:
            scorer = cls._build(bundle)
            rows = GoldenRows.from_bytes(bundle.content(GOLDEN_FILE))
            worst = rows.worst_difference(scorer.seed_catalogue(), orders=scorer.orders)
        except (ValueError, KeyError) as exc:
            msg = f"bundle {bundle.id}: {exc}"
            raise BundleError(msg) from exc
        if not worst <= GOLDEN_TOLERANCE:
            msg = (
                f"bundle {bundle.id}: a golden row differs by {worst:.3g}, "
                f"more than {GOLDEN_TOLERANCE:g}: it does not reproduce its own scores here"
            )
            raise BundleError(msg)
        return scorer

    @classmethod
    def _build(cls, bundle: Bundle) -> Self:
        schema = _read_schema(bundle)
        n, snapshot = len(schema.names), Snapshot.from_bytes(bundle.content(SNAPSHOT_FILE))
        texts, offsets = [RANKER_FILE, CALIBRATION_FILE], [OFFSET_FILE]
        if BUYING_FILE in bundle.files:
            texts, offsets = [*texts, BUYING_FILE], [*offsets, BUYING_OFFSET_FILE]
        ranker = read_ranker(
            {name: bundle.text(name) for name in texts},
            {name: bundle.content(name) for name in offsets},
            names=schema.names,
        )
        baseline, card = bundle.files.get(DRIFT_BASELINE_FILE), read_model_card(bundle)
        covers = bundle.files.get(COVERS_FILE)
        return cls(
            bundle_id=bundle.id,
            scene_model=bundle.manifest.scene_model,
            schema=schema,
            ranker=ranker,
            topics=Topics.from_bytes(bundle.content(TOPICS_FILE)),
            snapshot=snapshot,
            counts=SaleCounts.from_bytes(bundle.content(COUNTS_FILE), n_sales=len(snapshot.sales)),
            logistic=LogisticRanker.from_bytes(bundle.content(LOGISTIC_FILE), n_features=n),
            drift_baseline=None
            if baseline is None
            else DriftBaseline.from_bytes(baseline, n_features=n),
            usual_contributions=_usual_contributions(bundle, n_features=n),
            probability_of=card.probability_of,
            objective=card.objective,
            order_sizes=OrderSizes.from_bytes(bundle.content(ORDER_SIZES_FILE)),
            covers=None if covers is None else CoverModel.from_bytes(covers),
        )

    @cached_property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies: see `models.ranker.objective.Policy`, and every recommender."""
        baseline = () if self.logistic is None else (Policy.LOGISTIC,)
        recommenders = (recommender.name for recommender in self.schema.recommenders)
        return (*(policy.value for policy in (*OBJECTIVES, *baseline)), *recommenders)

    @property
    def objectives(self) -> Mapping[Policy, Objective]:
        """Objective of each policy of the ranker."""
        if self.objective is TrainingObjective.VALUE:
            return {**OBJECTIVES, Policy.META: Objective.REVENUE}
        return OBJECTIVES

    @cached_property
    def usual_margin_share(self) -> float:
        """Margin as a share of the price, for sales of unknown margin."""
        known = [(sale.margin, sale.price) for sale in self.snapshot.sales]
        pairs = np.array(known, dtype=np.float64).reshape(-1, 2)  # None becomes NaN
        return usual_margin_share(pairs[:, 0], pairs[:, 1])

    @property
    def pictures(self) -> Mapping[str, PictureScores]:
        """Picture scores of the sales of the training data, by sale id."""
        return self.snapshot.pictures

    def seed_catalogue(self) -> Catalogue:
        """Return the catalogue at the end of training, to serve from while the store is empty."""
        return self.snapshot.catalogue(self.topics).with_counts(self.counts)

    def prepare(self, catalogue: Catalogue) -> None:
        """Fill the catalogue's cache of derived values, so that no request waits for them.

        Args:
            catalogue: Any catalogue; blocks for as long as its new sales take.
        """
        if not len(catalogue):
            return
        # A customer with one event: recommenders skip much for one without any.
        view = np.array([[0, catalogue.keys[0], VIEW]], dtype=np.uint64)
        first = np.zeros(1, dtype=np.int64)
        query = Query(
            Window(view, NOTHING_SHOWN), Profile.empty(), catalogue, Context(now_us=0), first
        )
        self.schema.assemble(query)
        if len(catalogue.eligible(None, catalogue.counts.at_us)) > RANKED_IN_FULL:
            self.first_stage(catalogue).usual_of(catalogue)

    def first_stage(self, catalogue: Catalogue) -> FirstStage:
        """Return the first stage for a catalogue of many open sales; made once."""
        steps = self.schema.steps(catalogue)
        return catalogue.cache.get_or_make(
            (self.schema, "first stage"),
            lambda: FirstStage.from_steps(steps, catalogue, self.probabilities),
        )

    def probabilities(self, query: Query) -> NDArray[np.float64]:
        """Return the probability of every candidate, see `probability_of`, shape ``(n_sales,)``."""
        return self.ranker.probabilities(self.schema.assemble(query))

    def p_examined(self, n_positions: int, device: str | None) -> NDArray[np.float64]:
        """Return P(examined) at positions 1, 2, …, relative to position 1, that many values."""
        return self.ranker.position_effect.p_examined(
            np.arange(1, n_positions + 1), np.full(n_positions, device_code(device))
        )

    def score(self, query: Query, policy: str = META) -> Scores:
        """Score the candidates of a query.

        Args:
            query: Customer, catalogue, context and candidates.
            policy: One of `policies`.

        Raises:
            ValueError: If the bundle has no such policy.
        """
        # Assembled once: the answer's record hashes the same matrix that was scored.
        features = self.schema.assemble(query)
        probabilities = self.ranker.probabilities(features)
        prices, margins, sizes = self.purchases(query)
        scores = Scores(
            probabilities, probabilities, features, prices=prices, margins=margins, sizes=sizes
        )
        order = self.order(scores, policy)
        return scores if order is probabilities else replace(scores, order=order)

    def purchases(self, query: Query) -> tuple[NDArray[np.float64], ...]:
        """Return prices, margins and usual sizes of purchases, the same for all customers."""
        sizes = self.order_sizes
        return query.cache.get_or_make((sizes, "purchases"), lambda: _purchases(query, sizes))

    def orders(self, query: Query) -> NDArray[np.float64]:
        """Return the sort keys of every policy, shape ``(n_sales, n_policies)``."""
        scores = self.score(query)
        return np.stack([self.order(scores, policy) for policy in self.policies], axis=1)

    def order(self, scores: Scores, policy: str) -> NDArray[np.float64]:
        """Return the sort keys of a policy, higher first, shape ``(n_sales,)``.

        Raises:
            ValueError: If the bundle has no such policy.
        """
        if policy in OBJECTIVES:
            values = self._values(scores, self.objectives[Policy(policy)])
            if values is None:
                return scores.probabilities
            return expected_value(scores.probabilities, values)
        if policy == Policy.LOGISTIC and self.logistic is not None:
            return self.logistic.log_odds(scores.features)
        for recommender in self.schema.recommenders:
            if recommender.name == policy:
                # Its first column is its score; sales that it does not know come last.
                column = self.schema.names.index(next(iter(recommender.columns)))
                return np.nan_to_num(scores.features[:, column].astype(np.float64), nan=-np.inf)
        msg = f"no policy {policy!r}; this bundle has {', '.join(self.policies)}"
        raise ValueError(msg)

    def _values(self, scores: Scores, objective: Objective) -> NDArray[np.float64] | None:
        # Value of a purchase of each sale; None where every purchase counts alike.
        match objective:
            case Objective.PURCHASES:
                return None
            case Objective.REVENUE:
                return scores.prices * scores.sizes
            case Objective.MARGIN:
                share = self.usual_margin_share
                margins = known_margins(scores.margins, scores.prices, usual_share=share)
                return margins * scores.sizes

    def explain(
        self, query: Query, rows: NDArray[np.int64], *, policy: str = META
    ) -> tuple[Explanation, ...]:
        """Explain the probabilities of a few sales; takes about two milliseconds per sale.

        Args:
            query: The query that was scored.
            rows: Catalogue rows of the sales to explain, shape ``(n_shown,)``.
            policy: The one of `policies` that ordered them.

        Returns:
            One explanation a row, in the order given.
        """
        shown = query.select(rows)
        scores = self.score(shown, policy)
        contributions = self.ranker.contributions(scores.features)
        if self.usual_contributions is not None:
            contributions = relative_to(self.usual_contributions, contributions)
        return explain(
            shown,
            contributions,
            matrix=scores.features,
            probabilities=scores.probabilities,
            schema=self.schema,
            topics=self.topics,
            orders=self._order_sentences(scores, policy),
        )

    def _order_sentences(self, scores: Scores, policy: str) -> Sequence[str] | None:
        if policy not in OBJECTIVES:
            return [f"Ordered by {policy!r}, not by this probability."] * len(scores.order)
        objective = self.objectives[Policy(policy)]
        values = self._values(scores, objective)
        return None if values is None else value_orders(values, AMOUNTS[objective])


def _purchases(query: Query, sizes: OrderSizes) -> tuple[NDArray[np.float64], ...]:
    sales, rows = query.catalogue, query.rows
    return np.expm1(sales.log_price[rows]), sales.margin[rows], sizes.of(sales.keys[rows])


def _usual_contributions(bundle: Bundle, *, n_features: int) -> NDArray[np.float64] | None:
    if EXPLANATION_FILE not in bundle.files:
        return None
    usual = Arrays.from_bytes(bundle.content(EXPLANATION_FILE)).floats("contributions")
    if usual.shape != (n_features,):
        msg = f"usual contributions of {len(usual)} features do not fit {n_features} features"
        raise ValueError(msg)
    return usual


def _read_schema(bundle: Bundle) -> FeatureSchema:
    recommenders: list[Recommender] = []
    for name in bundle.manifest.recommenders:
        if name not in RECOMMENDERS:
            msg = f"unknown recommender {name!r}; known are {', '.join(RECOMMENDERS)}"
            raise ValueError(msg)
        arrays = Arrays.from_bytes(bundle.content(recommender_file(name)))
        recommenders.append(RECOMMENDERS[name].from_arrays(arrays))
    attributes = AttributeFeatures.from_bytes(bundle.content(ATTRIBUTES_FILE))
    schema = FeatureSchema(tuple(recommenders), attributes)
    if schema.hash != bundle.manifest.schema_hash:
        msg = (
            f"feature schema {bundle.manifest.schema_hash[:12]}, this software has "
            f"{schema.hash[:12]}; train it again"
        )
        raise ValueError(msg)
    return schema
