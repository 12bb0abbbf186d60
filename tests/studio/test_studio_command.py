"""`duel studio`: what it refuses in one sentence, and where it says that it is."""

import builtins

import pytest
from tiny import command

from duel.studio import server
from duel.studio.security import Gate


def test_a_missing_extra_is_named(capsys, monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "duel" and name.endswith("studio.server"):
            raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    status, _, said = command(capsys, monkeypatch, "studio", tmp_path)
    assert status == 2
    assert "pip install 'duel[studio]'" in said


def test_a_file_and_an_impossible_port_are_refused(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    assert command(capsys, monkeypatch, "studio", tmp_path / "file")[0] == 2
    for port in (0, 70000):
        status, _, said = command(capsys, monkeypatch, "studio", tmp_path, "--port", port)
        assert status == 2
        assert "1 to 65535" in said


def test_a_port_that_is_taken_is_said(capsys, monkeypatch, tmp_path):
    import socket

    monkeypatch.setenv("DUEL_OFFLINE", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, said = command(capsys, monkeypatch, "studio", tmp_path, "--port", port)
    assert status == 2
    assert f"127.0.0.1:{port} cannot be listened at" in said
    assert "Errno" not in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(("file", "kind"), [("recipe.toml", "run"), ("plan.json", "study")])
def test_a_run_or_a_study_in_the_place_of_their_folder_is_refused(capsys, monkeypatch, tmp_path, file, kind):
    one = tmp_path / "one"
    one.mkdir()
    (one / file).write_text("")
    status, _, said = command(capsys, monkeypatch, "studio", one)
    assert status == 2
    assert f"one is a {kind}: give the folder above it, {tmp_path}" in said.replace("\n", " ")


def test_a_folder_that_does_not_exist_yet_is_said(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DUEL_OFFLINE", "1")
    monkeypatch.setattr(server._Server, "run", lambda self: None)
    monkeypatch.setattr("duel.studio.answers.Worker.warm", lambda self: None)
    server.serve(tmp_path / "none", "127.0.0.1", 7860)
    server.serve(tmp_path, "127.0.0.1", 7860)
    said = capsys.readouterr().err
    assert said.splitlines() == [
        f"duel studio: {tmp_path / 'none'} does not exist yet: the first run makes it"
    ]


@pytest.mark.parametrize(("host", "own"), [("0.0.0.0", "http://192.168.0.9:80/?token=abc"),
                                           ("::", "http://[fe::9]:80/?token=abc")])  # fmt: skip
def test_listening_everywhere_names_the_address_for_other_machines(monkeypatch, host, own):
    monkeypatch.setattr(server, "_outward", {4: "192.168.0.9", 6: "fe::9"}.get)
    assert server._places(Gate(host, 80, "abc")).endswith(f"  from other machines: {own}")

    def no_network(version):
        raise OSError("unreachable")

    monkeypatch.setattr(server, "_outward", no_network)
    assert server._places(Gate(host, 80, "abc")) == server.address(Gate(host, 80, "abc"))
    assert "machines" not in server._places(Gate("127.0.0.1", 80, None))


@pytest.mark.parametrize(
    ("gate", "place"),
    [
        (Gate("127.0.0.1", 7860, None), "http://127.0.0.1:7860/"),
        (Gate("::1", 1, None), "http://[::1]:1/"),
        (Gate("0.0.0.0", 80, "abc"), "http://0.0.0.0:80/?token=abc"),
    ],
)
def test_the_address_has_what_opens_it(gate, place):
    assert server.address(gate) == place


def test_another_host_gets_a_token_and_the_loopback_address_none(monkeypatch, tmp_path):
    gates = []

    class Stub:
        def __init__(self, config, place):
            gates.append(place)

        def run(self):
            pass

    monkeypatch.setenv("DUEL_OFFLINE", "1")
    monkeypatch.setattr(server, "_Server", Stub)
    monkeypatch.setattr("duel.studio.answers.Worker.warm", lambda self: None)
    server.serve(tmp_path, "127.0.0.1", 7860)
    server.serve(tmp_path, "0.0.0.0", 7860)
    server.serve(tmp_path, "0.0.0.0", 7860)
    assert gates[0] == "http://127.0.0.1:7860/"
    assert gates[1].startswith("http://0.0.0.0:7860/?token=")
    assert len(gates[1].partition("token=")[2]) >= 32
    assert gates[1] != gates[2]
