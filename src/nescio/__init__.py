"""How sure is a language model, and is it right to be?

Everything public is here; each name is imported when it is first used, so that
``import nescio`` costs nothing.

Example:
    >>> import nescio
    >>> model = nescio.load("table:coin")
    >>> round(nescio.perplexity(nescio.score(model, "HTTHTH")).value, 4)
    2.0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "nescio.calibration": (
        "CalibrationSums",
        "CrossValidated",
        "CumulativeDifferences",
        "EqualMass",
        "EqualWidth",
        "ErrorByBinCount",
        "FitReport",
        "FullVocabularySums",
        "KernelForm",
        "PredictionSets",
        "Recalibrator",
        "ReliabilityDiagram",
        "RiskCoverage",
        "SmoothReliability",
        "TemperatureSurvey",
        "UniqueValues",
        "accuracy",
        "accuracy_at_coverage",
        "adaptive_calibration_error",
        "area_under_risk_coverage",
        "auprc",
        "auroc",
        "beta",
        "brier_decomposition",
        "brier_score",
        "calibration_errors_by_class",
        "calibration_refinement",
        "class_wise_calibration_error",
        "conformal",
        "controlled_threshold",
        "coverage_at_risk",
        "cross_validated",
        "cumulative_differences",
        "debiased_l2_calibration_error",
        "debiased_squared_calibration_error",
        "dirichlet",
        "ensemble_temperature",
        "error_by_bin_count",
        "excess_area_under_risk_coverage",
        "expected_calibration_error",
        "expected_null_error",
        "full_vocabulary_calibration_error",
        "histogram",
        "isotonic",
        "isotonic_decomposition",
        "kolmogorov_smirnov_calibration_error",
        "kuiper_calibration_error",
        "log_loss",
        "maximum_calibration_error",
        "mean_confidence",
        "next_token_calibration",
        "overconfidence",
        "paired_difference",
        "platt",
        "prediction_rejection_ratio",
        "read_recalibrator",
        "reliability_diagram",
        "risk_coverage_curve",
        "root_mean_square_calibration_error",
        "scaling_binning",
        "signed_calibration_gap",
        "smooth_calibration_error",
        "smooth_reliability",
        "spline",
        "squared_kernel_calibration_error",
        "sweep_calibration_error",
        "temperature",
        "temperature_survey",
        "thresholded_adaptive_calibration_error",
        "top_label_conditional_calibration_error",
        "underconfidence",
        "vector",
        "venn_abers",
        "write_recalibrator",
    ),
    "nescio.calibration.scikit_learn": ("as_estimator",),
    "nescio.comparison": (
        "Compared",
        "Comparison",
        "Stretches",
        "compare",
    ),
    "nescio.consistency.adaptive": (
        "AdaptiveRule",
        "adaptive_answers",
        "stopping_point",
    ),
    "nescio.consistency.adaptive_error": ("stated_error",),
    "nescio.consistency.adaptive_sampling": (
        "AdaptiveDraws",
        "adaptive_stream",
        "sample_adaptively",
    ),
    "nescio.consistency.agreement": (
        "agreement",
        "consistency_entropy",
        "consistency_entropy_by_samples",
        "first_second_distance",
    ),
    "nescio.consistency.answers": (
        "Answers",
        "Sorting",
        "answers_of",
    ),
    "nescio.consistency.clusters": (
        "answers_with_sets",
        "complete_link",
        "connected_components",
    ),
    "nescio.consistency.dataset": (
        "confidences_of",
        "leaders_of",
        "means_over_questions",
        "outcomes_of",
        "uncertainties_of",
    ),
    "nescio.consistency.divergence": ("divergence",),
    "nescio.consistency.graph": (
        "degree_uncertainty",
        "eccentricity",
        "eigenvalue_uncertainty",
        "kernel_language_entropy",
        "vendi_score",
    ),
    "nescio.consistency.judging": ("judged_answers",),
    "nescio.consistency.lexical": (
        "lexical_similarity",
        "soft_nearest_neighbour_entropy",
    ),
    "nescio.consistency.likelihood_weighted": (
        "answer_log_probability",
        "cocoa",
        "length_normalised_predictive_entropy",
        "predictive_entropy",
        "semantic_density",
        "sentence_sar",
    ),
    "nescio.consistency.minimum_bayes_risk": (
        "exact_minimum_bayes_risk",
        "minimum_bayes_risk",
    ),
    "nescio.consistency.semantic_entropy": (
        "semantic_entropy",
        "set_shares",
    ),
    "nescio.consistency.similarity": (
        "cosine_similarities",
        "similarities_from",
        "similarities_of",
    ),
    "nescio.consistency.token_level": (
        "deep_confidence",
        "self_certainty",
        "token_sar",
    ),
    "nescio.consistency.uncertainties": (
        "corrected_semantic_entropy",
        "number_of_sets",
    ),
    "nescio.corpus": (
        "Corpus",
        "CorpusFields",
        "CorpusSettings",
        "CorpusSummary",
        "read_corpus",
        "score_corpus",
    ),
    "nescio.decoding": (
        "Decoding",
        "Detail",
        "Draws",
        "Stream",
        "TokenEvent",
        "Window",
        "generate",
        "sample",
        "sample_stream",
        "score",
        "score_texts",
        "stream",
    ),
    "nescio.decoding.beam": (
        "Beam",
        "beam_search",
    ),
    "nescio.decoding.diverse_beam": (
        "DiverseBeam",
        "diverse_beam_search",
    ),
    "nescio.decoding.watching": ("Alert",),
    "nescio.drift": (
        "alarm",
        "martingale",
    ),
    "nescio.drift.alarm": ("AlarmPlan",),
    "nescio.drift.alarm_files": (
        "alarm_share",
        "alert_of",
        "read_alarm",
        "write_alarm",
    ),
    "nescio.drift.amplification": ("amplification_bound",),
    "nescio.drift.channels": ("ChannelPlan",),
    "nescio.drift.curves": (
        "DriftCurve",
        "Limits",
    ),
    "nescio.drift.diversity": (
        "Cut",
        "diversity",
    ),
    "nescio.drift.entropy_gap": (
        "entropy_gap",
        "entropy_gap_change",
    ),
    "nescio.drift.hugging_face": (
        "GenerationWatch",
        "vocabulary_of",
    ),
    "nescio.drift.lookahead": (
        "LookAhead",
        "cross_entropy_change",
        "fit_look_ahead",
        "read_look_ahead",
        "write_look_ahead",
    ),
    "nescio.drift.lookahead_model": ("looking_ahead",),
    "nescio.drift.lookahead_rows": ("look_ahead_rows",),
    "nescio.drift.martingale": ("MartingaleAlarm",),
    "nescio.drift.memory": (
        "Truncation",
        "context_gain",
        "memory_curve",
    ),
    "nescio.drift.protocol": (
        "ContinuationPlan",
        "continue_documents",
        "read_continuations",
    ),
    "nescio.drift.quality": (
        "probability_quality",
        "string_entropy",
        "typicality",
    ),
    "nescio.drift.rate": (
        "along_steps",
        "entropy_rate_exponential",
        "entropy_rate_per_byte",
        "rate_curves",
        "surprise_score",
    ),
    "nescio.drift.watched": ("watched",),
    "nescio.ensemble.agreed": ("Agreement",),
    "nescio.ensemble.agreement": ("agreement_beam",),
    "nescio.ensemble.byte_context": ("ByteContext",),
    "nescio.ensemble.byte_view": (
        "ByteView",
        "USUAL_PRUNE",
    ),
    "nescio.ensemble.hugging_face": ("JoinedGeneration",),
    "nescio.ensemble.joining": ("Ensemble",),
    "nescio.ensemble.listed": ("byte_beam",),
    "nescio.ensemble.member_scores": (
        "member_scores",
        "rule_logp",
    ),
    "nescio.ensemble.particles": (
        "Swarm",
        "draw_particles",
    ),
    "nescio.ensemble.rejoining": ("Rejoining",),
    "nescio.ensemble.speculative": (
        "Drafting",
        "speculate",
    ),
    "nescio.ensemble.telling": (
        "Telling",
        "retold",
        "together_estimates",
    ),
    "nescio.ensemble.unwritable": ("Escaping",),
    "nescio.ensemble.weighting": (
        "fit_weights",
        "prompt_weights",
    ),
    "nescio.errors": ("NescioError",),
    "nescio.evaluation": (
        "Domain",
        "Question",
        "Task",
        "arithmetic",
        "ask_confidence",
        "by_group",
        "capitals",
        "choices_by_letter",
        "choices_by_text",
        "generated",
        "halves",
        "is_right",
        "last_words",
        "next_token_estimates",
        "next_token_temperature",
        "next_tokens",
        "read_task",
        "transfer",
        "true_probability",
        "verbalised_confidence",
        "with_examples",
    ),
    "nescio.evaluation.agreement_probability": ("fit_calibrator",),
    "nescio.evaluation.asking": (
        "ask",
        "read_samples",
    ),
    "nescio.evaluation.asking_many": ("ask_all",),
    "nescio.evaluation.asking_rules": ("HowRead",),
    "nescio.evaluation.consistency_survey": (
        "survey_question",
        "survey_questions",
    ),
    "nescio.evaluation.embedded": ("EmbeddedSimilarity",),
    "nescio.evaluation.equivalence": ("equivalence",),
    "nescio.evaluation.extraction": ("extraction",),
    "nescio.evaluation.meter": ("Meter",),
    "nescio.evaluation.model_judging": (
        "ModelJudge",
        "judged_by",
    ),
    "nescio.evaluation.sample_curve": (
        "accuracy_by_votes",
        "agreement_transfer",
        "sample_curve",
    ),
    "nescio.imports": (
        "Imported",
        "OutcomesFrom",
        "import_file",
    ),
    "nescio.information": (
        "MaximumLikelihood",
        "binary_log_loss",
        "bits_per_byte",
        "bits_per_byte_difference",
        "bits_per_character",
        "bits_per_token",
        "categorical_log_loss",
        "chao_shen_entropy",
        "conditional_entropy",
        "cross_entropy",
        "die_maximum_likelihood",
        "entropy",
        "entropy_bounds",
        "entropy_from_counts",
        "entropy_rate",
        "jeffreys_divergence",
        "jensen_shannon_distance",
        "jensen_shannon_divergence",
        "kl_divergence",
        "log_likelihood",
        "markov_entropy_rate",
        "miller_madow_entropy",
        "mutual_information",
        "perplexity",
        "plug_in_entropy",
        "renyi_entropy",
        "sequence_perplexity",
        "shrinkage_entropy",
        "stationary_distribution",
        "surprisal",
        "total_surprisal",
        "varentropy",
    ),
    "nescio.kernel": (
        "PairStatistics",
        "RowStatistics",
        "Sampling",
        "log_softmax",
        "pair_statistics",
        "row_statistics",
    ),
    "nescio.lens": (
        "classify_signatures",
        "generated_layer_entropies",
        "layer_entropies",
        "layer_entropies_of_texts",
        "lens_summary",
        "signature",
        "signatures",
    ),
    "nescio.models.encoders": ("encoder",),
    "nescio.models.marian": (
        "Translator",
        "read_translator",
    ),
    "nescio.outcome": (
        "Estimate",
        "Outcomes",
        "Predictions",
        "Recipe",
        "load_outcomes",
        "read_outcomes",
        "read_predictions",
        "write_outcomes",
        "write_predictions",
    ),
    "nescio.specification": ("load",),
    "nescio.trace": (
        "Message",
        "Prompt",
        "Sample",
        "Samples",
        "Trace",
        "TraceWriter",
        "read_traces",
        "spans",
        "write_traces",
    ),
    "nescio.uncertainty": (
        "Interval",
        "bootstrap_blocks",
        "bootstrap_clusters",
        "bootstrap_pairs",
        "bootstrap_rows",
        "paired_shares_interval",
        "resampled_means",
        "wilson_interval",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdaptiveDraws",
    "AdaptiveRule",
    "Agreement",
    "AlarmPlan",
    "Alert",
    "Answers",
    "Beam",
    "ByteContext",
    "ByteView",
    "CalibrationSums",
    "ChannelPlan",
    "Compared",
    "Comparison",
    "ContinuationPlan",
    "Corpus",
    "CorpusFields",
    "CorpusSettings",
    "CorpusSummary",
    "CrossValidated",
    "CumulativeDifferences",
    "Cut",
    "Decoding",
    "Detail",
    "DiverseBeam",
    "Domain",
    "Drafting",
    "Draws",
    "DriftCurve",
    "EmbeddedSimilarity",
    "Ensemble",
    "EqualMass",
    "EqualWidth",
    "ErrorByBinCount",
    "Escaping",
    "Estimate",
    "FitReport",
    "FullVocabularySums",
    "GenerationWatch",
    "HowRead",
    "Imported",
    "Interval",
    "JoinedGeneration",
    "KernelForm",
    "Limits",
    "LookAhead",
    "MartingaleAlarm",
    "MaximumLikelihood",
    "Message",
    "Meter",
    "ModelJudge",
    "NescioError",
    "Outcomes",
    "OutcomesFrom",
    "PairStatistics",
    "PredictionSets",
    "Predictions",
    "Prompt",
    "Question",
    "Recalibrator",
    "Recipe",
    "Rejoining",
    "ReliabilityDiagram",
    "RiskCoverage",
    "RowStatistics",
    "Sample",
    "Samples",
    "Sampling",
    "SmoothReliability",
    "Sorting",
    "Stream",
    "Stretches",
    "Swarm",
    "Task",
    "Telling",
    "TemperatureSurvey",
    "TokenEvent",
    "Trace",
    "TraceWriter",
    "Translator",
    "Truncation",
    "USUAL_PRUNE",
    "UniqueValues",
    "Window",
    "__version__",
    "accuracy",
    "accuracy_at_coverage",
    "accuracy_by_votes",
    "adaptive_answers",
    "adaptive_calibration_error",
    "adaptive_stream",
    "agreement",
    "agreement_beam",
    "agreement_transfer",
    "alarm",
    "alarm_share",
    "alert_of",
    "along_steps",
    "amplification_bound",
    "answer_log_probability",
    "answers_of",
    "answers_with_sets",
    "area_under_risk_coverage",
    "arithmetic",
    "as_estimator",
    "ask",
    "ask_all",
    "ask_confidence",
    "auprc",
    "auroc",
    "beam_search",
    "beta",
    "binary_log_loss",
    "bits_per_byte",
    "bits_per_byte_difference",
    "bits_per_character",
    "bits_per_token",
    "bootstrap_blocks",
    "bootstrap_clusters",
    "bootstrap_pairs",
    "bootstrap_rows",
    "brier_decomposition",
    "brier_score",
    "by_group",
    "byte_beam",
    "calibration_errors_by_class",
    "calibration_refinement",
    "capitals",
    "categorical_log_loss",
    "chao_shen_entropy",
    "choices_by_letter",
    "choices_by_text",
    "class_wise_calibration_error",
    "classify_signatures",
    "cocoa",
    "compare",
    "complete_link",
    "conditional_entropy",
    "confidences_of",
    "conformal",
    "connected_components",
    "consistency_entropy",
    "consistency_entropy_by_samples",
    "context_gain",
    "continue_documents",
    "controlled_threshold",
    "corrected_semantic_entropy",
    "cosine_similarities",
    "coverage_at_risk",
    "cross_entropy",
    "cross_entropy_change",
    "cross_validated",
    "cumulative_differences",
    "debiased_l2_calibration_error",
    "debiased_squared_calibration_error",
    "deep_confidence",
    "degree_uncertainty",
    "die_maximum_likelihood",
    "dirichlet",
    "divergence",
    "diverse_beam_search",
    "diversity",
    "draw_particles",
    "eccentricity",
    "eigenvalue_uncertainty",
    "encoder",
    "ensemble_temperature",
    "entropy",
    "entropy_bounds",
    "entropy_from_counts",
    "entropy_gap",
    "entropy_gap_change",
    "entropy_rate",
    "entropy_rate_exponential",
    "entropy_rate_per_byte",
    "equivalence",
    "error_by_bin_count",
    "exact_minimum_bayes_risk",
    "excess_area_under_risk_coverage",
    "expected_calibration_error",
    "expected_null_error",
    "extraction",
    "first_second_distance",
    "fit_calibrator",
    "fit_look_ahead",
    "fit_weights",
    "full_vocabulary_calibration_error",
    "generate",
    "generated",
    "generated_layer_entropies",
    "halves",
    "histogram",
    "import_file",
    "is_right",
    "isotonic",
    "isotonic_decomposition",
    "jeffreys_divergence",
    "jensen_shannon_distance",
    "jensen_shannon_divergence",
    "judged_answers",
    "judged_by",
    "kernel_language_entropy",
    "kl_divergence",
    "kolmogorov_smirnov_calibration_error",
    "kuiper_calibration_error",
    "last_words",
    "layer_entropies",
    "layer_entropies_of_texts",
    "leaders_of",
    "length_normalised_predictive_entropy",
    "lens_summary",
    "lexical_similarity",
    "load",
    "load_outcomes",
    "log_likelihood",
    "log_loss",
    "log_softmax",
    "look_ahead_rows",
    "looking_ahead",
    "markov_entropy_rate",
    "martingale",
    "maximum_calibration_error",
    "mean_confidence",
    "means_over_questions",
    "member_scores",
    "memory_curve",
    "miller_madow_entropy",
    "minimum_bayes_risk",
    "mutual_information",
    "next_token_calibration",
    "next_token_estimates",
    "next_token_temperature",
    "next_tokens",
    "number_of_sets",
    "outcomes_of",
    "overconfidence",
    "pair_statistics",
    "paired_difference",
    "paired_shares_interval",
    "perplexity",
    "platt",
    "plug_in_entropy",
    "prediction_rejection_ratio",
    "predictive_entropy",
    "probability_quality",
    "prompt_weights",
    "rate_curves",
    "read_alarm",
    "read_continuations",
    "read_corpus",
    "read_look_ahead",
    "read_outcomes",
    "read_predictions",
    "read_recalibrator",
    "read_samples",
    "read_task",
    "read_traces",
    "read_translator",
    "reliability_diagram",
    "renyi_entropy",
    "resampled_means",
    "retold",
    "risk_coverage_curve",
    "root_mean_square_calibration_error",
    "row_statistics",
    "rule_logp",
    "sample",
    "sample_adaptively",
    "sample_curve",
    "sample_stream",
    "scaling_binning",
    "score",
    "score_corpus",
    "score_texts",
    "self_certainty",
    "semantic_density",
    "semantic_entropy",
    "sentence_sar",
    "sequence_perplexity",
    "set_shares",
    "shrinkage_entropy",
    "signature",
    "signatures",
    "signed_calibration_gap",
    "similarities_from",
    "similarities_of",
    "smooth_calibration_error",
    "smooth_reliability",
    "soft_nearest_neighbour_entropy",
    "spans",
    "speculate",
    "spline",
    "squared_kernel_calibration_error",
    "stated_error",
    "stationary_distribution",
    "stopping_point",
    "stream",
    "string_entropy",
    "surprisal",
    "surprise_score",
    "survey_question",
    "survey_questions",
    "sweep_calibration_error",
    "temperature",
    "temperature_survey",
    "thresholded_adaptive_calibration_error",
    "together_estimates",
    "token_sar",
    "top_label_conditional_calibration_error",
    "total_surprisal",
    "transfer",
    "true_probability",
    "typicality",
    "uncertainties_of",
    "underconfidence",
    "varentropy",
    "vector",
    "vendi_score",
    "venn_abers",
    "verbalised_confidence",
    "vocabulary_of",
    "watched",
    "wilson_interval",
    "with_examples",
    "write_alarm",
    "write_look_ahead",
    "write_outcomes",
    "write_predictions",
    "write_recalibrator",
    "write_traces",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from nescio.outcome.estimate import nescio_version

        return nescio_version()
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nescio' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    __version__: str
    from nescio.calibration import CalibrationSums as CalibrationSums
    from nescio.calibration import CrossValidated as CrossValidated
    from nescio.calibration import CumulativeDifferences as CumulativeDifferences
    from nescio.calibration import EqualMass as EqualMass
    from nescio.calibration import EqualWidth as EqualWidth
    from nescio.calibration import ErrorByBinCount as ErrorByBinCount
    from nescio.calibration import FitReport as FitReport
    from nescio.calibration import FullVocabularySums as FullVocabularySums
    from nescio.calibration import KernelForm as KernelForm
    from nescio.calibration import PredictionSets as PredictionSets
    from nescio.calibration import Recalibrator as Recalibrator
    from nescio.calibration import ReliabilityDiagram as ReliabilityDiagram
    from nescio.calibration import RiskCoverage as RiskCoverage
    from nescio.calibration import SmoothReliability as SmoothReliability
    from nescio.calibration import TemperatureSurvey as TemperatureSurvey
    from nescio.calibration import UniqueValues as UniqueValues
    from nescio.calibration import accuracy as accuracy
    from nescio.calibration import accuracy_at_coverage as accuracy_at_coverage
    from nescio.calibration import (
        adaptive_calibration_error as adaptive_calibration_error,
    )
    from nescio.calibration import area_under_risk_coverage as area_under_risk_coverage
    from nescio.calibration import auprc as auprc
    from nescio.calibration import auroc as auroc
    from nescio.calibration import beta as beta
    from nescio.calibration import brier_decomposition as brier_decomposition
    from nescio.calibration import brier_score as brier_score
    from nescio.calibration import (
        calibration_errors_by_class as calibration_errors_by_class,
    )
    from nescio.calibration import calibration_refinement as calibration_refinement
    from nescio.calibration import (
        class_wise_calibration_error as class_wise_calibration_error,
    )
    from nescio.calibration import conformal as conformal
    from nescio.calibration import controlled_threshold as controlled_threshold
    from nescio.calibration import coverage_at_risk as coverage_at_risk
    from nescio.calibration import cross_validated as cross_validated
    from nescio.calibration import cumulative_differences as cumulative_differences
    from nescio.calibration import (
        debiased_l2_calibration_error as debiased_l2_calibration_error,
    )
    from nescio.calibration import (
        debiased_squared_calibration_error as debiased_squared_calibration_error,
    )
    from nescio.calibration import dirichlet as dirichlet
    from nescio.calibration import ensemble_temperature as ensemble_temperature
    from nescio.calibration import error_by_bin_count as error_by_bin_count
    from nescio.calibration import (
        excess_area_under_risk_coverage as excess_area_under_risk_coverage,
    )
    from nescio.calibration import (
        expected_calibration_error as expected_calibration_error,
    )
    from nescio.calibration import expected_null_error as expected_null_error
    from nescio.calibration import (
        full_vocabulary_calibration_error as full_vocabulary_calibration_error,
    )
    from nescio.calibration import histogram as histogram
    from nescio.calibration import isotonic as isotonic
    from nescio.calibration import isotonic_decomposition as isotonic_decomposition
    from nescio.calibration import (
        kolmogorov_smirnov_calibration_error as kolmogorov_smirnov_calibration_error,
    )
    from nescio.calibration import kuiper_calibration_error as kuiper_calibration_error
    from nescio.calibration import log_loss as log_loss
    from nescio.calibration import (
        maximum_calibration_error as maximum_calibration_error,
    )
    from nescio.calibration import mean_confidence as mean_confidence
    from nescio.calibration import next_token_calibration as next_token_calibration
    from nescio.calibration import overconfidence as overconfidence
    from nescio.calibration import paired_difference as paired_difference
    from nescio.calibration import platt as platt
    from nescio.calibration import (
        prediction_rejection_ratio as prediction_rejection_ratio,
    )
    from nescio.calibration import read_recalibrator as read_recalibrator
    from nescio.calibration import reliability_diagram as reliability_diagram
    from nescio.calibration import risk_coverage_curve as risk_coverage_curve
    from nescio.calibration import (
        root_mean_square_calibration_error as root_mean_square_calibration_error,
    )
    from nescio.calibration import scaling_binning as scaling_binning
    from nescio.calibration import signed_calibration_gap as signed_calibration_gap
    from nescio.calibration import smooth_calibration_error as smooth_calibration_error
    from nescio.calibration import smooth_reliability as smooth_reliability
    from nescio.calibration import spline as spline
    from nescio.calibration import (
        squared_kernel_calibration_error as squared_kernel_calibration_error,
    )
    from nescio.calibration import sweep_calibration_error as sweep_calibration_error
    from nescio.calibration import temperature as temperature
    from nescio.calibration import temperature_survey as temperature_survey
    from nescio.calibration import (
        thresholded_adaptive_calibration_error as thresholded_adaptive_calibration_error,
    )
    from nescio.calibration import (
        top_label_conditional_calibration_error as top_label_conditional_calibration_error,
    )
    from nescio.calibration import underconfidence as underconfidence
    from nescio.calibration import vector as vector
    from nescio.calibration import venn_abers as venn_abers
    from nescio.calibration import write_recalibrator as write_recalibrator
    from nescio.calibration.scikit_learn import as_estimator as as_estimator
    from nescio.comparison import Compared as Compared
    from nescio.comparison import Comparison as Comparison
    from nescio.comparison import Stretches as Stretches
    from nescio.comparison import compare as compare
    from nescio.consistency.adaptive import AdaptiveRule as AdaptiveRule
    from nescio.consistency.adaptive import adaptive_answers as adaptive_answers
    from nescio.consistency.adaptive import stopping_point as stopping_point
    from nescio.consistency.adaptive_error import stated_error as stated_error
    from nescio.consistency.adaptive_sampling import AdaptiveDraws as AdaptiveDraws
    from nescio.consistency.adaptive_sampling import adaptive_stream as adaptive_stream
    from nescio.consistency.adaptive_sampling import (
        sample_adaptively as sample_adaptively,
    )
    from nescio.consistency.agreement import agreement as agreement
    from nescio.consistency.agreement import consistency_entropy as consistency_entropy
    from nescio.consistency.agreement import (
        consistency_entropy_by_samples as consistency_entropy_by_samples,
    )
    from nescio.consistency.agreement import (
        first_second_distance as first_second_distance,
    )
    from nescio.consistency.answers import Answers as Answers
    from nescio.consistency.answers import Sorting as Sorting
    from nescio.consistency.answers import answers_of as answers_of
    from nescio.consistency.clusters import answers_with_sets as answers_with_sets
    from nescio.consistency.clusters import complete_link as complete_link
    from nescio.consistency.clusters import connected_components as connected_components
    from nescio.consistency.dataset import confidences_of as confidences_of
    from nescio.consistency.dataset import leaders_of as leaders_of
    from nescio.consistency.dataset import means_over_questions as means_over_questions
    from nescio.consistency.dataset import outcomes_of as outcomes_of
    from nescio.consistency.dataset import uncertainties_of as uncertainties_of
    from nescio.consistency.divergence import divergence as divergence
    from nescio.consistency.graph import degree_uncertainty as degree_uncertainty
    from nescio.consistency.graph import eccentricity as eccentricity
    from nescio.consistency.graph import (
        eigenvalue_uncertainty as eigenvalue_uncertainty,
    )
    from nescio.consistency.graph import (
        kernel_language_entropy as kernel_language_entropy,
    )
    from nescio.consistency.graph import vendi_score as vendi_score
    from nescio.consistency.judging import judged_answers as judged_answers
    from nescio.consistency.lexical import lexical_similarity as lexical_similarity
    from nescio.consistency.lexical import (
        soft_nearest_neighbour_entropy as soft_nearest_neighbour_entropy,
    )
    from nescio.consistency.likelihood_weighted import (
        answer_log_probability as answer_log_probability,
    )
    from nescio.consistency.likelihood_weighted import cocoa as cocoa
    from nescio.consistency.likelihood_weighted import (
        length_normalised_predictive_entropy as length_normalised_predictive_entropy,
    )
    from nescio.consistency.likelihood_weighted import (
        predictive_entropy as predictive_entropy,
    )
    from nescio.consistency.likelihood_weighted import (
        semantic_density as semantic_density,
    )
    from nescio.consistency.likelihood_weighted import sentence_sar as sentence_sar
    from nescio.consistency.minimum_bayes_risk import (
        exact_minimum_bayes_risk as exact_minimum_bayes_risk,
    )
    from nescio.consistency.minimum_bayes_risk import (
        minimum_bayes_risk as minimum_bayes_risk,
    )
    from nescio.consistency.semantic_entropy import semantic_entropy as semantic_entropy
    from nescio.consistency.semantic_entropy import set_shares as set_shares
    from nescio.consistency.similarity import cosine_similarities as cosine_similarities
    from nescio.consistency.similarity import similarities_from as similarities_from
    from nescio.consistency.similarity import similarities_of as similarities_of
    from nescio.consistency.token_level import deep_confidence as deep_confidence
    from nescio.consistency.token_level import self_certainty as self_certainty
    from nescio.consistency.token_level import token_sar as token_sar
    from nescio.consistency.uncertainties import (
        corrected_semantic_entropy as corrected_semantic_entropy,
    )
    from nescio.consistency.uncertainties import number_of_sets as number_of_sets
    from nescio.corpus import Corpus as Corpus
    from nescio.corpus import CorpusFields as CorpusFields
    from nescio.corpus import CorpusSettings as CorpusSettings
    from nescio.corpus import CorpusSummary as CorpusSummary
    from nescio.corpus import read_corpus as read_corpus
    from nescio.corpus import score_corpus as score_corpus
    from nescio.decoding import Decoding as Decoding
    from nescio.decoding import Detail as Detail
    from nescio.decoding import Draws as Draws
    from nescio.decoding import Stream as Stream
    from nescio.decoding import TokenEvent as TokenEvent
    from nescio.decoding import Window as Window
    from nescio.decoding import generate as generate
    from nescio.decoding import sample as sample
    from nescio.decoding import sample_stream as sample_stream
    from nescio.decoding import score as score
    from nescio.decoding import score_texts as score_texts
    from nescio.decoding import stream as stream
    from nescio.decoding.beam import Beam as Beam
    from nescio.decoding.beam import beam_search as beam_search
    from nescio.decoding.diverse_beam import DiverseBeam as DiverseBeam
    from nescio.decoding.diverse_beam import diverse_beam_search as diverse_beam_search
    from nescio.decoding.watching import Alert as Alert
    from nescio.drift import alarm as alarm
    from nescio.drift import martingale as martingale
    from nescio.drift.alarm import AlarmPlan as AlarmPlan
    from nescio.drift.alarm_files import alarm_share as alarm_share
    from nescio.drift.alarm_files import alert_of as alert_of
    from nescio.drift.alarm_files import read_alarm as read_alarm
    from nescio.drift.alarm_files import write_alarm as write_alarm
    from nescio.drift.amplification import amplification_bound as amplification_bound
    from nescio.drift.channels import ChannelPlan as ChannelPlan
    from nescio.drift.curves import DriftCurve as DriftCurve
    from nescio.drift.curves import Limits as Limits
    from nescio.drift.diversity import Cut as Cut
    from nescio.drift.diversity import diversity as diversity
    from nescio.drift.entropy_gap import entropy_gap as entropy_gap
    from nescio.drift.entropy_gap import entropy_gap_change as entropy_gap_change
    from nescio.drift.hugging_face import GenerationWatch as GenerationWatch
    from nescio.drift.hugging_face import vocabulary_of as vocabulary_of
    from nescio.drift.lookahead import LookAhead as LookAhead
    from nescio.drift.lookahead import cross_entropy_change as cross_entropy_change
    from nescio.drift.lookahead import fit_look_ahead as fit_look_ahead
    from nescio.drift.lookahead import read_look_ahead as read_look_ahead
    from nescio.drift.lookahead import write_look_ahead as write_look_ahead
    from nescio.drift.lookahead_model import looking_ahead as looking_ahead
    from nescio.drift.lookahead_rows import look_ahead_rows as look_ahead_rows
    from nescio.drift.martingale import MartingaleAlarm as MartingaleAlarm
    from nescio.drift.memory import Truncation as Truncation
    from nescio.drift.memory import context_gain as context_gain
    from nescio.drift.memory import memory_curve as memory_curve
    from nescio.drift.protocol import ContinuationPlan as ContinuationPlan
    from nescio.drift.protocol import continue_documents as continue_documents
    from nescio.drift.protocol import read_continuations as read_continuations
    from nescio.drift.quality import probability_quality as probability_quality
    from nescio.drift.quality import string_entropy as string_entropy
    from nescio.drift.quality import typicality as typicality
    from nescio.drift.rate import along_steps as along_steps
    from nescio.drift.rate import entropy_rate_exponential as entropy_rate_exponential
    from nescio.drift.rate import entropy_rate_per_byte as entropy_rate_per_byte
    from nescio.drift.rate import rate_curves as rate_curves
    from nescio.drift.rate import surprise_score as surprise_score
    from nescio.drift.watched import watched as watched
    from nescio.ensemble.agreed import Agreement as Agreement
    from nescio.ensemble.agreement import agreement_beam as agreement_beam
    from nescio.ensemble.byte_context import ByteContext as ByteContext
    from nescio.ensemble.byte_view import USUAL_PRUNE as USUAL_PRUNE
    from nescio.ensemble.byte_view import ByteView as ByteView
    from nescio.ensemble.hugging_face import JoinedGeneration as JoinedGeneration
    from nescio.ensemble.joining import Ensemble as Ensemble
    from nescio.ensemble.listed import byte_beam as byte_beam
    from nescio.ensemble.member_scores import member_scores as member_scores
    from nescio.ensemble.member_scores import rule_logp as rule_logp
    from nescio.ensemble.particles import Swarm as Swarm
    from nescio.ensemble.particles import draw_particles as draw_particles
    from nescio.ensemble.rejoining import Rejoining as Rejoining
    from nescio.ensemble.speculative import Drafting as Drafting
    from nescio.ensemble.speculative import speculate as speculate
    from nescio.ensemble.telling import Telling as Telling
    from nescio.ensemble.telling import retold as retold
    from nescio.ensemble.telling import together_estimates as together_estimates
    from nescio.ensemble.unwritable import Escaping as Escaping
    from nescio.ensemble.weighting import fit_weights as fit_weights
    from nescio.ensemble.weighting import prompt_weights as prompt_weights
    from nescio.errors import NescioError as NescioError
    from nescio.evaluation import Domain as Domain
    from nescio.evaluation import Question as Question
    from nescio.evaluation import Task as Task
    from nescio.evaluation import arithmetic as arithmetic
    from nescio.evaluation import ask_confidence as ask_confidence
    from nescio.evaluation import by_group as by_group
    from nescio.evaluation import capitals as capitals
    from nescio.evaluation import choices_by_letter as choices_by_letter
    from nescio.evaluation import choices_by_text as choices_by_text
    from nescio.evaluation import generated as generated
    from nescio.evaluation import halves as halves
    from nescio.evaluation import is_right as is_right
    from nescio.evaluation import last_words as last_words
    from nescio.evaluation import next_token_estimates as next_token_estimates
    from nescio.evaluation import next_token_temperature as next_token_temperature
    from nescio.evaluation import next_tokens as next_tokens
    from nescio.evaluation import read_task as read_task
    from nescio.evaluation import transfer as transfer
    from nescio.evaluation import true_probability as true_probability
    from nescio.evaluation import verbalised_confidence as verbalised_confidence
    from nescio.evaluation import with_examples as with_examples
    from nescio.evaluation.agreement_probability import fit_calibrator as fit_calibrator
    from nescio.evaluation.asking import ask as ask
    from nescio.evaluation.asking import read_samples as read_samples
    from nescio.evaluation.asking_many import ask_all as ask_all
    from nescio.evaluation.asking_rules import HowRead as HowRead
    from nescio.evaluation.consistency_survey import survey_question as survey_question
    from nescio.evaluation.consistency_survey import (
        survey_questions as survey_questions,
    )
    from nescio.evaluation.embedded import EmbeddedSimilarity as EmbeddedSimilarity
    from nescio.evaluation.equivalence import equivalence as equivalence
    from nescio.evaluation.extraction import extraction as extraction
    from nescio.evaluation.meter import Meter as Meter
    from nescio.evaluation.model_judging import ModelJudge as ModelJudge
    from nescio.evaluation.model_judging import judged_by as judged_by
    from nescio.evaluation.sample_curve import accuracy_by_votes as accuracy_by_votes
    from nescio.evaluation.sample_curve import agreement_transfer as agreement_transfer
    from nescio.evaluation.sample_curve import sample_curve as sample_curve
    from nescio.imports import Imported as Imported
    from nescio.imports import OutcomesFrom as OutcomesFrom
    from nescio.imports import import_file as import_file
    from nescio.information import MaximumLikelihood as MaximumLikelihood
    from nescio.information import binary_log_loss as binary_log_loss
    from nescio.information import bits_per_byte as bits_per_byte
    from nescio.information import bits_per_byte_difference as bits_per_byte_difference
    from nescio.information import bits_per_character as bits_per_character
    from nescio.information import bits_per_token as bits_per_token
    from nescio.information import categorical_log_loss as categorical_log_loss
    from nescio.information import chao_shen_entropy as chao_shen_entropy
    from nescio.information import conditional_entropy as conditional_entropy
    from nescio.information import cross_entropy as cross_entropy
    from nescio.information import die_maximum_likelihood as die_maximum_likelihood
    from nescio.information import entropy as entropy
    from nescio.information import entropy_bounds as entropy_bounds
    from nescio.information import entropy_from_counts as entropy_from_counts
    from nescio.information import entropy_rate as entropy_rate
    from nescio.information import jeffreys_divergence as jeffreys_divergence
    from nescio.information import jensen_shannon_distance as jensen_shannon_distance
    from nescio.information import (
        jensen_shannon_divergence as jensen_shannon_divergence,
    )
    from nescio.information import kl_divergence as kl_divergence
    from nescio.information import log_likelihood as log_likelihood
    from nescio.information import markov_entropy_rate as markov_entropy_rate
    from nescio.information import miller_madow_entropy as miller_madow_entropy
    from nescio.information import mutual_information as mutual_information
    from nescio.information import perplexity as perplexity
    from nescio.information import plug_in_entropy as plug_in_entropy
    from nescio.information import renyi_entropy as renyi_entropy
    from nescio.information import sequence_perplexity as sequence_perplexity
    from nescio.information import shrinkage_entropy as shrinkage_entropy
    from nescio.information import stationary_distribution as stationary_distribution
    from nescio.information import surprisal as surprisal
    from nescio.information import total_surprisal as total_surprisal
    from nescio.information import varentropy as varentropy
    from nescio.kernel import PairStatistics as PairStatistics
    from nescio.kernel import RowStatistics as RowStatistics
    from nescio.kernel import Sampling as Sampling
    from nescio.kernel import log_softmax as log_softmax
    from nescio.kernel import pair_statistics as pair_statistics
    from nescio.kernel import row_statistics as row_statistics
    from nescio.lens import classify_signatures as classify_signatures
    from nescio.lens import generated_layer_entropies as generated_layer_entropies
    from nescio.lens import layer_entropies as layer_entropies
    from nescio.lens import layer_entropies_of_texts as layer_entropies_of_texts
    from nescio.lens import lens_summary as lens_summary
    from nescio.lens import signature as signature
    from nescio.lens import signatures as signatures
    from nescio.models.encoders import encoder as encoder
    from nescio.models.marian import Translator as Translator
    from nescio.models.marian import read_translator as read_translator
    from nescio.outcome import Estimate as Estimate
    from nescio.outcome import Outcomes as Outcomes
    from nescio.outcome import Predictions as Predictions
    from nescio.outcome import Recipe as Recipe
    from nescio.outcome import load_outcomes as load_outcomes
    from nescio.outcome import read_outcomes as read_outcomes
    from nescio.outcome import read_predictions as read_predictions
    from nescio.outcome import write_outcomes as write_outcomes
    from nescio.outcome import write_predictions as write_predictions
    from nescio.specification import load as load
    from nescio.trace import Message as Message
    from nescio.trace import Prompt as Prompt
    from nescio.trace import Sample as Sample
    from nescio.trace import Samples as Samples
    from nescio.trace import Trace as Trace
    from nescio.trace import TraceWriter as TraceWriter
    from nescio.trace import read_traces as read_traces
    from nescio.trace import spans as spans
    from nescio.trace import write_traces as write_traces
    from nescio.uncertainty import Interval as Interval
    from nescio.uncertainty import bootstrap_blocks as bootstrap_blocks
    from nescio.uncertainty import bootstrap_clusters as bootstrap_clusters
    from nescio.uncertainty import bootstrap_pairs as bootstrap_pairs
    from nescio.uncertainty import bootstrap_rows as bootstrap_rows
    from nescio.uncertainty import paired_shares_interval as paired_shares_interval
    from nescio.uncertainty import resampled_means as resampled_means
    from nescio.uncertainty import wilson_interval as wilson_interval
