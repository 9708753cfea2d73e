"""Licences of Flickr by its own list, and states that are absent or broken."""

from builders.flickrexif import LICENCES

BY_HAND = {
    0: ("all-rights-reserved", "All rights reserved", ""),
    1: ("cc-by-nc-sa-2.0", "CC BY-NC-SA 2.0", "https://creativecommons.org/licenses/by-nc-sa/2.0/"),
    2: ("cc-by-nc-2.0", "CC BY-NC 2.0", "https://creativecommons.org/licenses/by-nc/2.0/"),
    3: ("cc-by-nc-nd-2.0", "CC BY-NC-ND 2.0", "https://creativecommons.org/licenses/by-nc-nd/2.0/"),
    4: ("cc-by-2.0", "CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/"),
    5: ("cc-by-sa-2.0", "CC BY-SA 2.0", "https://creativecommons.org/licenses/by-sa/2.0/"),
    6: ("cc-by-nd-2.0", "CC BY-ND 2.0", "https://creativecommons.org/licenses/by-nd/2.0/"),
    7: ("no-known-restrictions", "No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    8: ("us-government", "United States Government work", "https://www.usa.gov/government-copyright"),
    9: ("cc0-1.0", "CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    10: ("pdm-1.0", "Public Domain Mark 1.0", "https://creativecommons.org/publicdomain/mark/1.0/"),
    11: ("cc-by-4.0", "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
    12: ("cc-by-sa-4.0", "CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),
    13: ("cc-by-nd-4.0", "CC BY-ND 4.0", "https://creativecommons.org/licenses/by-nd/4.0/"),
    14: ("cc-by-nc-4.0", "CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/"),
    15: ("cc-by-nc-sa-4.0", "CC BY-NC-SA 4.0", "https://creativecommons.org/licenses/by-nc-sa/4.0/"),
    16: ("cc-by-nc-nd-4.0", "CC BY-NC-ND 4.0", "https://creativecommons.org/licenses/by-nc-nd/4.0/"),
}
"""Slug, name and address of Flickr's licences (flickr.photos.licenses.getInfo)."""


def test_licences__by_hand():
    assert {i: (licence.slug, licence.name, licence.url) for i, licence in LICENCES.items()} == BY_HAND
    assert [licence.id for licence in LICENCES.values()] == list(BY_HAND)
    terms = {i: slug.split("-") for i, (slug, *_) in BY_HAND.items()}
    for i, licence in LICENCES.items():
        assert licence.redistributable is (i != 0)
        assert licence.non_commercial is ("nc" in terms[i])
        assert licence.no_derivatives is ("nd" in terms[i])
        assert licence.share_alike is ("sa" in terms[i])
        assert licence.attribution is ("by" in terms[i])
