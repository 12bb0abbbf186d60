"""Recipes: read, changed, resolved, written back; every mistake in one sentence."""

import tomllib
from copy import deepcopy

import pytest

from duel import catalog, recipe
from duel.errors import DataError, RecipeError


def resolved(changes=None, name="dcgan", **options):
    return recipe.resolve(recipe.change(recipe.read(name), changes or {}), **options)


@pytest.mark.parametrize("name", catalog.recipes())
def test_every_named_recipe_resolves_explains_itself_and_survives_writing(name):
    first_line = catalog.recipes()[name].read_text().splitlines()[0]
    assert first_line.startswith("# ")
    one = resolved(name=name)
    assert one.name == name
    again = recipe.resolve(tomllib.loads(recipe.to_toml(one)))
    assert again == one
    assert recipe.differences(one, again) == {}


def test_dcgan_64_is_the_tutorials():
    it = resolved(name="dcgan-64")
    assert it.to_tree()["data"] == {"name": "mnist", "resolution": 64, "fit": "resize"}
    assert (it.latent.size, it.batch_size, it.epochs, it.joint_pass) == (100, 64, 25, False)
    assert it.to_tree()["network"] == resolved().to_tree()["network"]
    assert it.to_tree()["optimizer"]["generator"] == it.to_tree()["optimizer"]["discriminator"]
    assert it.to_tree()["optimizer"]["generator"]["lr"] == 0.0002


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1", ("a.b", 1)),
        ("lr=1e-4", ("lr", 1e-4)),
        ("name=hinge", ("name", "hinge")),
        ("flag=true", ("flag", True)),
        ("sizes=[1, 2]", ("sizes", [1, 2])),
        ("path=a=b", ("path", "a=b")),
        ("empty=", ("empty", "")),
    ],
)
def test_changes_are_read_as_toml_and_else_as_text(text, expected):
    assert recipe.parse_change(text) == expected


@pytest.mark.parametrize("text", ["steps", "=3", ""])
def test_a_change_without_key_and_value_is_refused(text):
    with pytest.raises(RecipeError, match="KEY=VALUE"):
        recipe.parse_change(text)


def test_a_dotted_key_changes_one_field():
    it = resolved({"optimizer.discriminator.lr": 1e-4, "checkpoint.every": 500})
    assert it.optimizer.discriminator.lr == 1e-4
    assert it.optimizer.generator.lr == 2e-4
    assert it.checkpoint.every == 500


def test_another_variant_drops_the_options_of_the_old_one_but_not_those_set_beside_it():
    it = resolved({"network.slope": 0.3, "network.name": "dense"})
    assert it.to_tree()["network"]["slope"] == 0.3
    assert "width" not in it.to_tree()["network"]
    assert resolved({"network": "dense"}).to_tree()["network"]["name"] == "dense"


def test_another_image_set_keeps_the_options_that_all_image_sets_share():
    it = resolved({"data.name": "fashion-mnist"}, name="dcgan-64")
    assert it.to_tree()["data"] == {"name": "fashion-mnist", "resolution": 64, "fit": "resize"}


def test_a_choice_that_the_other_variant_does_not_have_is_not_carried_to_it(tmp_path):
    it = resolved({"data.name": "folder", "data.path": str(tmp_path)}, name="bigan")
    assert it.to_tree()["data"] == {
        "name": "folder", "path": str(tmp_path), "resolution": 32, "fit": "resize", "on_bad": "skip"
    }  # fmt: skip


def test_an_element_of_a_list_by_its_number_is_refused_with_a_name():
    with pytest.raises(RecipeError, match=r"go by their names, such as augmentations\.ada\.OPTION"):
        resolved({"augmentations.0.sigma": 0.3})


def test_lists_of_variants_are_addressed_by_name():
    it = resolved({"penalties.r1.weight": 3.0, "augmentations": "noise"})
    assert it.to_tree()["penalties"] == [{"name": "r1", "weight": 3.0, "every": 1}]
    assert it.to_tree()["augmentations"] == [{"name": "noise", "sigma": 0.1}]
    assert resolved({"penalties": "none"}).penalties == ()
    changed = recipe.change(it.to_tree(), {"penalties.r1.weight": 4.0})
    assert recipe.resolve(changed).penalties[0].weight == 4.0


def test_steps_and_epochs_replace_each_other():
    assert resolved({"epochs": 2}).steps is None
    assert resolved({"steps": 9}, name="dcgan-64").epochs is None


