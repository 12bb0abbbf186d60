"""The 2-D game: it is the from-scratch engine's, and its rules change while it runs."""

import numpy as np
import pytest
from conftest_studio import client_of

from duel import catalog
from duel.errors import InputError
from duel.scratch import train as engine
from duel.scratch.network import Network
from duel.studio import playground
from duel.studio.playground import Playground, Settings, as_recipe, covered, data_of, settings, square


def small(**changes):
    return settings({"hidden": 8, "batch": 16, **changes})


def test_a_game_is_the_engines_own():
    game = Playground(small())
    recipe, data = as_recipe(small()), data_of(small())
    now = engine.start(recipe, data)
    for _ in range(3):
        engine.play_step(recipe, now)
        now.step += 1
    game.play(3)
    assert game.step == 3
    assert np.array_equal(game._now.generator.weights, now.generator.weights)


def test_all_objectives_penalties_and_optimizers_of_the_engine_are_offered_and_play():
    offered = playground.choices()["choices"]
    for name, family in (
        ("objective", "objectives"),
        ("penalties", "penalties"),
        ("optimizer", "optimizers"),
    ):
        assert [each["name"] for each in offered[name]] == catalog.names(family)
        for each in offered[name]:
            game = Playground(small(**{name: each["name"]}))
            game.play(2)
            found = game.look()
            assert np.isfinite(found.field).all()
            assert set(found.numbers) == {"loss_d", "loss_g", "d_real", "d_fake", "d_fake_after"}


def test_what_is_looked_at_changes_nothing():
    one, other = Playground(small()), Playground(small())
    one.play(4)
    for _ in range(4):
        other.play(1)
        other.look()
    assert np.array_equal(one._now.discriminator.weights, other._now.discriminator.weights)


def test_arrows_point_where_the_generators_loss_falls():
    game = Playground(small(seed=2))
    game.play(20)
    found = game.look()
    player, step = game._now.discriminator, np.float32(1e-2)

    def loss(points):
        logits = player.network.apply(player.weights, points)[:, 0]
        return np.logaddexp(0, -logits)

    length = np.linalg.norm(found.arrows, axis=1)
    moving = length > 1e-4
    unit = (found.arrows[moving] / length[moving, None]).astype(np.float32)
    assert (loss(found.fake[moving] + step * unit) < loss(found.fake[moving])).mean() > 0.95


def test_the_field_is_the_discriminators_answer_from_below():
    game = Playground(small())
    found = game.look()
    below_left, above_left = square(40)[0], square(40)[-40]
    assert below_left[1] < above_left[1]
    player = game._now.discriminator
    logit = player.network.apply(player.weights, below_left[None])[0, 0]
    assert found.field[0, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)
    assert found.probability
    scores = Playground(small(objective="wasserstein")).look()
    assert not scores.probability
    assert (scores.low, scores.high) == (scores.field.min(), scores.field.max())


def test_rules_change_while_it_runs_and_networks_do_not():
    game = Playground(small())
    game.play(3)
    before = game._now.generator.weights.copy()
    assert not game.change(
        {"objective": "hinge", "penalties": "r1,r2", "lr_g": 0.01, "n_critic": 2, "batch": 8}
    )
    assert np.array_equal(game._now.generator.weights, before)
    game.play(1)
    assert game.step == 4
    assert game._now.updates_d == 5
    assert not game.change({"optimizer": "sgd"})
    game.play(1)
    assert game.change({"hidden": 9})
    assert game.step == 0


def test_points_that_were_drawn_are_learned():
    game = Playground(small(data="drawn", drawn=[[0.5, 0.5], [-0.5, 0.5], [0, -0.5]]))
    assert np.abs(game.real[:, None] - np.array(game.settings.drawn)[None]).max(-1).min(-1).max() < 0.15
    game.play(2)
    found = game.look()
    assert (found.covered, found.modes) == (None, None)


