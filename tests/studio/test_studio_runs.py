"""What the studio says of runs and studies, and the trainings that it starts."""

import json
import os
import shutil
import time

import pytest
from conftest_studio import client_of
from made_study import make_study

import duel
from duel.errors import InputError
from duel.studio import form, listing, tail
from duel.studio.jobs import Busy, Jobs

EVIL = "<script>alert(1)</script>"


def test_runs_are_listed_with_what_one_wants_to_know(reader):
    found = reader.get("/api/runs").json()
    by_name = {run["name"]: run for run in found["runs"]}
    assert set(by_name) == {"0001-plain", "0002-plain", "0003-labels", "0004-codes", "0005-points"}
    run = by_name["0001-plain"]
    assert (run["state"], run["recipe"], run["data"], run["step"], run["steps"]) == (
        "done",
        "dcgan",
        "digits",
        6,
        6,
    )
    assert run["metric"]["name"] == "frechet-pixels"
    assert run["metric"]["low"] <= run["metric"]["value"] <= run["metric"]["high"]
    assert run["picture"] == 6
    assert by_name["0005-points"]["kind"] == "points"


def test_the_best_value_is_the_best_and_not_the_last(root):
    path = root / "0001-plain" / "metrics.jsonl"
    line = json.loads(path.read_text().splitlines()[0])
    line["metrics"]["frechet-pixels"].update(value=-5.0, low=-6.0, high=-4.0)
    path.write_text(json.dumps({**line, "step": 1}) + "\nnonsense\n" + path.read_text())
    best = listing.best_metric(root / "0001-plain")
    assert (best["value"], best["step"]) == (-5.0, 1)


def test_a_changed_run_is_read_again(root):
    known = listing.Listing(root)
    assert known.card(root / "0001-plain")["state"] == "done"
    duel.load(root / "0001-plain").update_state(state="interrupted")
    assert known.card(root / "0001-plain")["state"] == "interrupted"
    (root / "0001-plain" / "run.json").write_text("nonsense")
    assert known.card(root / "0001-plain")["state"] == "unreadable"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("run.json", "nonsense", "run.json cannot be read as JSON"),
        ("run.json", '{"format": 1}', "run.json has no last"),
        ("provenance.json", None, "provenance.json is missing"),
        ("provenance.json", '{"format": 1, "data": {"name": "x"}}', "provenance.json has no data.spec.kind"),
        ("recipe.toml", "= nonsense", "recipe.toml"),
    ],
)
def test_an_unreadable_run_says_which_file_and_why(root, file, content, said):
    path = root / "0001-plain" / file
    path.unlink() if content is None else path.write_text(content)
    found = client_of(root).get("/api/runs/0001-plain/overview").json()
    assert found["state"] == "unreadable"
    assert said in found["why"]
    assert str(root) not in found["why"]


def test_a_run_that_can_be_read_has_no_reason(reader):
    assert reader.get("/api/runs/0001-plain/overview").json()["why"] == ""


def test_a_folder_that_is_not_there_yet_is_said(tmp_path, reader):
    assert client_of(tmp_path / "none").get("/api/runs").json()["exists"] is False
    assert reader.get("/api/runs").json()["exists"] is True


def test_one_run_in_full(reader):
    run = reader.get("/api/runs/0001-plain/overview").json()
    assert run["grids"] == [0, 3, 6]
    assert run["checkpoints"]
    assert run["provenance"]["data"]["name"] == "digits"
    assert 'name = "dcgan"' in run["recipe_text"]
    assert (run["conditional"], run["encoder"]) == (False, False)
    assert reader.get("/api/runs/0004-codes/overview").json()["encoder"]
    assert reader.get("/api/runs/0003-labels/overview").json()["classes"] == [str(n) for n in range(10)]
    for path in ("grid/6.png", "picture/real.png", "picture/film.png"):
        assert reader.get(f"/api/runs/0001-plain/{path}").content.startswith(b"\x89PNG")
    assert b"<html" in reader.get("/api/runs/0001-plain/report.html").content


def test_advice_is_numbered_as_the_command_line_counts(root):
    finding = {"name": "a", "severity": "info", "confidence": 1.0, "evidence": [], "explanation": "e"}
    advices = [
        {"set": {}, "reason": "r", "source": None},
        {"set": {"seed": 1}, "reason": "r", "source": None},
    ]
    found = [{**finding, "advice": advices}, {**finding, "name": "b", "advice": advices[1:]}]
    numbers = [each["number"] for one in listing.numbered(found) for each in one["advice"]]
    assert numbers == [None, 1, 2]


