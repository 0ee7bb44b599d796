"""What headers of experiment trackers mean."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.tables.tracker_names import meaning_of


@pytest.mark.parametrize(
    ("header", "quantity"),
    [
        ("params", "N"),
        ("n_params", "N"),
        ("config.n_params", "N"),
        ("config/model/num-parameters", "N"),
        ("Model Size", "N"),
        ("N", "N"),
        ("active_params", "N_active"),
        ("train/tokens", "D"),
        ("tokens", "D"),
        ("Tokens Seen", "D"),
        ("throughput/total_tokens", "D"),
        ("unique_tokens", "D_unique"),
        ("flops", "flops"),
        ("train_flops", "flops"),
        ("num_experts", "experts"),
        ("sparsity", "S"),
        ("run_id", "run"),
        ("_step", "step"),
        ("trainer/global_step", "step"),
        ("max_steps", "max_steps"),
        ("train/lr", "lr"),
        ("optim/learning_rate_group0", "lr"),
    ],
)
def test_headers_are_recognised(header, quantity):
    found = meaning_of(header)
    assert found is not None
    assert found.quantity == quantity
    assert found.factor == 1.0


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("val_loss", "validation loss"),
        ("eval/loss", "validation loss"),
        ("eval/c4_en-validation/CrossEntropyLoss", "validation loss"),
        ("summary.validation_loss", "validation loss"),
        ("lm loss validation", "validation loss"),
        ("test_nll", "validation loss"),
        ("loss", ""),
        ("final_loss", ""),
        ("train_loss", "training loss"),
        ("train/ce_loss", "training loss"),
    ],
)
def test_losses_are_told_apart(header, kind):
    found = meaning_of(header)
    assert (found.quantity, found.note) == ("loss", kind)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("ppl", "perplexity"),
        ("Perplexity", "perplexity"),
        ("final_ppl", "perplexity"),
        ("val_ppl", "validation perplexity"),
        ("val/perplexity", "validation perplexity"),
        ("eval/c4_en-validation/Perplexity", "validation perplexity"),
        ("train_ppl", "training perplexity"),
    ],
)
def test_perplexities_are_told_apart_from_losses(header, kind):
    found = meaning_of(header)
    assert (found.quantity, found.measure) == ("loss", "perplexity")
    assert found.note == f"{kind}; its natural logarithm is taken"


@pytest.mark.parametrize(
    "header",
    ["bpb", "val_bpb", "bits_per_byte", "val/bits_per_byte", "val_loss (bits per byte)",
     "loss (bpb)", "val_loss_bpb", "bits/byte"],
)  # fmt: skip
def test_bits_per_byte_are_no_nats(header):
    found = meaning_of(header)
    assert (found.quantity, found.measure) == ("loss", "bits per byte")


def test_a_loss_comes_before_a_perplexity_unless_it_is_of_training():
    headers = ("val_loss", "loss", "val_ppl", "ppl", "train_loss", "train_ppl")
    ranks = [meaning_of(header).rank for header in headers]
    assert ranks == sorted(set(ranks))


def test_validation_comes_before_loss_and_loss_before_training():
    ranks = [meaning_of(header).rank for header in ("val_loss", "loss", "train_loss")]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize(
    "header",
    ["d", "n", "D_model", "d_model", "width", "depth", "n_layers", "train/aux_loss", "val/z_loss",
     "moe_loss", "micro_batch_size", "seed", "compute_dtype", "tokens_per_second", "val_accuracy",
     "word_perplexity", "lambada/byte_perplexity", "moe_ppl", "tokens_ppl", "supplied"],
)  # fmt: skip
def test_other_headers_mean_nothing(header):
    assert meaning_of(header) is None


@pytest.mark.parametrize(
    ("header", "quantity", "factor"),
    [
        ("params (B)", "N", 1e9),
        ("params [M]", "N", 1e6),
        ("n_params_b", "N", 1e9),
        ("N (in millions)", "N", 1e6),
        ("model_size_billions", "N", 1e9),
        ("tokens_in_billions", "D", 1e9),
        ("tokens (T tokens)", "D", 1e12),
        ("D (B)", "D", 1e9),
        ("tokens (tokens)", "D", 1.0),
        ("compute (PF-days)", "flops", 8.64e19),
        ("flops_pf_days", "flops", 8.64e19),
        ("train_flops (1e9)", "flops", 1e9),
        ("val_loss (nats)", "loss", 1.0),
        ("val_loss (bits)", "loss", math.log(2)),
    ],
)
def test_units_in_headers_are_converted(header, quantity, factor):
    found = meaning_of(header)
    assert (found.quantity, found.factor) == (quantity, factor)


@pytest.mark.parametrize("header", ["params (GB)", "tokens (per second)", "loss (dB)", "S (%)"])
def test_unknown_units_are_not_guessed(header):
    assert meaning_of(header) is None


@pytest.mark.parametrize("name", bs.VARIABLES)
def test_the_vocabulary_s_names_and_aliases_mean_themselves(name):
    assert meaning_of(name).exact
    for alias in bs.VARIABLES[name].aliases:
        found = meaning_of(alias)
        assert (found is None) == (len(alias) == 1)
        assert found is None or found.quantity == name


@given(st.text(max_size=40))
def test_any_header_has_a_meaning_or_none(header):
    found = meaning_of(header)
    assert found is None or (found.factor > 0 and found.quantity)
