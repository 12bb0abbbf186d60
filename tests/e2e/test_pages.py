"""Each page of the studio in a real browser: what a person does there, from begin to end."""

import itertools
import json
import re
import shutil

import pytest
from in_browser import AXE, Studio
from made_study import make_study
from playwright.sync_api import expect

PAGES = {
    "runs": "#/runs",
    "new": "#/new",
    "run": "#/run/0001-dcgan-digits",
    "compare": "#/compare?runs=0001-dcgan-digits,0002-dcgan-digits",
    "explore": "#/explore/0001-dcgan-digits?walk=s:0:1,s:0:2&base=s:0:3&plus=s:0:4",
    "bigan": "#/explore/0003-bigan-digits",
    "judge": "#/judge?run=0001-dcgan-digits",
    "understand": "#/understand",
    "data": "#/data",
    "portrait": "#/data/my%20photos",
}
READY = {
    "runs": "table.cards tbody tr", "new": "details", "run": ".chart canvas", "compare": ".chart canvas",
    "explore": ".slider", "bigan": ".slider", "judge": "option", "understand": "canvas", "data": "tbody tr",
    "portrait": ".portrait",
}  # fmt: skip


def settle(page, name):
    page.wait_for_selector(READY[name], state="attached")
    page.wait_for_load_state("networkidle") if name in ("explore", "bigan", "data", "portrait") else None


def test_a_run_from_the_form_is_watched_to_its_end_explored_judged_and_compared(watched):
    page = watched.open("#/new")
    page.get_by_role("combobox", name="Recipe", exact=True).select_option("dcgan")
    page.get_by_role("combobox", name="Data", exact=True).select_option("digits")
    page.get_by_role("textbox", name="Steps", exact=True).fill("120")
    page.get_by_role("textbox", name="Steps", exact=True).press("Tab")
    for key, value in (
        ("data.resolution", "16"), ("network.width", "8"), ("log.every", "2"), ("sample.every", "20"),
        ("threads", "1"),
    ):  # fmt: skip
        field = page.get_by_label(key, exact=True)
        details = page.locator("details", has=field)
        if details.get_attribute("open") is None:
            details.locator("summary").click()
        field.fill(value)
        field.press("Tab")
        expect(page.locator("pre", has_text=f"{key.split('.')[-1]} = {value}")).to_be_attached()
    page.get_by_role("button", name="Start the training").click()
    expect(page).to_have_url(re.compile("#/run/0005-dcgan-digits"))
    name = "0005-dcgan-digits"
    expect(page.get_by_role("heading", name=name)).to_be_visible()

    # live: the step grows and samples appear without a reload, until it is done
    expect(page.locator(".badge.live, .badge.good").first).to_be_visible()
    expect(page.get_by_test_id("step")).to_have_text("120", timeout=90_000)
    expect(page.locator(".badge.good").first).to_have_text("done", timeout=30_000)
    expect(page.locator(".chart canvas").first).to_be_visible()
    slider = page.get_by_label("Step of the samples")
    slider.focus()
    slider.press("Home")
    expect(page.get_by_alt_text("Generated samples at step 0", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_alt_text("Generated samples at step 0", exact=True)).to_be_visible()

    # trained longer
    page.get_by_label("Train on to step").fill("140")
    page.get_by_role("button", name="Train longer").click()
    expect(page.get_by_test_id("step")).to_have_text("140", timeout=90_000)

    page.get_by_role("link", name="Explore", exact=True).last.click()
    expect(page.get_by_test_id("big")).to_be_visible()
    page.get_by_role("link", name=name).first.click()
    page.get_by_role("link", name="Real or fake?").last.click()
    expect(page.get_by_role("combobox", name="Run")).to_have_value(name)

    page.goto(f"{watched.address}/#/runs")
    page.get_by_label("Compare 0001-dcgan-digits").check()
    page.get_by_label(f"Compare {name}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("td", has_text="steps").first).to_be_visible()
    expect(page.locator(".chart canvas").first).to_be_visible()
    watched.forgive("404")  # the run was asked for before it was there


def test_stopping_and_resuming(watched):
    page = watched.open(
        "#/new?source=dcgan&set=data%3Ddigits%0Asteps%3D100000%0Adata.resolution%3D16%0Anetwork.width%3D8"
        "%0Alog.every%3D2%0Athreads%3D1"
    )
    expect(page.get_by_role("textbox", name="Steps", exact=True)).to_have_value("100000")
    page.get_by_role("button", name="Start the training").click()
    page.get_by_role("button", name="Stop").click(timeout=60_000)
    expect(page.locator(".badge").first).to_have_text("interrupted", timeout=60_000)
    expect(page.get_by_text("It ends after the step under way")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Taking up …")).to_be_disabled()
    expect(page.locator(".badge").first).to_have_text("training", timeout=60_000)
    expect(page.get_by_text("It is being taken up")).to_have_count(0)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".badge").first).to_have_text("interrupted", timeout=60_000)
    watched.forgive("404")


def test_what_does_not_begin_is_said(watched):
    page = watched.open("#/new?source=dcgan&set=data%3Ddigits%0Asteps%3D10%0Adata.resolution%3D9")
    page.get_by_role("button", name="Start the training").click()
    expect(page.get_by_text("did not begin")).to_be_visible(timeout=60_000)
    expect(page.locator("pre")).to_contain_text("side")
    watched.forgive("404")


def test_a_wrong_value_is_said_beside_the_form(watched):
    page = watched.open("#/new?source=dcgan&set=data%3Ddigits%0Anetwork.width%3D0")
    expect(page.get_by_role("alert")).to_contain_text("width is 0")
    watched.forgive("400")


def test_exploring_walking_calculating_and_saving(watched):
    page = watched.open("#/explore/0001-dcgan-digits")
    tiles = page.get_by_test_id("samples").get_by_role("button")
    expect(tiles).to_have_count(32)
    tiles.nth(5).click()
    expect(tiles.nth(5)).to_have_attribute("aria-pressed", "true")
    before = page.get_by_test_id("big").get_attribute("src")
    slider = page.get_by_label(re.compile("^Direction 1"))
    slider.focus()
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(page.get_by_test_id("big")).to_have_attribute("src", re.compile("move=0%3A0.2"))
    assert page.get_by_test_id("big").get_attribute("src") != before
    page.get_by_role("button", name="walk", exact=True).click()
    tiles.nth(1).click()
    tiles.nth(2).click()
    expect(page.get_by_test_id("walk")).to_be_visible()
    width = "image => image.decode().then(() => image.naturalWidth)"
    assert page.get_by_test_id("walk").evaluate(width) == 8 * 16
    for mode, place in (("base", 3), ("+", 4), ("−", 6)):
        page.get_by_role("group").get_by_role("button", name=re.compile(f"^{re.escape(mode)}")).click()
        tiles.nth(place).click()
    expect(page.get_by_test_id("result")).to_be_visible()
    for name, kind in (("PNG", b"\x89PNG"), ("GIF", b"GIF8"), ("NPZ", b"PK")):
        with page.expect_download() as saved:
            page.get_by_label("Walk", exact=True).get_by_role("link", name=name).click()
        with open(saved.value.path(), "rb") as file:
            assert file.read(4).startswith(kind)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.get_by_test_id("walk")).to_be_visible()
    expect(page.get_by_label(re.compile("^Direction 1"))).to_have_value("0.2")