def test_names_with_script_stay_text(root):
    name = "0007-<img src=x onerror=alert(1)>"
    (root / "0001-plain").rename(root / name)
    provenance = json.loads((root / name / "provenance.json").read_text())
    provenance["data"]["name"] = EVIL
    provenance["data"]["spec"]["classes"] = [EVIL]
    (root / name / "provenance.json").write_text(json.dumps(provenance))
    client = client_of(root)
    answer = client.get("/api/runs")
    assert answer.headers["content-type"] == "application/json"
    assert [run["data"] for run in answer.json()["runs"] if run["name"] == name] == [EVIL]
    report = client.get(f"/api/runs/{name}/report.html")
    assert "attachment" in report.headers["content-disposition"]
    assert EVIL not in report.text
    (root / EVIL.replace("/", "_")).mkdir()
    assert client.get("/api/data").headers["content-type"] == "application/json"


# ---------------------------------------------------------------- the log


def test_the_log_comes_from_a_byte_on(root, client):
    first = client.get("/api/runs/0001-plain/events")
    place = {"after": first.headers["x-next"], "file": first.headers["x-file"]}
    assert first.content == (root / "0001-plain" / "events.jsonl").read_bytes()
    assert client.get("/api/runs/0001-plain/events", params=place).content == b""
    duel.load(root / "0001-plain").record({"event": "warning", "step": 6, "message": "m"})
    with open(root / "0001-plain" / "events.jsonl", "a") as log:
        log.write('{"event": "ste')
    after = client.get("/api/runs/0001-plain/events", params=place)
    assert [json.loads(line)["event"] for line in after.text.splitlines()] == ["warning"]


def test_a_log_that_was_written_anew_is_read_from_its_start(root, client):
    first = client.get("/api/runs/0001-plain/events")
    duel.load(root / "0001-plain").drop_events_after(3)
    params = {"after": first.headers["x-next"], "file": first.headers["x-file"]}
    again = client.get("/api/runs/0001-plain/events", params=params)
    assert again.headers["x-file"] != first.headers["x-file"]
    assert again.content == (root / "0001-plain" / "events.jsonl").read_bytes()


@pytest.mark.parametrize("after", ["-5", "999999999", "0"])
def test_a_byte_that_is_not_there_means_the_start(reader, made, after):
    answer = reader.get("/api/runs/0001-plain/events", params={"after": after})
    assert answer.content == (made / "0001-plain" / "events.jsonl").read_bytes()


def test_a_long_log_comes_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(tail, "MOST", 100)
    lines = b"".join(b'{"step": %d}\n' % number for number in range(50))
    (tmp_path / "log").write_bytes(lines)
    found, place = b"", 0
    while True:
        piece = tail.piece(tmp_path / "log", place)
        found, place = found + piece.lines, piece.next
        if not piece.more:
            break
    assert found == lines
    (tmp_path / "endless").write_bytes(b"x" * 250)
    assert tail.piece(tmp_path / "endless").next == 100
    assert tail.last(tmp_path / "log") == {"step": 49}
    assert tail.last(tmp_path / "none") == {}


# ---------------------------------------------------------------- the form


def test_every_recipe_has_a_form_and_means_what_it_says(root):
    for each in form.recipes():
        found = form.described(root, each["name"], [])
        keys = [field["key"] for field in found["fields"]]
        assert len(keys) == len(set(keys))
        # a form that is sent back as it stands changes nothing
        sent = [
            f"{f['key']}={f['value']}"
            for f in found["fields"]
            if f["value"] and not f["key"].startswith("data")
        ]
        assert form.resolved(root, each["name"], sent) == form.resolved(root, each["name"], [])


def test_fields_have_types_choices_and_help(root):
    fields = {field["key"]: field for field in form.described(root, "wgan-gp", [])["fields"]}
    assert fields["network.init_linear"]["choices"] == ["paper", "normal", "glorot", "orthogonal"]
    assert fields["objective.name"]["value"] == "wasserstein"
    assert fields["penalties.interpolated.weight"]["value"] == "10.0"
    assert (fields["batch_size"]["type"], fields["joint_pass"]["type"]) == ("int", "bool")
    assert "feature maps" in fields["network.width"]["help"]
    assert fields["evaluate.every"]["value"] == ""


def test_a_wrong_value_is_said_with_all_others(client):
    changes = ["network.width=0", "latent.size=-1", "nothing=1"]
    answer = client.post("/api/form", json={"source": "dcgan", "changes": changes})
    assert answer.status_code == 400
    assert "width is 0" in answer.json()["error"]
    assert "latent.size is -1" in answer.json()["error"] or "nothing" in answer.json()["error"]