def test_a_step_is_one_generator_update_and_an_epoch_the_real_images_drawn():
    it = resolved({"epochs": 3, "batch_size": 50, "n_critic": 2})
    assert it.total_steps(1000) == 30
    assert it.epoch(1, 1000) == (0, 1, 10)
    assert it.epoch(10, 1000) == (0, 10, 10)
    assert it.epoch(11, 1000) == (1, 1, 10)
    assert resolved({"steps": 7}).total_steps(1000) == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network.widht": 3},
            r"no field 'network.widht': did you mean 'width'\? allowed: condition, .*, slope, upscale, width",
        ),
        ({"wrong": 3}, "no field 'wrong'"),
        ({"optimizer.critic.lr": 3}, "no field 'optimizer.critic': .*allowed: discriminator, generator"),
        ({"latent.sise": 3}, r"no field 'latent.sise': did you mean 'size'\?"),
        ({"network.name": "dcgna"}, r"network.name: there is no 'dcgna' .* did you mean 'dcgan'\?"),
        ({"steps": "many"}, "steps is 'many', allowed: an integer"),
        ({"steps": True}, "steps is True, allowed: an integer"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"steps": 0}, "steps is 0, allowed are integers from 1"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"seed": -1}, "seed is -1, allowed are integers from 0"),
        ({"network.width": "64"}, "network.width is '64', allowed: an integer"),
        ({"network.init_std": 0.0}, "network.init_std is 0.0, allowed are positive"),
        ({"network.width": 0}, "network: width is 0, allowed are integers from 1"),
        ({"latent.prior": "cauchy"}, "latent.prior is 'cauchy', allowed: 'normal' or 'uniform'"),
        ({"device": "tpu"}, "device is 'tpu', allowed: 'auto', 'cpu' or 'cuda'"),
        ({"data": 3}, "data is 3, expected a table with a name"),
        ({"data.name": "folder"}, "data.path is missing"),
        ({"latent": 3}, "latent is 3, expected a table"),
        ({"evaluate.metrics": "fcd"}, r"evaluate.metrics is 'fcd', allowed: a list, such as \["),
        (
            {"optimizer.generator.lr": {"values": [1.0, -2.0], "at": [0, 5]}},
            r'lr is {values = \[1.0, -2.0\], at = \[0, 5\], shape = "linear"}',
        ),
        ({"penalties": 3}, "penalties is 3, expected a list of tables"),
        ({"penalties": [3]}, "penalties.0 is 3"),
        ({"optimizer.generator.lr": -1.0}, "optimizer.generator: lr is -1.0"),
        ({"steps.x": 1}, "'steps' is a single value, not a table"),
        ({"objective.name": "my_module:Loss"}, "would run code from outside"),
    ],
)
def test_each_mistake_is_one_sentence_with_what_is_allowed(changes, message):
    with pytest.raises(RecipeError, match=message) as caught:
        resolved(changes)
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(RecipeError) as caught:
        resolved({"network.widht": 3, "seed": "x", "latent.size": "y", "wrong": 1})
    for expected in ("4 problems", "network.widht", "seed", "latent.size", "wrong"):
        assert expected in str(caught.value)


def test_a_recipe_needs_one_budget():
    with pytest.raises(RecipeError, match="neither steps nor epochs"):
        recipe.resolve({"network": {"name": "dense"}})
    with pytest.raises(RecipeError, match="both steps and epochs"):
        recipe.resolve({"network": {"name": "dense"}, "steps": 1, "epochs": 1})


@pytest.mark.parametrize("content", ["steps = ", "\x00", "steps = 1\nsteps = 2"])
def test_a_broken_recipe_file_is_named(tmp_path, content):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=r"mine\.toml is not valid TOML"):
        recipe.read(path)


def test_an_unknown_recipe_answers_with_the_closest():
    with pytest.raises(RecipeError, match=r"no recipe 'dcgann': did you mean 'dcgan'\?"):
        recipe.read("dcgann")
    with pytest.raises(RecipeError, match="does not exist"):
        recipe.read("missing.toml")


def test_differences_name_every_changed_field():
    one = resolved({"penalties.r1.weight": 3.0})
    other = resolved({"network.width": 8, "penalties.r1.weight": 4.0})
    assert recipe.differences(one, other) == {"network.width": (64, 8), "penalties.r1.weight": (3.0, 4.0)}


