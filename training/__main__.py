"""Command line ``python -m training``: training, evaluation and reports."""

import typer

from training.checks.bundles_command import app as bundles
from training.checks.feature_table import features_command
from training.checks.parity import parity_command
from training.checks.validation import validate
from training.evaluation.command import evaluate_command
from training.experiments.command import experiment_design_command, experiment_report_command
from training.experiments.rules_command import rule_prices_command
from training.importers.command import app as importers
from training.lists.command import batch_score_command
from training.nightly.command import nightly_command
from training.off_policy.command import off_policy_command, open_bandit_command
from training.off_policy.cover_command import covers_command
from training.pipeline.train_command import train_command
from training.scenes.command import app as scenes
from training.simulator.command import simulate
from training.studies.ablation_command import ablate_command
from training.studies.closed_loop_command import simulate_loop_command
from training.studies.cold_start_command import cold_start_command
from training.studies.exploration_cost_command import slate_cost_command
from training.studies.hyperparameters_command import tune_command
from training.studies.learning_curve_command import learning_curve_command
from training.studies.rule_truth_command import rule_truth_command
from training.studies.seed_variance_command import seeds_command

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make models: see each command's help.",
)
app.command()(simulate)
app.command("simulate-loop")(simulate_loop_command)
app.command()(validate)
app.command("train")(train_command)
app.command("evaluate")(evaluate_command)
app.command("cold-start")(cold_start_command)
app.command("experiment-design")(experiment_design_command)
app.command("experiment-report")(experiment_report_command)
app.command("rule-prices")(rule_prices_command)
app.command("features")(features_command)
app.command("parity")(parity_command)
app.command("off-policy")(off_policy_command)
app.command("open-bandit")(open_bandit_command)
app.command("covers")(covers_command)
app.command("seeds")(seeds_command)
app.command("slate-cost")(slate_cost_command)
app.command("rule-truth")(rule_truth_command)
app.command("ablate")(ablate_command)
app.command("tune")(tune_command)
app.command("learning-curve")(learning_curve_command)
app.command("batch-score")(batch_score_command)
app.command("nightly")(nightly_command)
app.add_typer(bundles)
app.add_typer(importers)
app.add_typer(scenes)

if __name__ == "__main__":
    app()