def test_another_recipe_keeps_the_changes_that_it_takes(client, root):
    changes = ["network.generator_hidden=[9]", "steps=200", "data=digits", "penalties=r1", "nothing=1"]
    answer = client.post("/api/form/carried", json={"source": "dcgan", "changes": changes})
    assert answer.json() == {
        "kept": ["data=digits", "steps=200", "penalties=r1"],
        "dropped": ["network.generator_hidden=[9]", "nothing=1"],
    }
    kept = form.carried(root, "dcgan", ["network.generator_hidden=[9]", "network.name=dense"])["kept"]
    assert kept == ["network.name=dense", "network.generator_hidden=[9]"]


@pytest.mark.parametrize("written", ["1e3", "1E3", "1000"])
def test_a_whole_number_may_have_an_exponent(root, written):
    assert form.resolved(root, "dcgan", [f"steps={written}"]).steps == 1000
    with pytest.raises(InputError, match=r"steps is 1\.5"):
        form.resolved(root, "dcgan", ["steps=1.5"])


# ---------------------------------------------------------------- trainings

TINY = ["data=digits", "data.resolution=8", "network.width=4", "latent.size=5", "batch_size=8", "threads=1",
        "log.every=1", "sample.every=500", "signals.every=0"]  # fmt: skip


def test_a_training_is_begun_watched_from_another_studio_and_stopped(tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    jobs = Jobs(root, most=1, environment=dict(os.environ))
    name = jobs.start(form.resolved(root, "dcgan", [*TINY, "steps=1000000"]))
    child = jobs._children[name]
    assert [job["name"] for job in jobs.beginning()] == [name]
    with pytest.raises(Busy):
        jobs.start(form.resolved(root, "dcgan", TINY))
    while tail.last(root / name / "events.jsonl").get("step", 0) < 3:
        assert child.poll() is None, jobs.said(name)
        time.sleep(0.05)
    assert listing.Listing(root).card(root / name)["state"] == "training"
    later = Jobs(root, most=1)  # as after a restart of the studio
    assert later.alive() == 1
    with pytest.raises(InputError, match="being trained"):
        Jobs(root, most=9).resume(name)
    later.stop(name)
    assert child.wait(60) in (0, 143)
    run = duel.load(root / name)
    assert run.state["state"] == "interrupted"
    assert later.alive() == 0


def test_what_fails_before_its_first_step_is_said_and_can_be_dismissed(tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    jobs = Jobs(root, environment=dict(os.environ))
    name = jobs.start(form.resolved(root, "dcgan", [*TINY, "data.resolution=9", "steps=5"]))
    jobs._children[name].wait(60)
    [job] = jobs.beginning()
    assert not job["alive"]
    assert "side" in job["said"]
    assert not (root / name / "recipe.toml").exists()
    client = client_of(root)
    assert client.get("/api/runs").json()["beginning"][0]["said"] == job["said"]
    assert client.post("/api/jobs/forget", json={"name": name}).status_code == 200
    assert client.get("/api/runs").json()["beginning"] == []


def test_new_names_pass_those_that_have_no_folder_yet(root):
    jobs = Jobs(root)
    wanted = form.resolved(root, "dcgan", [])
    assert jobs._new_name(wanted) == "0006-dcgan-digits"
    jobs._file("0006-dcgan-digits", "json").write_text(
        json.dumps({"format": 1, "name": "0006-dcgan-digits", "pid": 1, "ticks": 0, "began": 0})
    )
    assert jobs._new_name(wanted) == "0007-dcgan-digits"


def test_a_run_that_was_removed_is_not_said_to_have_failed(root):
    jobs = Jobs(root)
    entry = {"format": 1, "name": "0001-plain", "pid": 1, "ticks": 0, "began": 0, "command": []}
    jobs._file("0001-plain", "json").write_text(json.dumps(entry))
    assert jobs.beginning() == []
    shutil.rmtree(root / "0001-plain")
    assert Jobs(root).beginning() == []


def test_a_run_whose_folder_was_renamed_is_gone_and_did_not_fail(root):
    entry = {"format": 1, "name": "0001-plain", "pid": 1, "ticks": 0, "began": 0, "command": []}
    Jobs(root)._file("0001-plain", "json").write_text(json.dumps(entry))
    client = client_of(root)
    client.get("/api/runs/0001-plain/overview")  # a page that looks at it, and not at the list
    (root / "0001-plain").rename(root / "elsewhere")
    found = client.get("/api/runs").json()
    assert (found["beginning"], found["gone"]) == ([], ["0001-plain"])


def test_a_process_of_the_same_number_is_not_ours(root):
    entry = {"format": 1, "name": "0001-plain", "pid": os.getpid(), "ticks": 1, "began": 0}
    jobs = Jobs(root)
    jobs._file("0001-plain", "json").write_text(json.dumps(entry))
    assert jobs.alive() == 0
    with pytest.raises(InputError, match="not being trained"):
        jobs.stop("0001-plain")


def test_a_run_that_others_train_is_not_stopped(root):
    from duel.run import Lock

    lock = Lock(root / "0001-plain")
    lock.sign()
    with pytest.raises(InputError, match=f"begun elsewhere, by process {os.getpid()}"):
        Jobs(root).stop("0001-plain")
    lock.release()


def test_an_advice_is_started_by_the_number_that_it_has_now(root, monkeypatch):
    from duel.studio import run_routes

    advice = [{"set": {"seed": 1}, "reason": "r"}, {"set": {"seed": 2}, "reason": "r"}]
    found = {"findings": [{"name": "mode-collapse", "advice": advice}]}
    monkeypatch.setattr(run_routes, "diagnose", lambda run: found)
    begun = []
    monkeypatch.setattr(Jobs, "_begin", lambda self, name, arguments: begun.append((name, arguments)))
    given = {"finding": "mode-collapse", "set": {"seed": 2}}
    answer = client_of(root).post("/api/runs/0001-plain/advised", json=given)
    assert answer.json() == {"name": "0006-dcgan-digits"}
    [(name, arguments)] = begun
    old, new = str(root / "0001-plain"), str(root / name)
    assert arguments == ["train", "--from", old, "--advice", "2", "--out", new]


def test_advice_that_is_gone_is_not_followed(client):
    given = {"finding": "mode-collapse", "set": {"seed": 3}}
    answer = client.post("/api/runs/0001-plain/advised", json=given)
    assert answer.status_code == 400
    assert "no longer" in answer.json()["error"]


# ---------------------------------------------------------------- comparisons


def test_runs_are_compared_by_what_they_share(reader):
    found = reader.post("/api/compare", json={"runs": ["0001-plain", "0002-plain"]}).json()
    assert [row["key"] for row in found["differences"]] == ["seed"]
    assert {run["label"] for run in found["runs"]} == {"dcgan"}
    metric = found["curves"][0]
    assert metric["name"] == "frechet-pixels"
    [line] = metric["lines"]
    assert line["runs"] == 2
    assert all(
        low <= mean <= high for low, mean, high in zip(line["low"], line["mean"], line["high"], strict=True)
    )
    assert "duel evaluate" in found["verdict"]["why_not"]
    assert str(reader.get("/api/runs").json()["folder"]) not in found["verdict"]["why_not"]


def test_runs_on_other_data_are_no_repetition(root):
    other = root / "0006-plain"
    shutil.copytree(root / "0001-plain", other)
    provenance = json.loads((other / "provenance.json").read_text())
    provenance["data"] |= {"name": "letters", "fingerprint": "another"}
    (other / "provenance.json").write_text(json.dumps(provenance))
    names = ["0001-plain", "0002-plain", "0006-plain"]
    found = client_of(root).post("/api/compare", json={"runs": names}).json()
    labels = [run["label"] for run in found["runs"]]
    assert labels == ["dcgan on digits", "dcgan on digits", "dcgan on letters"]
    assert [(line["label"], line["runs"]) for line in found["curves"][0]["lines"]] == [
        ("dcgan on digits", 2),
        ("dcgan on letters", 1),
    ]


def test_a_study_is_listed_and_compared(root):
    make_study(root, root / "0001-plain")
    client = client_of(root)
    [study] = client.get("/api/runs").json()["studies"]
    assert (study["name"], study["title"], study["ended"], study["runs"]) == (
        "study-made", "Two <b>recipes</b>", 6, 6,
    )  # fmt: skip
    found = client.get("/api/studies/study-made/overview").json()
    assert len(found["runs"]) == 6
    assert "other is better than plain" in found["verdict"]["text"]
    name = found["runs"][0]["name"]
    assert client.get(f"/api/runs/{name}/overview").json()["name"] == name
    assert client.get(f"/api/runs/{name}/grid/6.png").status_code == 200
    two = client.post("/api/compare", json={"runs": [run["name"] for run in found["runs"]]})
    assert two.status_code == 200


@pytest.mark.parametrize("runs", [[], [1], ["0001-plain"] * 61, "0001-plain", None])
def test_too_few_and_too_many_runs_are_not_compared(reader, runs):
    assert reader.post("/api/compare", json={"runs": runs}).status_code == 400
