"""Distances between ways to an embedding do not move between versions."""

from benchmark.diff import diff
from tests.support.recorded import check_recorded

OF_THE_RUN = ("sentence", "sentences", "seconds", "environment", "versions", "created", "text")


def test_diffs__of_oblong_photos_are_as_recorded(thumbnail, oblong_photos):
    made = {}
    for way in ("resize=squash", "decoder=simplejpeg"):
        fields = vars(diff(thumbnail, oblong_photos, b=way, progress=False))
        made |= {f"{way}: {name}": value for name, value in fields.items() if name not in OF_THE_RUN}
    check_recorded("diffs", made, tolerance=0.002)