def test_an_own_image_is_reconstructed_and_edited(watched, runs):
    page = watched.open("#/explore/0003-bigan-digits")
    page.locator("input[type=file]").set_input_files(runs / "my photos" / "3.png")
    expect(page.get_by_alt_text("Its reconstruction")).to_be_visible()
    expect(page.get_by_test_id("near").get_by_role("button")).to_have_count(8)
    slider = page.get_by_label(re.compile("^Direction 2"))
    slider.focus()
    slider.press("End")
    expect(page.get_by_test_id("big")).to_have_attribute("src", re.compile("at=v%3A.*move=1%3A5"))
    page.locator("input[type=file]").set_input_files(runs / "my photos" / "broken.png")
    expect(page.get_by_role("alert")).to_contain_text("no image")
    watched.forgive("400")


def test_the_class_of_a_conditional_run_is_chosen(watched):
    page = watched.open("#/explore/0004-cgan-digits")
    page.get_by_role("combobox", name="Class").select_option("7")
    expect(page.get_by_test_id("big")).to_have_attribute("src", re.compile("label=7"))


def tab_to(page, role, name):
    """Press Tab until it has the focus."""
    wanted = page.get_by_role(role, name=name, exact=isinstance(name, str))
    for _ in range(30):
        if wanted.evaluate("it => it === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{role} {name} cannot be reached with Tab")


