"""The class strings of the published study (Ramos et al., ICCV 2025), in the order of its label encoders."""

from __future__ import annotations

MAKES = (
    "Apple",
    "Canon",
    "EASTMAN KODAK COMPANY",
    "FUJIFILM",
    "NIKON",
    "OLYMPUS OPTICAL CO.,LTD",
    "Panasonic",
    "SONY",
    "samsung",
)

IPHONES = tuple(
    f"iPhone {name}"
    for name in ("11", "11 Pro Max", "12 Pro", "12 Pro Max", "13 Pro", "6", "6s", "7", "7 Plus", "X", "XR", "XS")
)

_CANON = (
    "10D|20D|300D DIGITAL|30D|350D DIGITAL|40D|450D|50D|5D|5D Mark II|5D Mark III|5D Mark IV|600D|60D|6D|6D Mark II|"
    "70D|7D|7D Mark II|80D|90D|DIGITAL REBEL|DIGITAL REBEL XT|R|R5|R6|REBEL T3i|Rebel T6"
)
_NIKON = (
    "D100|D200|D300|D3100|D3200|D40|D5|D50|D500|D5000|D5100|D5200|D5300|D5500|D5600|D600|D610|D70|D700|D7000|D7100|"
    "D7200|D750|D7500|D80|D800|D810|D850|D90|Z 6|Z 6_2|Z 9"
)

MODELS = (
    "CYBERSHOT",
    *(f"Canon EOS {name}" for name in _CANON.split("|")),
    "Canon EOS-1D X",
    "Canon EOS-1D X Mark II",
    "E-M1MarkII",
    "E5700",
    "E990",
    "ILCE-6000",
    "ILCE-6400",
    "ILCE-7",
    "ILCE-7M3",
    "ILCE-7RM2",
    "ILCE-7RM3",
    "Kodak CLAS Digital Film Scanner / HR200",
    *(f"NIKON {name}" for name in _NIKON.split("|")),
    "X-T2",
    "X-T3",
    "X-T4",
    *IPHONES,
)

EXPOSURES = tuple(f"1/{n}" for n in (30, 40, 50, 60, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800, 1000))
"""Seconds."""
APERTURES = tuple(f"{n:.1f}" for n in (1.8, 2, 2.2, 2.4, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10, 11))
"""F-numbers."""
ISOS = tuple(f"{n}" for n in (50, 64, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800, 1000, 1600, 3200))
FOCAL_LENGTHS = tuple(f"{n:.1f}" for n in (4, 4.2, 4.3, 5.8, 6, 18, 24, 28, 35, 50, 55, 70, 200))
"""Millimetres."""
YEARS = tuple(f"{year}" for year in range(2000, 2025))