def test_code_from_outside_runs_only_when_allowed(tmp_path, monkeypatch):
    (tmp_path / "outside_losses.py").write_text(
        "from duel.objectives.minimax import Minimax\n"
        "from duel.options import options\n\n\n"
        "@options\nclass Mine(Minimax):\n    scale: float = 1.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    changes = {"objective.name": "outside_losses:Mine", "objective.scale": 2.0}
    with pytest.raises(RecipeError, match="--allow-code"):
        resolved(changes)
    with pytest.raises(RecipeError, match="--allow-code"):
        resolved(changes, allow_code=["other:Name"])
    it = resolved(changes, allow_code=["outside_losses:Mine"])
    assert it.to_tree()["objective"] == {"name": "outside_losses:Mine", "smoothing": 1.0, "scale": 2.0}
    assert recipe.resolve(it.to_tree(), allow_code=True) == it


def test_a_variant_from_outside_that_leaves_a_method_out_is_told_which(tmp_path, monkeypatch):
    (tmp_path / "half_losses.py").write_text(
        "from duel.objectives._base import Objective\n"
        "from duel.options import options\n\n\n"
        "@options\nclass Half(Objective):\n"
        "    def generator_loss(self, real, fake, xp):\n        return fake\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RecipeError) as caught:
        resolved({"objective.name": "half_losses:Half", "seed": -1.5}, allow_code=True)
    assert str(caught.value).splitlines()[1:] == [
        "  objective.name is 'half_losses:Half', which leaves out what Objective needs: "
        "define discriminator_loss",
        "  seed is -1.5, allowed: an integer",
    ]


NESTED = {
    "optimizer": {"generator": {"lr": {"values": [2.0, 1.0], "at": [0, 9]}, "name": "adam"}},
    "penalties": [{"name": "r1", "weight": 1.0}],
    "network": {"name": "dense", "generator_hidden": [8]},
}


@pytest.mark.parametrize("given_as", ["tree", "changes"])
def test_a_change_never_touches_what_the_caller_gave(given_as):
    given = deepcopy(NESTED)
    later = {
        "optimizer.generator.lr.shape": "step",
        "optimizer.generator.name": "sgd",
        "penalties.r1.weight": 2.0,
        "penalties.noise.sigma": 1.0,
        "network.generator_hidden": [9],
        "network.slope": 0.1,
    }
    tree, changes = (given, later) if given_as == "tree" else ({}, {**given, **later})
    changed = recipe.change(tree, changes)
    assert changed["penalties"] == [{"name": "r1", "weight": 2.0}, {"name": "noise", "sigma": 1.0}]
    assert changed["network"] == {"name": "dense", "generator_hidden": [9], "slope": 0.1}
    assert given == NESTED


def test_the_changed_tree_shares_nothing_with_what_the_caller_gave():
    tree, changes = deepcopy(NESTED), {"augmentations": [{"name": "noise"}], "latent": {"size": 3}}
    before = deepcopy(changes)
    changed = recipe.change(tree, changes)
    changed["optimizer"]["generator"]["lr"]["values"].append(3.0)
    changed["network"]["generator_hidden"].append(1)
    changed["penalties"][0]["weight"] = 5.0
    changed["augmentations"][0]["sigma"] = 1.0
    changed["latent"]["size"] = 4
    assert (tree, changes) == (NESTED, before)


# ---------------------------------------------------------------- files that are no recipes


def test_a_recipe_file_of_this_format_is_read_and_of_another_refused_by_name(tmp_path):
    file = tmp_path / "mine.toml"
    text = catalog.recipes()["dcgan"].read_text()
    file.write_text("format = 1\n" + text)
    assert recipe.read(file) == {**recipe.read("dcgan"), "name": "mine"}
    for given, shown in (("2", "2"), ("0", "0"), ("true", "True"), ('"1"', "'1'")):
        file.write_text(f"format = {given}\n{text}")
        with pytest.raises(
            RecipeError, match=rf"mine\.toml has format {shown}; this version reads format 1$"
        ):
            recipe.read(file)


@pytest.mark.parametrize(
    ("tree", "changes"),
    [
        ({"penalties": ["r1"]}, {"penalties.r1.weight": 2.0}),
        ({"penalties": 3.5}, {"penalties.r1.weight": 2.0}),
        ({"data": False}, {"data.name": "digits"}),
    ],
)
def test_a_change_to_what_is_no_table_is_refused_in_a_sentence(tree, changes):
    with pytest.raises(RecipeError, match="expected a"):
        recipe.change(tree, changes)


@pytest.mark.parametrize("text", ["a = " + 3000 * "[", "steps = " + 5000 * "9"])
def test_a_recipe_file_that_cannot_be_parsed_is_refused_in_a_sentence(tmp_path, text):
    file = tmp_path / "deep.toml"
    file.write_text(text)
    with pytest.raises(RecipeError, match="not valid TOML"):
        recipe.read(file)
    assert recipe.parse_change(text) == (text.partition(" =")[0], text.partition("= ")[2])


def test_a_folder_of_images_that_has_a_data_sets_name_is_not_guessed_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").touch()
    assert recipe.data_changes("mnist") == {"data.name": "mnist"}  # the published files are no pictures
    (tmp_path / "flowers" / "rose").mkdir(parents=True)
    (tmp_path / "flowers" / "rose" / "1.JPG").touch()
    with pytest.raises(DataError, match=r"write \./flowers for the folder"):
        recipe.data_changes("flowers")
    assert recipe.data_changes("./flowers")["data.name"] == "folder"