def test_real_or_fake_with_the_keyboard_alone(watched, studio):
    page = watched.open("#/judge?run=0002-dcgan-digits")
    expect(page.get_by_role("combobox", name="Run")).to_have_value("0002-dcgan-digits")
    tab_to(page, "link", "Skip to the content")
    page.keyboard.press("Enter")
    tab_to(page, "textbox", "Your name")
    page.keyboard.type("Ada <script>alert(1)</script>")
    tab_to(page, "combobox", "Images")
    page.keyboard.press("Home")  # 10
    tab_to(page, "checkbox", re.compile("^Tell me"))
    page.keyboard.press("Space")
    tab_to(page, "button", "Begin")
    page.keyboard.press("Enter")
    for place in range(10):
        expect(page.get_by_text(f"Image {place + 1} of 10.")).to_be_visible()
        expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(f"^Image {place + 1} of"))
        page.keyboard.press("r" if place % 2 else "ArrowRight")
        if place == 4:
            expect(page.get_by_text("Image 6 of 10.")).to_be_visible()
            page.reload()  # a test that was interrupted goes on where it was
    expect(page.get_by_role("heading", name=re.compile("right$"))).to_be_visible()
    expect(page.get_by_label("Scores")).to_contain_text("Ada <script>alert(1)</script>")
    lines = (studio.root / "0002-dcgan-digits" / "human.jsonl").read_text().splitlines()
    assert '"feedback": true' in lines[-1]
    page.goto(f"{watched.address}/#/run/0002-dcgan-digits")
    expect(page.get_by_label("How good")).to_contain_text("with feedback")


def test_the_plane_learns_collapses_and_is_cured(watched):
    page = watched.open("#/understand")
    step = page.get_by_test_id("step")
    expect(step).to_have_text("0")
    page.get_by_role("button", name="One step").click()
    expect(step).to_have_text("1")
    page.get_by_role("combobox", name="Steps at a time").select_option("100")
    page.get_by_role("button", name="Make it collapse").click()
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_test_id("covered")).to_have_text(re.compile("^[012] of 8"), timeout=30_000)
    expect(step).to_have_text(re.compile("^([5-9]|[1-9],[0-9])[0-9][0-9]$"), timeout=30_000)
    page.get_by_role("button", name="Cure it").click()
    expect(page.get_by_role("combobox", name="Objective")).to_have_value("non-saturating")
    expect(page.get_by_test_id("covered")).to_have_text(re.compile("^[678] of 8"), timeout=60_000)
    page.get_by_role("button", name="Pause").click()
    with page.expect_response(lambda answer: "hinge" in (answer.request.post_data or "")):
        page.get_by_role("combobox", name="Objective").select_option("hinge")
    expect(page.get_by_text("separates scores up to the margins")).to_be_visible()
    shown = step.text_content()
    page.reload()
    expect(page.get_by_role("combobox", name="Objective")).to_have_value("hinge")
    expect(step).to_have_text(shown)


def test_points_are_drawn_and_learned(watched):
    page = watched.open("#/understand")
    page.get_by_role("combobox", name="Data").select_option("drawn")
    box = page.locator("canvas").first.bounding_box()
    for share in (0.2, 0.5, 0.8):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    page.get_by_role("button", name="Add a cluster").click()
    page.get_by_role("button", name="Learn these 23 points").click()
    page.get_by_role("button", name="One step").click()
    expect(page.get_by_test_id("step")).to_have_text("1")
    page.get_by_text("One number at a time").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading").first).to_be_visible()


def test_a_study_is_compared(watched):
    page = watched.open("#/runs")
    page.get_by_role("link", name="Compare the runs of study-made").click()
    expect(page.get_by_label("Verdict")).to_contain_text("other is better than plain")
    expect(page.locator(".beside figure")).to_have_count(6)
    expect(page.locator(".chart canvas").first).to_be_visible()


def test_the_data_are_shown_with_bad_files_and_duplicates(watched):
    page = watched.open("#/data")
    page.get_by_role("link", name="my photos").click()
    expect(page.get_by_text("broken.png")).to_be_visible()
    expect(page.get_by_text("1 group of equal files")).to_be_visible()
    expect(page.get_by_role("link", name="Train on it")).to_be_visible()
    expect(page.get_by_alt_text(re.compile("^Portrait of my photos"))).to_be_visible()


# ---------------------------------------------------------------- what strangers ran into


