"""A precision below the gate is used only where it is forced: from the option to the encoders that go on."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.bank import PrecisionVerdict
from benchmark.cli.score import parser
from benchmark.options import RunOptions, to_run_options
from benchmark.scoring import run as scoring_run
from benchmark.scoring.collect import EncoderRun
from builders.errors import DataError, EncoderError

PASSED, REFUSED = PrecisionVerdict(True, ""), PrecisionVerdict(False, "too coarse")


@pytest.mark.parametrize("given", [True, False])
def test_to_run_options__are_forced_where_the_command_says_so(given):
    assert to_run_options(parser().parse_args(["--force-dtype"] if given else [])).force_dtype is given
    assert RunOptions().force_dtype is False


@pytest.fixture
def settle(monkeypatch, tmp_path):
    """Positions of the encoders that go on, and what is known of each, by the verdicts that the gate gives."""

    def settled(*verdicts, force: bool, failed: tuple[int, ...] = ()):
        def judge(encoder, photos, bytes_hash, options):
            verdict = verdicts[encoder.number]
            if isinstance(verdict, Exception):
                raise verdict
            return verdict

        monkeypatch.setattr(scoring_run, "check_precision", judge)
        infos = [SimpleNamespace(id=f"encoder {i}") for i in range(len(verdicts))]
        encoders = [SimpleNamespace(number=i, info=info) for i, info in enumerate(infos)]
        known = [EncoderRun({}) for _ in verdicts]
        for i in failed:
            known[i].failures["encoder", "of before"] = "x"
        options = RunOptions(cache=Path(tmp_path), force_dtype=force)
        return scoring_run._usable(encoders, None, "0", options, known), known

    return settled


@pytest.mark.parametrize(
    ("verdict", "force", "used"),
    [(None, False, True), (None, True, True), (PASSED, False, True), (PASSED, True, True), (REFUSED, True, True)],
)
def test_usable__one_that_passes_or_is_forced(settle, verdict, force, used):
    fit, (known,) = settle(verdict, force=force)
    assert (fit, known.gate, known.failures) == ([0] if used else [], verdict, {})
    assert ("precision gate" in known.seconds) == (verdict is not None)


def test_usable__one_alone_that_is_refused_ends_the_run(settle):
    with pytest.raises(EncoderError, match="too coarse"):
        settle(REFUSED, force=False)
    with pytest.raises(EncoderError, match="no photo"):
        settle(DataError("no photo"), force=True)


@pytest.mark.parametrize(("force", "fit"), [(False, [1, 2]), (True, [0, 1, 2])])
def test_usable__of_several_the_refused_ones_fail(settle, force, fit):
    result, known = settle(REFUSED, PASSED, None, DataError("no photo"), PASSED, force=force, failed=(4,))
    assert result == fit
    assert [one.gate for one in known] == [REFUSED, PASSED, None, None, None]
    assert known[0].failures == ({} if force else {("encoder", "encoder 0"): "too coarse"})
    assert known[3].failures == {("encoder", "encoder 3"): "no photo"}
    assert list(known[4].failures) == [("encoder", "of before")]  # not asked again
