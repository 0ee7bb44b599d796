"""The questions of whoever plans a mixture, at the prompt, on measured runs."""

import json

import pytest

import bayescale as bs
from bayescale.models import clark, dense, transferred
from command_line import error, run

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fits")


@pytest.fixture(scope="module")
def saved(folder):
    """Fits of each optimizer, of upcycled and of routed models."""
    optimizers = bs.load_runs("marin_optimizers")
    upcycled = bs.load_runs("liew2025").query("experts == 8 and top_k == 2")
    routed = bs.load_runs("clark2022").query(
        "top_k == 1 and routing_frequency == 0.5 and seed == 42 and router in ('RL-R', 'Dense')"
    )
    tables = {name: (dense, optimizers.query("optimizer == @name")) for name in ("adamw", "muon")}
    tables |= {"upcycled": (transferred, upcycled), "routed": (clark, routed)}
    for name, (law, runs) in tables.items():
        bs.fit(law, runs, method="laplace", draws=100, seed=1).save(folder / f"{name}.nc")
    bs.fit(
        dense, optimizers, by="optimizer", vary=("A",), draws=250, tune=250, chains=2, seed=1
    ).save(folder / "both.nc")
    return folder


def document(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def test_which_recipe(saved):
    pair = (saved / "adamw.nc", saved / "muon.nc", "--budget", "1e19", "--budget", "1e20")
    found = document("versus", *pair, "--ratio", "20")
    fits = {name: bs.load_fit(saved / f"{name}.nc") for name in ("adamw", "muon")}
    odds = bs.probability(fits["muon"], fits["adamw"], [1e19, 1e20], ratio=20.0, seed=0)
    for one, chance in zip(found["budgets"], odds.probability.values, strict=True):
        muon = one["fits"][1]
        assert muon["probability"] == chance == muon["best"]
        assert muon["multiplier"]["lower"] < muon["multiplier"]["median"]
    middle = [one["fits"][1]["multiplier"]["median"] for one in found["budgets"]]
    assert middle == pytest.approx(odds.multiplier.median(("chain", "draw")).values.tolist())
    assert middle[0] > middle[1] > 1.1
    said = run("versus", *pair, "--ratio", "20").stdout
    assert "both at 20 tokens a parameter: muon has the lowest loss with probability" in said
    assert "muon is ahead of adamw at all of these budgets" in said


def test_groups_of_one_fit_are_rivals(saved, folder):
    picture = folder / "odds.svg"
    found = document("versus", saved / "both.nc", "--budget", "1e19", "--plot", picture)
    assert [one["fit"] for one in found["budgets"][0]["fits"]] == ["adamw", "muon"]
    assert sum(one["best"] for one in found["budgets"][0]["fits"]) == pytest.approx(1.0)
    assert picture.stat().st_size > 5000
    assert "give another to set it against" in error(
        "versus", saved / "muon.nc", "--budget", "1e20"
    )


def test_three_rivals_share_the_probability_of_being_best(saved):
    paths = [saved / f"{name}.nc" for name in ("adamw", "muon")]
    copy = saved / "again.nc"
    copy.write_bytes(paths[1].read_bytes())
    found = document("versus", *paths, copy, "--budget", "1e19")
    best = {one["fit"]: one["best"] for one in found["budgets"][0]["fits"]}
    assert sum(best.values()) == pytest.approx(1.0)
    assert set(best) == {"adamw", "muon", "again"}


def test_what_every_rival_warns_of_is_said_once(saved, folder):
    fits = [saved / f"{name}.nc" for name in ("adamw", "muon")]
    again = folder / "again.nc"
    again.write_bytes(fits[1].read_bytes())
    bounded = ("--budget", "1e19", "--bounds", "N=1M:50M", "--plot", folder / "bounded.png")
    told = run("versus", *fits, again, *bounded).stderr.splitlines()
    assert [line for line in told if "at its high end" in line]
    assert len(told) == len(set(told))


def test_upcycle_or_start_afresh(saved, folder):
    picture = folder / "map.svg"
    parent = ("N=1B", "D_dense=50B", "D_upcycled=5B,100B")
    sides = (saved / "upcycled.nc", "dense:liew2025_moe")
    found = document("upcycle", *sides, *parent, "--plot", picture)
    chances = [one["probability"] for one in found["tokens"]]
    assert chances[0] > 0.95
    assert chances[-1] < 0.05
    assert found["scratch"]["published"] == "liew2025_moe"
    assert found["tokens"][0]["gap"]["median"] < 0 < found["tokens"][-1]["gap"]["median"]
    assert picture.stat().st_size > 5000
    said = run("upcycle", *sides, *parent).stdout
    assert "The side from scratch is the published coefficients liew2025_moe" in said
    assert "say N and D_dense" in error("upcycle", *sides, "N=1B")
    assert "no published set" in error("upcycle", sides[0], "dense:nothing", *parent)


def test_how_many_experts(saved):
    asked = ("choices", saved / "routed.nc", "--budget", "1e21", "--fixed", "D=130B", "--trust")
    asked += ("--choose", "experts=8,32,128,512")
    free = document(*asked)
    assert free["at_end"] == ["experts"]
    assert sum(one["probability"] for one in free["choices"]) == pytest.approx(1.0)
    assert "512 is the largest listed, and nothing that was priced grows" in run(*asked).stdout
    assert all(one["total"] > one["active"] for one in free["choices"])
    within = document(*asked, "--memory", "40GB")
    assert within["memory"] == 2e10
    assert [one["experts"] for one in within["choices"]] == [8, 32]
    assert within["impossible"] == [{"experts": 128}, {"experts": 512}]
    assert within["at_end"] == []
    far = document(*asked[:-1], "experts=8,1024")
    assert far["choices"][0]["outside"] == []
    assert far["choices"][1]["outside"] == ["experts = 1.02k where the runs have 1 to 512"]
    assert (
        "experts = 128: no plan of this budget lies within memory."
        in run(*asked, "--memory", "40GB").stdout
    )


@pytest.mark.parametrize("command", ["allocate", "decide"])
def test_memory_is_an_option_of_plans(saved, command):
    asked = (command, saved / "routed.nc", "--budget", "1e21", "--fixed", "D=130B")
    asked += ("--choose", "experts=8,32,128,512") + ("--trust",) * (command == "decide")
    free, within = run(*asked), run(*asked, "--memory", "40GB")
    assert "say how many parameters there is room for: --memory 70B" in free.stderr
    assert "512" in free.stdout
    assert "512" not in within.stdout


def test_fine_experts_name_what_their_cost_model_takes(folder):
    path = folder / "fine.nc"
    bs.published(bs.models.granularity, "krajewski2024").save(path)
    asked = ("choices", path, "--budget", "1e21", "--choose", "G=1,8,64", "--memory", "400GB")
    found = document(*asked)
    assert found["memory"] == 2e11
    settings = {"expansion": 64.0, "c_f": 6.0, "c_r": 14.0}
    assert found["assumptions"] == {"cost_model": "granular_flops", "settings": settings}
    assert "expansion = 64" in run(*asked).stdout


@pytest.mark.parametrize("command", ["allocate", "decide"])
def test_a_plan_says_what_its_cost_model_takes(folder, command):
    path = folder / "fine.nc"
    bs.published(bs.models.granularity, "krajewski2024").save(path)
    asked = (command, path, "--budget", "1e21", "--choose", "G=1,8,64")
    assert document(*asked)["assumptions"]["settings"]["expansion"] == 64.0
    assert "takes expansion = 64, c_f = 6, c_r = 14; --fixed" in run(*asked).stdout
    own = document(*asked, "--fixed", "expansion=16")
    assert own["assumptions"]["settings"]["expansion"] == 16.0


def test_what_a_loss_costs(saved):
    found = document("spend", saved / "muon.nc", "--loss", "2.8", "--loss", "0.5")
    near, never = found["targets"]
    assert 1e20 < near["budget"]["median"] < 1e21
    assert near["reachable"] == 1.0
    assert never["reachable"] == 0.0
    assert never["budget"]["median"] is None
    assert "it is below the floor" in run("spend", saved / "muon.nc", "--loss", "0.5").stdout


def test_another_decade(saved):
    found = document("worth", saved / "muon.nc", "--budget", "1e20")["budgets"][0]
    more = bs.worth_of_more(bs.load_fit(saved / "muon.nc"), 1e20)
    assert found["gain"]["median"] == float(more.gain.median())
    assert found["extrapolation"] == pytest.approx(0.714, abs=0.01)


def test_score_my_plans(saved, folder):
    table = folder / "shapes.csv"
    table.write_text("run,N,D\nwide,3e9,6e10\ndeep,2e9,9e10\nbig,7e9,3e11\n")
    asked = ("score", saved / "muon.nc", "--plans", table, "--budget", "1.3e21")
    found = document(*asked)
    assert [one["run"] for one in found["plans"]] == ["wide", "deep", "big"]
    assert [one["affordable"] for one in found["plans"]] == [True, True, False]
    assert found["plans"][0]["flops"] == pytest.approx(1.08e21)
    said = run(*asked).stdout
    assert "too dear" in said
    assert "Of these the best is" in said
    assert "say which plans" in error("score", saved / "muon.nc")