def test_another_recipe_keeps_what_was_typed_and_says_what_it_drops(watched):
    page = watched.open(
        "#/new?source=gan-dense-a&set=data%3Ddigits%0Asteps%3D200%0Anetwork.generator_hidden%3D[9]"
    )
    expect(page.get_by_role("textbox", name="Steps", exact=True)).to_have_value("200")
    page.get_by_role("combobox", name="Recipe", exact=True).select_option("dcgan")
    expect(page.get_by_role("status")).to_contain_text("network.generator_hidden=[9]")
    expect(page.get_by_role("textbox", name="Steps", exact=True)).to_have_value("200")
    assert "set=data%3Ddigits%0Asteps%3D200" in page.url
    # an address that is changed by hand is followed
    page.evaluate("location.hash = '#/new?source=dcgan&set=steps%3D77'")
    expect(page.get_by_role("textbox", name="Steps", exact=True)).to_have_value("77")


def test_a_recommendation_waits_to_be_used(watched):
    page = watched.open("#/new?source=dcgan&set=data%3Ddigits%0Asteps%3D77")
    page.get_by_role("button", name=re.compile("^Recommend")).click()
    use = page.get_by_role("button", name="Use this")
    expect(use).to_be_visible(timeout=60_000)
    assert "steps%3D77" in page.url
    expect(page.get_by_role("textbox", name="Steps", exact=True)).to_have_value("77")
    use.click()
    expect(page.get_by_role("status")).to_contain_text("steps=77")
    assert "steps%3D77" not in page.url


def test_a_click_that_ends_typing_is_not_lost(watched):
    page = watched.open("#/new?source=dcgan&set=data%3Ddigits")
    page.get_by_role("textbox", name="Steps", exact=True).fill("abc")  # its refusal moves everything down
    details = page.locator("details").last
    details.locator("summary").scroll_into_view_if_needed()
    box = details.locator("summary").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
    with page.expect_response(re.compile("/api/form$")):
        page.mouse.down()
    page.mouse.up()
    expect(details).to_have_attribute("open", "")
    expect(page.get_by_role("alert")).to_contain_text("steps")
    watched.forgive("400")


def test_two_tabs_of_one_test_go_on_together(watched, studio):
    page = watched.open("#/judge?run=0001-dcgan-digits")
    page.get_by_role("textbox", name="Your name").fill("Grace")
    page.get_by_role("combobox", name="Images").select_option("10")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_text("Image 1 of 10.")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name=re.compile("^Real")).click()
    expect(other.get_by_text("Image 2 of 10.")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Fake")).click()
    expect(page.get_by_role("alert")).to_contain_text("image 1 is not the one to be judged: that is image 2")
    expect(page.get_by_text("Image 2 of 10.")).to_be_visible()
    for place in range(1, 10):
        expect(page.get_by_text(f"Image {place + 1} of 10.")).to_be_visible()
        page.get_by_role("button", name=re.compile("^Fake")).click()
    expect(page.get_by_role("heading", name=re.compile("right$"))).to_be_visible()
    page.goto(f"{watched.address}/#/run/0001-dcgan-digits")
    expect(page.get_by_text("people right:")).to_be_visible()
    expect(page.get_by_label("How good")).to_contain_text("without feedback")
    watched.forgive("400")


def test_a_number_that_cannot_be_is_refused_and_the_game_goes_on(watched):
    page = watched.open("#/understand")
    step = page.get_by_test_id("step")
    expect(step).to_have_text("0")
    updates = page.get_by_label("Updates of D per step")
    page.get_by_role("button", name="Play").click()
    updates.fill("-3")
    updates.press("Tab")
    expect(page.get_by_role("alert")).to_contain_text("n_critic is -3")
    expect(updates).to_have_value("1")
    before = int(step.text_content().replace(",", ""))
    expect(step).not_to_have_text(f"{before:,}")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("alert")).to_contain_text("n_critic is -3")
    updates.fill("2")
    updates.press("Tab")
    expect(page.get_by_role("alert")).to_have_count(0)
    watched.forgive("400")


def test_the_plane_says_that_it_is_loading(watched):
    page = watched.page
    held = []
    page.route(re.compile("/api/playground$"), lambda route: held.append(route), times=1)
    watched.open("#/understand")
    expect(page.get_by_role("status")).to_contain_text("Loading")
    held[0].continue_()
    expect(page.get_by_test_id("step")).to_have_text("0")
    expect(page.get_by_text("Loading")).to_have_count(0)


