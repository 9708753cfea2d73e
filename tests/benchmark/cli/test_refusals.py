"""What a command line cannot mean is refused with status 2 and the name of the option, before anything is read."""

import pytest

from benchmark.__main__ import camtrace

ONE = ("erase", "-m", "control:jpeg-statistics", "-d", "sample")
JPEG = (*ONE, "--trace", "jpeg")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("scor",), "score"),
        (("score", "--modle", "a"), "--model"),
        (("score", "-m", "a", "-m", "b", "--revision", "abc"), "--revision"),
        (("score", "-m", "a", "--neighbours", "0"), "neighbours 0"),
        (("score", "-m", "a", "--memory", "much"), "much"),
        (("score", "-m", "a", "--preset", "iccv"), "iccv2025"),
        (("score", "-m", "control:jpeg-statistics", "-d", "sample", "-t", "probe/jpg"), "probe/jpeg"),
        (("score", "-m", "control:jpeg-statistics", "-d", "sample", "-t", "jpeg"), "probe/jpeg"),
        (("score", "-m", "control:jpeg-statistics", "-d", "sample", "-t", "linear/jpeg"), "probe/jpeg"),
        (("score", "-m", "hf:openai/clip-vit-base-patch16", "-d", "sample"), "'openai/clip-vit-base-patch16'"),
        (("score", "-m", "hf:clip", "-d", "sample"), "ORG/NAME"),
        (("evaluate",), "'score'?"),
        (("run",), "'score'?"),
        (("score", "--encoder", "a"), "'--model'"),
        (("score", "-m", "folder:x", "-d", "control:dhash"), "--data"),
        (("score", "-m", "control:dhash,control:phash", "-d", "sample"), "--model A --model B"),
        (("score", "-m", "a", "--mask-ratio", "90"), "0.9?"),
        (("score", "-m", "a", "-d", "sample", "--quiet", "--verbose"), "--verbose"),
        (("audit", "nowhere"), "no such folder"),
        (("build", "exif-folder", "-d", "x", "-o", "y", "--mask", "50"), "0.5?"),
        ((*JPEG, "--method", "LEACE"), "'leace'"),
        (("sweep", "-m", "a", "-d", "sample", "--eraser", "x"), "--eraser"),
        (ONE, "trace"),
        ((*JPEG, "-m", "b"), "one encoder"),
        ((*JPEG, "-d", "simcams"), "one data set"),
        ((*JPEG, "--tasks", "probe/*"), "--tasks"),
        ((*JPEG, "--eraser", "x"), "--eraser"),
        ((*JPEG, "--dry-run"), "--dry-run"),
        ((*JPEG, "--fit-share", "0.3", "--shared-train"), "--fit-share"),
        ((*JPEG, "--fit-share", "1"), "--fit-share"),
        ((*JPEG, "--push-to", "name"), "--push-to"),
        ((*ONE, "--trace", "jpeg,make", "--push-to", "me/name"), "--trace"),
        (("audit",), "DATA"),
        (("audit", "folder:x", "--json", "--card"), "--card"),
        (("audit", "folder:x", "--threshold", "1.01"), "--threshold"),
        (("audit", "folder:x", "--threshold", "10%"), "0.1"),
        (("audit", "folder:x", "--dry-run"), "--dry-run"),
        (("compare", "a"), "a"),
        (("publish-metrics", "--repo", "../me"), "--repo"),
        (("publish-metrics", "--repo", "\u202e"), "--repo"),
        (("work", "nowhere.plan"), "nowhere.plan"),
        (("diff", "--b", "decoder=opncv"), "opencv"),
        (("diff", "--b", "decoder=cv2"), "opencv"),
    ],
)
def test_refused__by_the_name_of_the_option(words, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        status = camtrace([*words])
    except SystemExit as ended:
        status = ended.code
    printed = capsys.readouterr()
    assert status == 2
    assert named in printed.err
    assert "Traceback" not in printed.err
    assert not list(tmp_path.iterdir())
