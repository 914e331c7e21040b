"""What the shell completes: commands, options, and the values of options."""

from __future__ import annotations

import pytest

from cosmos_batch.cli.app import main


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("cosmos-batch fet", {"fetch"}),
        ("cosmos-batch run --engine po", {"pocket"}),
        ("cosmos-batch run --set num_s", {"num_steps="}),
        ("cosmos-batch run --offload v", {"vae"}),
        ("cosmos-batch serve --on-start p", {"pause"}),
        (
            "cosmos-batch serve --model nvidia/Cosmos-Transfer2.5-2B@",
            {"nvidia/Cosmos-Transfer2.5-2B@distilled/edge"},
        ),
        ("cosmos-batch import-lerobot --weight ed", {"edge="}),
    ],
)
def test_the_shell_completes(
    typed: str, found: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["cosmos-batch"])
    monkeypatch.setenv("_COSMOS_BATCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    with pytest.raises(SystemExit):
        main()
    assert set(capsys.readouterr().out.split()) == found