def test_an_unreadable_run_says_why_and_gives_no_verdict(watched, studio):
    broken = studio.root / "0000-broken"
    shutil.copytree(studio.root / "0001-dcgan-digits", broken)
    (broken / "run.json").write_text("nonsense")
    (broken / "findings.json").unlink(missing_ok=True)
    try:
        page = watched.open("#/runs")
        expect(page.get_by_role("row", name=re.compile("0000-broken"))).to_contain_text(
            "run.json cannot be read"
        )
        page.get_by_role("link", name="0000-broken").click()
        expect(page.get_by_role("alert")).to_contain_text("run.json cannot be read")
        expect(page.get_by_label("Findings")).to_contain_text("Nothing can be said")
    finally:
        watched.page.goto("about:blank")  # it would go on asking
        shutil.rmtree(broken)


def test_a_folder_that_is_renamed_under_its_pages_is_said(watched, studio):
    gone = studio.root / "0000-gone"
    shutil.copytree(studio.root / "0001-dcgan-digits", gone)
    explore = watched.page.context.new_page()
    page = watched.open("#/run/0000-gone")
    expect(page.get_by_role("heading", name="0000-gone")).to_be_visible()
    explore.goto(f"{watched.address}/#/explore/0000-gone")
    expect(explore.get_by_test_id("big")).to_be_visible()
    explore.wait_for_selector(".slider")
    shutil.rmtree(gone)
    explore.get_by_role("button", name="New samples").click()
    expect(explore.get_by_role("alert")).to_contain_text("0000-gone is not here any more")
    page.bring_to_front()
    expect(page.get_by_role("alert")).to_contain_text("The folder of 0000-gone is gone")
    page.goto("about:blank")  # it would go on asking
    watched.forgive("404")


def test_a_seed_that_is_none_is_refused(watched):
    page = watched.open("#/explore/0001-dcgan-digits")
    seed = page.get_by_role("textbox", name="Seed")
    for wrong in ("-3", "hello"):
        seed.fill(wrong)
        seed.press("Tab")
        expect(page.get_by_role("alert")).to_contain_text(f"The seed is {wrong}")
        expect(seed).to_have_value("0")
    seed.fill("5")
    seed.press("Tab")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.evaluate("location.hash = '#/explore/0001-dcgan-digits?seed=-7'")
    expect(page.get_by_role("alert")).to_contain_text("The seed is -7")


def test_a_study_that_is_not_there_yet_is_waited_for_and_the_address_is_followed(watched, studio):
    page = watched.open("#/compare?study=study-later")
    expect(page.get_by_text("There is no study study-later here (yet).")).to_be_visible()
    made = make_study(studio.root, studio.root / "0001-dcgan-digits", "study-later")
    try:
        expect(page.get_by_label("Verdict")).to_contain_text("Of the whole study study-later, 6 runs")
        expect(page.get_by_text("here (yet)")).to_have_count(0)
        page.evaluate("location.hash = '#/compare?runs=0001-dcgan-digits'")
        expect(page.locator("summary").first).to_have_text("1 run chosen")
        expect(page.locator(".beside figure")).to_have_count(1)
    finally:
        watched.page.goto("about:blank")  # it would go on asking
        shutil.rmtree(made)
    watched.forgive("404")


def test_a_page_that_does_not_exist_is_said(watched):
    page = watched.open("#/xyz")
    expect(page.get_by_role("heading", name="There is no page “xyz”")).to_be_visible()


def test_a_folder_without_a_usable_image_is_not_offered_for_training(watched, studio):
    empty = studio.root / "notes"
    empty.mkdir()
    (empty / "broken.png").write_bytes(b"no image")
    try:
        page = watched.open("#/data/notes")
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_role("cell", name="broken.png")).to_be_visible()
        expect(page.get_by_role("link", name="Train on it")).to_have_count(0)
    finally:
        watched.page.goto("about:blank")  # it would go on asking
        shutil.rmtree(empty)
    watched.forgive("400")