def test_modes_are_counted_by_points_near_them():
    modes = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    fake = np.array([[0.01, 0.0]] * 50 + [[1.0, 0.05]] * 49 + [[0.0, 1.0]])
    assert covered(fake, modes) == 2


@pytest.mark.parametrize(
    "wrong",
    [{"data": "mnist"}, {"data": "drawn"}, {"data": "drawn", "drawn": [[0, 0]] * 2}, {"drawn": [[2, 0]] * 3},
     {"drawn": "x"}, {"drawn": [[0, 0, 0], [1]]}, {"drawn": [["a", "b"]] * 3}, {"drawn": [[0, 0]] * 2001},
     {"drawn": [[float("nan"), 0]] * 3}, {"objective": "os:system"}, {"objective": "nothing"},
     {"penalties": "os:x"},
     {"lr_d": "x"}, {"lr_d": 0}, {"lr_d": -1}, {"lr_g": float("inf")}, {"hidden": 0}, {"hidden": 1000},
     {"batch": 100000}, {"latent": 0}, {"n_critic": 1000}, {"n_critic": 1.5}, {"seed": -1}, {"nothing": 1},
     {"beta1": 2}, {"clip": -1}, {"optimizer": True}],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        Playground(settings({"hidden": 8, "batch": 16, **wrong}))


def test_a_game_that_diverged_stops_and_says_so():
    game = Playground(small(optimizer="sgd", lr_d=1e6, lr_g=1e6, objective="wasserstein"))
    game.play(50)
    assert game.diverged
    assert np.isfinite(game.look().field).all()


def test_the_presets_collapse_and_cure():
    """As the page's two buttons do it, with the page's own networks."""
    game = Playground(Settings())
    game.change(playground.PRESETS["collapse"])
    game.play(400)
    assert game.look().covered <= 2
    game.change(playground.PRESETS["cure"])
    game.play(900)
    assert game.look().covered >= 6


def test_a_collapse_does_not_cure_itself():
    game = Playground(Settings())
    game.change(playground.PRESETS["collapse"])
    game.play(2800)
    assert game.look().covered <= 2


# ---------------------------------------------------------------- through the server


def test_a_game_through_the_server_survives_a_restart(root):
    client = client_of(root)
    game = client.post("/api/playground", json={"settings": {"hidden": 8, "batch": 16}}).json()
    address = f"/api/playground/{game['id']}"
    assert (game["step"], len(game["field"]), len(game["fake"])) == (0, 1600, 256)
    client.post(address, json={"steps": 30})
    client.post(address, json={"settings": {"objective": "hinge"}, "steps": 0})
    for _ in range(5):
        last = client.post(address, json={"steps": 100}).json()
    assert last["step"] == 530
    later = client_of(root).get(address).json()
    assert later["settings"]["objective"] == "hinge"
    assert later["step"] >= 500 or later["step"] == 30
    client.post(address, json={"settings": {"seed": 5}})
    assert client_of(root).get(address).json()["settings"]["seed"] == 5


@pytest.mark.parametrize(
    "given", [{"steps": -1}, {"steps": 201}, {"steps": "1"}, {"settings": 1}, {"settings": {"x": 1}}]
)
def test_requests_that_are_none_are_refused(client, given):
    game = client.post("/api/playground", json={"settings": {"hidden": 8, "batch": 16}}).json()
    assert client.post(f"/api/playground/{game['id']}", json=given).status_code == 400


def test_games_in_memory_are_limited(client, monkeypatch):
    from duel.studio import play_routes

    monkeypatch.setattr(play_routes, "_KEPT", 2)
    games = [
        client.post("/api/playground", json={"settings": {"hidden": 8, "batch": 16}}).json() for _ in range(4)
    ]
    assert client.post(f"/api/playground/{games[0]['id']}", json={"steps": 1}).json()["step"] == 1


def test_the_networks_are_the_scratch_engines():
    assert isinstance(Playground(small())._now.generator.network, Network)