@pytest.mark.parametrize("width", [1280, 375])
def test_long_names_and_legends_stay_within_the_page(watched, studio, width):
    names = [f"000{number}-{'unbreakable' * 14}" for number in (6, 7)]
    for name in names:
        shutil.copytree(studio.root / "0001-dcgan-digits", studio.root / name)
        recipe = studio.root / name / "recipe.toml"
        recipe.write_text(recipe.read_text().replace('name = "dcgan"', f'name = "{name}"', 1))
        provenance = json.loads((studio.root / name / "provenance.json").read_text())
        provenance["data"] |= {"name": name, "fingerprint": name}
        (studio.root / name / "provenance.json").write_text(json.dumps(provenance))
    try:
        watched.page.set_viewport_size({"width": width, "height": 844})
        for place, ready in (
            ("#/runs", "table.cards tbody tr"),
            (f"#/run/{names[0]}", ".chart canvas"),
            (f"#/explore/{names[0]}", ".slider"),
            (f"#/judge?run={names[0]}", "option"),
            (f"#/new?source=run:{names[0]}", "details"),
            (f"#/compare?runs={','.join(names)},0001-dcgan-digits", ".chart canvas"),
        ):
            watched.page.goto("about:blank")
            page = watched.open(place)
            page.wait_for_selector(ready, state="attached")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, place
        keys = page.locator(".chart").first.locator(".key")
        boxes = [keys.nth(number).bounding_box() for number in range(keys.count())]
        assert len(boxes) == 3
        for above, below in itertools.pairwise(boxes):
            assert below["y"] >= above["y"] + above["height"] - 1  # long ones stand below each other
    finally:
        watched.page.goto("about:blank")  # it would go on asking
        for name in names:
            shutil.rmtree(studio.root / name)


# ---------------------------------------------------------------- all pages


@pytest.mark.parametrize("watched", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(watched, name):
    if not AXE.is_file():
        pytest.skip(f"{AXE} is not there: npm install in studio/")
    page = watched.open(PAGES[name])
    settle(page, name)
    # The policy of our pages lets nothing else in: axe comes through the debugger, as the test's own.
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({resultTypes: ['violations'], iframes: false})")
    assert len(found["passes"]) > 10
    serious = [
        f"{each['id']}: {each['nodes'][0]['html']} {each['nodes'][0]['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize(
    "watched", [{"reduced_motion": "reduce", "has_touch": True, "device_scale_factor": 2}], indirect=True
)
@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_every_page_in_its_width(watched, name):
    watched.page.set_viewport_size({"width": 390, "height": 844})
    page = watched.open(PAGES[name])
    settle(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_eight_tabs_update_side_by_side(browser, studio):
    context = browser.new_context()
    pages = [context.new_page() for _ in range(8)]
    for page in pages:
        page.goto(f"{studio.address}/#/run/0001-dcgan-digits")
    for page in pages:
        page.bring_to_front()
        expect(page.locator(".chart canvas").first).to_be_visible(timeout=15_000)
        with page.expect_response(re.compile("/events")):
            pass
    context.close()


def test_a_hidden_tab_asks_nothing(browser, studio):
    context = browser.new_context()
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{studio.address}/#/run/0001-dcgan-digits")
    expect(page.locator(".chart canvas").first).to_be_visible()
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(1700)  # a request may be under way
    asked.clear()
    page.wait_for_timeout(4000)
    assert [url for url in asked if "/api/" in url] == []
    context.close()


def test_script_in_names_is_shown_and_not_run(watched, studio):
    name = "0000-<img src=x onerror=alert(1)>"
    shutil.copytree(studio.root / "0001-dcgan-digits", studio.root / name)
    try:
        page = watched.open("#/runs")
        page.on("dialog", lambda dialog: watched.wrong.append("a dialog"))
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        expect(page.locator(".grid-picture").first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
    finally:
        shutil.rmtree(studio.root / name)


def test_a_restart_loses_nothing(watched, studio):
    page = watched.open("#/run/0001-dcgan-digits")
    expect(page.locator(".chart canvas").first).to_be_visible()
    studio.stop()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    studio.start()
    expect(page.get_by_role("alert")).to_have_count(0)
    watched.forgive("ERR_")


def test_another_host_asks_for_its_token_once(browser, runs):
    studio = Studio(runs, "0.0.0.0")
    try:
        page = browser.new_page()
        page.goto(f"{studio.printed}#/run/0001-dcgan-digits")
        expect(page.locator(".chart canvas").first).to_be_visible()
        assert "token" not in page.url
        page.reload()
        expect(page.get_by_role("heading", name="0001-dcgan-digits")).to_be_visible()
        stranger = browser.new_page()
        stranger.goto(studio.address)
        expect(stranger.get_by_text("This studio wants a token")).to_be_visible()
        stranger.get_by_label("Token").fill("wrong")
        stranger.get_by_role("button", name="Enter").click()
        expect(stranger.get_by_text("This studio wants a token")).to_be_visible()
        stranger.get_by_label("Token").fill(studio.printed.partition("token=")[2])
        stranger.get_by_role("button", name="Enter").click()
        expect(stranger.get_by_role("heading", name="Runs")).to_be_visible()
        page.close()
        stranger.close()
    finally:
        studio.stop()
